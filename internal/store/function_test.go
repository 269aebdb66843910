package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

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

func TestUpdateActivates(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	mustCreate(t, s, newFunction("hello", putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 1"}))))
	before := awaitSettled(t, s, "hello", millicent.Latest)

	p := putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 2"}))
	f := mustUpdate(t, s, "hello", func(f *millicent.Function) {
		f.Draft.Package, f.Draft.LastUpdate = p, millicent.UpdateInProgress
	})
	if f.Draft.LastUpdate != millicent.UpdateInProgress || f.Draft.State != millicent.StateActive {
		t.Errorf("updated draft is %s, %s", f.Draft.State, f.Draft.LastUpdate)
	}
	v := awaitSettled(t, s, "hello", millicent.Latest)
	if v.LastUpdate != millicent.UpdateSuccessful || v.Package != p || v.Revision == before.Revision {
		t.Errorf("draft after the update: %s, revision %s (before %s)", v.LastUpdate, v.Revision, before.Revision)
	}

	bad := putZip(t, s, []byte("not a zip file"))
	mustUpdate(t, s, "hello", func(f *millicent.Function) {
		f.Draft.Package, f.Draft.LastUpdate = bad, millicent.UpdateInProgress
	})
	v = awaitSettled(t, s, "hello", millicent.Latest)
	if v.State != millicent.StateActive || v.LastUpdate != millicent.UpdateFailed || v.LastUpdateReasonCode != codeInvalidZip {
		t.Errorf("draft after a bad update: %s, %s, %s", v.State, v.LastUpdate, v.LastUpdateReasonCode)
	}
}

func TestCreateOfBadPackageFails(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	mustCreate(t, s, newFunction("hello", putZip(t, s, []byte("not a zip file"))))
	v := awaitSettled(t, s, "hello", millicent.Latest)
	if v.State != millicent.StateFailed || v.StateReasonCode != codeInvalidZip || v.StateReason == "" {
		t.Errorf("draft is %s, %s, %q", v.State, v.StateReasonCode, v.StateReason)
	}
	mustCreate(t, s, newFunction("lost", millicent.Package{SHA256: fmt.Sprintf("%064x", 1), Size: 3}))
	v = awaitSettled(t, s, "lost", millicent.Latest)
	if v.State != millicent.StateFailed || v.StateReasonCode != "InternalError" {
		t.Errorf("draft without a package is %s, %s", v.State, v.StateReasonCode)
	}
}

func TestCreateRefuses(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	mustCreate(t, s, newFunction("hello", millicent.Package{}))
	_, err := s.Create(t.Context(), newFunction("hello", millicent.Package{}))
	wantError(t, err, millicent.CodeConflict, "Function already exist: hello")
	for _, name := range []string{"", "a.b", "a*", "a b", "a>", "a/b", string(make([]byte, 65))} {
		if _, err := s.Create(t.Context(), newFunction(name, millicent.Package{})); millicent.ErrorCode(err) != millicent.CodeInvalid {
			t.Errorf("name %q: got %v", name, err)
		}
	}
	f := newFunction("other", millicent.Package{})
	f.Published = []int{7}
	if _, err := s.Create(t.Context(), f); millicent.ErrorCode(err) != millicent.CodeInvalid {
		t.Errorf("published 7: got %v", err)
	}
}

// What a caller has stored or been given is not what the store goes on using.
func TestValuesAreCopied(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	f := newFunction("hello", millicent.Package{})
	mustCreate(t, s, f)
	f.Draft.Environment["KEY"] = "changed by the caller of Create"
	mustUpdate(t, s, "hello", func(f *millicent.Function) { f.Tags = map[string]string{"a": "b"} })
	var kept *millicent.Function
	mustUpdate(t, s, "hello", func(f *millicent.Function) { kept = f; f.Reserved = new(3) })
	kept.Draft.Environment["KEY"] = "changed after Update"
	*kept.Reserved = 4
	got, err := s.Function(testTenant, "hello")
	if err != nil {
		t.Fatal(err)
	}
	if got.Draft.Environment["KEY"] != "value" || *got.Reserved != 3 {
		t.Errorf("the store sees KEY=%q, reserved %d", got.Draft.Environment["KEY"], *got.Reserved)
	}
}

func TestUpdate(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	created := mustCreate(t, s, newFunction("hello", millicent.Package{}))
	revision := s.index.function(functionID{testTenant, "hello"}).revision

	same := mustUpdate(t, s, "hello", func(f *millicent.Function) { f.Tags = map[string]string{} })
	if got := s.index.function(functionID{testTenant, "hello"}).revision; got != revision {
		t.Errorf("an update that changes nothing was written: revision %d, then %d", revision, got)
	}
	if diff := cmp.Diff(created, same); diff != "" {
		t.Errorf("an update that changes nothing (-want +got):\n%s", diff)
	}

	sentinel := errors.New("no")
	_, err := s.Update(t.Context(), testTenant, "hello", func(f *millicent.Function) error {
		f.Tags = map[string]string{"a": "b"}
		return sentinel
	})
	if err != sentinel { //nolint:errorlint // as it is
		t.Errorf("got %v, want the change's own error", err)
	}
	if f, _ := s.Function(testTenant, "hello"); f.Tags != nil {
		t.Errorf("a refused change was stored: %v", f.Tags)
	}

	mustUpdate(t, s, "hello", func(f *millicent.Function) {
		f.Name, f.Tenant, f.Draft.Number, f.Draft.Function = "other", "x", "9", "other"
		f.Published, f.LastVersion = []int{1, 2}, -3
	})
	got, err := s.Function(testTenant, "hello")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(created, got); diff != "" {
		t.Errorf("a change set what is not its own (-want +got):\n%s", diff)
	}

	_, err = s.Update(t.Context(), testTenant, "absent", func(*millicent.Function) error { return nil })
	wantError(t, err, millicent.CodeNotFound, "Function not found: arn:aws:lambda:us-east-1:000000000000:function:absent")
}

func TestConcurrentUpdates(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	mustCreate(t, s, newFunction("hello", millicent.Package{}))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				_, err := s.Update(t.Context(), testTenant, "hello", func(f *millicent.Function) error {
					if f.Tags == nil {
						f.Tags = make(map[string]string)
					}
					f.Tags[fmt.Sprintf("%d-%d", i, j)] = ""
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	f, err := s.Function(testTenant, "hello")
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Tags) != 80 {
		t.Errorf("%d of 80 changes are there", len(f.Tags))
	}
}

func TestChangeEndsWithContext(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	mustCreate(t, s, newFunction("hello", millicent.Package{}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Create(ctx, newFunction("other", millicent.Package{})); !errors.Is(err, context.Canceled) {
		t.Errorf("Create: got %v", err)
	}
	if err := s.Delete(ctx, testTenant, "hello"); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete: got %v", err)
	}
}

func TestDeleteLeavesNothing(t *testing.T) {
	js := newJetStream(t)
	s := mustOpen(t, js, Config{})
	f := newFunction("hello", millicent.Package{})
	f.URLs = map[string]*millicent.FunctionURL{"": {ID: "url1"}}
	mustCreate(t, s, f)
	mustPublish(t, s, "hello")
	mustUpdate(t, s, "hello", func(f *millicent.Function) {
		f.Draft.MemoryMB = 256
		f.Aliases = map[string]*millicent.Alias{"live": {Name: "live", Version: "1"}}
	})
	mustPublish(t, s, "hello")
	if err := s.Delete(t.Context(), testTenant, "hello"); err != nil {
		t.Fatal(err)
	}
	wantNoFunction := func(s *Store) {
		t.Helper()
		if _, err := s.Function(testTenant, "hello"); millicent.ErrorCode(err) != millicent.CodeNotFound {
			t.Errorf("Function: %v", err)
		}
		for _, q := range []string{"", "1", "2", "live", millicent.Latest} {
			if _, err := s.Resolve(testTenant, "hello", q, 0); millicent.ErrorCode(err) != millicent.CodeNotFound {
				t.Errorf("Resolve %q: %v", q, err)
			}
		}
		if _, _, err := s.FunctionByURL("url1"); millicent.ErrorCode(err) != millicent.CodeNotFound {
			t.Errorf("FunctionByURL: %v", err)
		}
		if l := s.Functions(testTenant); len(l) != 0 {
			t.Errorf("%d functions are listed", len(l))
		}
		if x := s.index; len(x.versions)+len(x.functions)+len(x.urls)+len(x.tenants) != 0 {
			t.Errorf("memory keeps %d versions, %d functions, %d URLs, %d tenants",
				len(x.versions), len(x.functions), len(x.urls), len(x.tenants))
		}
	}
	wantNoFunction(s)
	wantNoFunction(mustOpen(t, js, Config{}))
	if err := s.Delete(t.Context(), testTenant, "hello"); millicent.ErrorCode(err) != millicent.CodeNotFound {
		t.Errorf("second Delete: %v", err)
	}

	mustCreate(t, s, newFunction("hello", millicent.Package{}))
	if _, err := s.Version(testTenant, "hello", "1"); millicent.ErrorCode(err) != millicent.CodeNotFound {
		t.Errorf("the new function has the old one's version: %v", err)
	}
	if v := mustPublish(t, s, "hello"); v.Number != "1" || v.MemoryMB != 128 {
		t.Errorf("the new function's first version is %s with %d MB", v.Number, v.MemoryMB)
	}
}

// Markers of what was deleted leave the bucket by themselves.
func TestMarkersExpire(t *testing.T) {
	js := newJetStream(t)
	s := mustOpen(t, js, Config{})
	mustCreate(t, s, newFunction("hello", millicent.Package{}))
	if err := s.Delete(t.Context(), testTenant, "hello"); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KV_"+functionsBucket)
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetLastMsgForSubject(t.Context(), "$KV."+functionsBucket+".f."+testTenant+".hello")
	if err != nil {
		t.Fatal(err)
	}
	if op, ttl := m.Header.Get("KV-Operation"), m.Header.Get("Nats-TTL"); op != "PURGE" || ttl != markerTTL.String() {
		t.Errorf("the marker says %q with a TTL of %q", op, ttl)
	}
}

func TestOnChange(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	type change struct{ before, after string }
	var mu sync.Mutex
	var got []change
	memory := func(f *millicent.Function) string {
		if f == nil {
			return "none"
		}
		return strconv.Itoa(f.Draft.MemoryMB)
	}
	s.OnChange(func(before, after *millicent.Function) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, change{memory(before), memory(after)})
	})
	mustCreate(t, s, newFunction("hello", millicent.Package{}))
	mustUpdate(t, s, "hello", func(f *millicent.Function) { f.Draft.MemoryMB = 256 })
	mustUpdate(t, s, "hello", func(f *millicent.Function) { f.Draft.MemoryMB = 512 })
	if err := s.Delete(t.Context(), testTenant, "hello"); err != nil {
		t.Fatal(err)
	}
	// Each had been told when the call returned: no waiting here.
	mu.Lock()
	defer mu.Unlock()
	want := []change{{"none", "128"}, {"128", "256"}, {"256", "512"}, {"512", "none"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Who depends on a published version learns when it has been activated.
func TestOnChangeTellsOfActivatedVersions(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	active := make(chan bool, 100)
	s.OnChange(func(_, after *millicent.Function) {
		v, err := s.Version(testTenant, after.Name, "1")
		active <- err == nil && v.State == millicent.StateActive
	})
	f := newFunction("hello", putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 1"})))
	f.Published = []int{1}
	mustCreate(t, s, f)
	for !<-active { // the test's own timeout ends a wait in vain
	}
}
