package store

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
)

func TestFunctionRecord(t *testing.T) {
	f := newFunction("hello", millicent.Package{SHA256: fmt.Sprintf("%064x", 7), Size: 12})
	f.Draft.Number, f.Draft.Modified = millicent.Latest, time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	f.Created, f.Published, f.LastVersion, f.Reserved = f.Draft.Modified, []int{2, 11}, 12, new(0)
	f.Aliases = map[string]*millicent.Alias{"live": {Name: "live", Version: "2", Weights: map[string]float64{"11": 0.1}}}
	f.URLs = map[string]*millicent.FunctionURL{"live": {ID: "id", CORS: &millicent.CORS{MaxAge: new(5)}}}
	f.Provisioned = map[string]*millicent.Provisioned{"live": {Concurrency: 3, Modified: f.Created}}
	f.Aliases["moving"] = &millicent.Alias{Name: "moving", Version: "11", Weights: map[string]float64{"2": 1}, Moving: true}
	f.Policies = map[string][]*millicent.Statement{"": {{ID: "s1", Action: "lambda:InvokeFunction", Principal: "*"}}}
	ids := map[string]string{"2": "abc", "11": "def"}
	b, err := encodeFunction(f, ids)
	if err != nil {
		t.Fatal(err)
	}
	got, gotIDs, err := decodeFunction(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ids, gotIDs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	function := func(b []byte) error { _, _, err := decodeFunction(b); return err }
	version := func(b []byte) error { _, err := decodeVersion(b); return err }
	pkg := func(b []byte) error { _, err := decodePackage(b); return err }
	accessKey := func(b []byte) error { _, err := decodeKey(b); return err }
	for _, tt := range []struct {
		decode      func([]byte) error
		value, want string
	}{
		{function, `{"format":2}`, "newer millicent"},
		{function, `{"format":2,"function":"of another shape"}`, "newer millicent"},
		{version, `{"format":3,"version":[]}`, "newer millicent"},
		{pkg, `{"format":2,"holders":7}`, "newer millicent"},
		{accessKey, `{"format":2}`, "newer millicent"},
		{function, `{}`, "format 0"},
		{version, `{"format":-1}`, "format -1"},
		{function, `{"format":1}`, "no function"},
		{function, `{"format":1,"function":{"tenant":"t","name":"n"}}`, "no function"},
		{function, `{"format":1,"function":{"tenant":"t","name":"a.b","draft":{}}}`, "is none"},
		{function, `{"format":1,"function":{"tenant":"t","name":"n","draft":{},"provisioned":{"live":null}}}`, "is none"},
		{function, `{"format":1,"function":{"tenant":"t","name":"n","draft":{},"provisioned":{"live":{"concurrency":0}}}}`, "is none"},
		{function, `{"format":1,"versions":{"1":"x"},"function":{"tenant":"t","name":"n","draft":{}}}`, `version "1"`},
		{function, `{"format":1,"versions":{"01":"x"},"function":{"tenant":"t","name":"n","draft":{},"lastVersion":3}}`, `version "01"`},
		{function, `{"format":1,"versions":{"1":"x.*"},"function":{"tenant":"t","name":"n","draft":{},"lastVersion":3}}`, "is none"},
		{function, `{"format":1,"function":{"tenant":"t","name":"n","draft":{},"aliases":{"a":null}}}`, `alias "a"`},
		{function, `{"format":1,"function":{"tenant":"t","name":"n","draft":{},"urls":{"":null}}}`, "URL"},
		{function, `{"format":1,"function":{"tenant":"t","name":"n","draft":{},"policies":{"":[null]}}}`, "statement"},
		{version, `{"format":1}`, "no version"},
		{version, `{"format":1,"version":{"number":"$LATEST"}}`, "no version"},
		{accessKey, `{"format":1,"key":{}}`, "no access key"},
		{function, ``, "unexpected end"},
	} {
		if err := tt.decode([]byte(tt.value)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.value, err, tt.want)
		}
	}
}

// A store that a newer millicent has written to does not open.
func TestOpenRefusesNewerFormat(t *testing.T) {
	js := newJetStream(t)
	s := mustOpen(t, js, Config{})
	mustCreate(t, s, newFunction("hello", millicent.Package{}))
	kv, err := js.KeyValue(t.Context(), functionsBucket)
	if err != nil {
		t.Fatal(err)
	}
	newer := []byte(`{"format":2,"function":{}}`)
	if _, err := kv.Put(t.Context(), "f."+testTenant+".hello", newer); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), js, Config{Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "hello: format 2, written by a newer millicent") {
		t.Errorf("got %v", err)
	}
	// The store that was open goes on with what it knew.
	if _, err := s.Function(testTenant, "hello"); err != nil {
		t.Error(err)
	}
	mustCreate(t, s, newFunction("other", millicent.Package{}))
}

func TestOpenRefusesNewerBucket(t *testing.T) {
	js := newJetStream(t)
	_, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{
		Bucket: functionsBucket, Metadata: map[string]string{formatKey: "2"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), js, Config{Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), `open bucket functions: it has format "2"`) {
		t.Errorf("got %v", err)
	}
}

func TestValuesAreBounded(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	f := newFunction("hello", millicent.Package{})
	f.Draft.Description = strings.Repeat("x", maxValue)
	if _, err := s.Create(t.Context(), f); millicent.ErrorCode(err) != millicent.CodeInvalid {
		t.Errorf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"format":1,"versions":{"1":"abc"},"function":{"tenant":"t","name":"n","lastVersion":1,"draft":{"timeout":1}}}`))
	f.Add([]byte(`{"format":1,"version":{"number":"1","environment":{"a":"b"}}}`))
	f.Add([]byte(`{"format":1,"size":1,"holders":{"a":"2026-01-02T03:04:05Z"}}`))
	f.Add([]byte(`{"format":1,"key":{"id":"a","secret":"b"}}`))
	f.Add([]byte(`{"format":9,"function":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if fn, ids, err := decodeFunction(b); err == nil {
			once, err := encodeFunction(fn.Clone(), ids)
			if err != nil {
				t.Fatalf("decoded, but does not encode: %v", err)
			}
			again, ids, err := decodeFunction(once)
			if err != nil {
				t.Fatalf("encoded, but does not decode: %v", err)
			}
			if twice, err := encodeFunction(again, ids); err != nil || !bytes.Equal(once, twice) {
				t.Fatalf("not stable: %v\n%s\n%s", err, once, twice)
			}
		}
		if r, err := decodeVersion(b); err == nil {
			r.Version.Clone()
		}
		_, _ = decodePackage(b)
		_, _ = decodeKey(b)
	})
}
