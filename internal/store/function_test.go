package store

import (
	"testing"

	"github.com/millicent-run/millicent"
)

func TestCreateActivates(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	p := putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 1"}))
	created := mustCreate(t, s, newFunction("hello", p))
	d := created.Draft
	if d.State != millicent.StatePending || d.StateReasonCode != "Creating" || d.Number != millicent.Latest {
		t.Errorf("created draft is %s, %s, %s", d.State, d.StateReasonCode, d.Number)
	}
	v := awaitSettled(t, s, "hello", millicent.Latest)
	if v.State != millicent.StateActive || v.LastUpdate != millicent.UpdateSuccessful || v.StateReason != "" {
		t.Errorf("activated draft is %s, %s, %q", v.State, v.LastUpdate, v.StateReason)
	}
	if v.Revision == d.Revision {
		t.Error("activation kept the revision")
	}
}
