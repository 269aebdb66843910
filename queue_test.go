package millicent

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQueueARN(t *testing.T) {
	q := &Queue{Tenant: lineageTenant, Name: "orders.fifo"}
	region, tenant, name, ok := ParseQueueARN(q.ARN("us-east-1"))
	if !ok || region != "us-east-1" || tenant != lineageTenant || name != "orders.fifo" || !q.FIFO() {
		t.Error(region, tenant, name, ok)
	}
	for _, arn := range []string{"", "arn:aws:sqs:us-east-1:000000000000:", "arn:aws:sns:us-east-1:000000000000:a", "arn:aws:sqs:us-east-1:000000000000:a:b"} {
		if _, _, _, ok := ParseQueueARN(arn); ok {
			t.Errorf("%q is taken for a queue's", arn)
		}
	}
}

func FuzzDecodeQueueMessage(f *testing.F) {
	m := &QueueMessage{
		Sender: "id", Group: "g", Attributes: map[string]MessageAttribute{"a": {Type: "Binary", Binary: []byte{1}}},
		Lineage: Lineage{Root: "root"}.Next(lineageTenant, "f", "id"),
	}
	good, err := m.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeQueueMessage(b)
		if err != nil {
			return
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeQueueMessage(again)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := back.Encode()
		if err != nil || string(again) != string(twice) {
			t.Errorf("%s became %s: %v", again, twice, err)
		}
	})
}

func TestQueueMessageGoesThere(t *testing.T) {
	want := &QueueMessage{
		Sender: "id", TraceHeader: "Root=1", Group: "g", Dedup: "d",
		Attributes: map[string]MessageAttribute{"n": {Type: "Number", Text: "1"}, "b": {Type: "Binary.x", Binary: []byte{0, 1}}},
		Lineage:    Lineage{Root: "root"}.Next(lineageTenant, "f", "id"),
	}
	b, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeQueueMessage(b)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if !want.Attributes["b"].IsBinary() || want.Attributes["n"].IsBinary() {
		t.Error("which attributes are binary")
	}
}
