package lambda

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/store"
)

// settledVersion waits until a version has been activated, well or badly.
func (p *platform) settledVersion(name, number string) *millicent.Version {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		v, err := p.store.Version(testTenant, name, number)
		if err != nil {
			p.t.Fatal(err)
		}
		if v.State != millicent.StatePending {
			return v
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("version %s of %s is %s", number, name, v.State)
		}
		time.Sleep(time.Millisecond) // a poll: what is waited for is the state
	}
}

func TestSnapStartOfPublishedVersions(t *testing.T) {
	var refuse error
	began, finish := make(chan struct{}), make(chan struct{})
	p := newPlatformOn(t, newStore(t, func(cfg *store.Config) {
		cfg.Initialise = func(context.Context, *millicent.Version) (bool, error) {
			began <- struct{}{}
			<-finish
			return refuse == nil, refuse
		}
	}), nil)
	on := M{"SnapStart": M{"ApplyOn": "PublishedVersions"}}
	status := func(a M) any { return a["SnapStart"] }
	got := p.must(201, "POST", functionsPath, with(createRequest("f"), with(M{"Runtime": "python3.12"}, on)))
	off := M{"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
	if diff := cmp.Diff(any(off), status(got)); diff != "" {
		t.Errorf("draft (-want +got):\n%s", diff)
	}
	p.settled("f")
	got = p.must(201, "POST", functionPath("f", "/versions"), M{})
	<-began
	if diff := cmp.Diff(any(off), status(got)); diff != "" || got["State"] != "Pending" || got["StateReasonCode"] != "Creating" {
		t.Errorf("published (-want +got):\n%s\n%v", diff, got)
	}
	finish <- struct{}{}
	p.settledVersion("f", "1")
	got = p.must(200, "GET", functionPath("f", "/configuration?Qualifier=1"), nil)
	want := M{"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
	if diff := cmp.Diff(any(want), status(got)); diff != "" || got["State"] != "Active" {
		t.Errorf("ready (-want +got):\n%s\n%v", diff, got)
	}
	if again := p.must(201, "POST", functionPath("f", "/versions"), M{}); again["Version"] != "1" {
		t.Errorf("published again without a change: %v", again["Version"])
	}

	refuse = &millicent.Error{Code: "FunctionError.RuntimeInitError", Message: "There are threads."}
	p.must(200, "PUT", functionPath("f", "/configuration"), M{"Description": "another"})
	p.settled("f")
	p.must(201, "POST", functionPath("f", "/versions"), M{})
	<-began
	finish <- struct{}{}
	p.settledVersion("f", "2")
	got = p.must(200, "GET", functionPath("f", "/configuration?Qualifier=2"), nil)
	if got["State"] != "Failed" || got["StateReason"] != "There are threads." || got["StateReasonCode"] != "FunctionError.RuntimeInitError" {
		t.Errorf("refused: %v", got)
	}
}

func TestSnapStartIsRefused(t *testing.T) {
	p := newPlatform(t, nil)
	on := M{"SnapStart": M{"ApplyOn": "PublishedVersions"}}
	for _, runtime := range []string{"nodejs20.x", "provided.al2023", "python3.11"} {
		got := p.must(400, "POST", functionsPath, with(createRequest("f"), with(M{"Runtime": runtime}, on)))
		if want := runtime + " is not supported for SnapStart enabled functions."; got["message"] != want {
			t.Errorf("%s: got %v", runtime, got)
		}
	}
	p.must(400, "POST", functionsPath, with(createRequest("f"), with(M{"Runtime": "python3.12", "EphemeralStorage": M{"Size": 513}}, on)))
	p.must(201, "POST", functionsPath, with(createRequest("f"), with(M{"Runtime": "python3.12"}, on)))
	p.settled("f")
	p.must(400, "PUT", functionPath("f", "/configuration"), M{"Runtime": "nodejs20.x"})
	p.must(400, "PUT", functionPath("f", "/configuration"), M{"EphemeralStorage": M{"Size": 1024}})
	p.must(200, "PUT", functionPath("f", "/configuration"), M{"Runtime": "nodejs20.x", "SnapStart": M{"ApplyOn": "None"}})
}
