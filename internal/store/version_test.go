package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

func TestPublish(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	f := newFunction("hello", millicent.Package{})
	f.Draft.Description = "the draft"
	draft := mustCreate(t, s, f).Draft

	v1, err := s.Publish(t.Context(), testTenant, "hello", "the first", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := draft.Clone()
	want.Number, want.Revision, want.Description = "1", v1.Revision, "the first"
	if diff := cmp.Diff(want, v1); diff != "" {
		t.Errorf("version 1 (-want +got):\n%s", diff)
	}
	if v1.Revision == draft.Revision {
		t.Error("version 1 has the draft's revision")
	}
	f, err = s.Function(testTenant, "hello")
	if err != nil {
		t.Fatal(err)
	}
	if f.Draft.Revision == draft.Revision {
		t.Error("publishing kept the draft's revision")
	}

	again, err := s.Publish(t.Context(), testTenant, "hello", "another description", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v1, again); diff != "" {
		t.Errorf("publishing what has not changed (-want +got):\n%s", diff)
	}
	mustUpdate(t, s, "hello", func(f *millicent.Function) { f.Draft.Modified = time.Now() })
	if v := mustPublish(t, s, "hello"); v.Number != "1" {
		t.Errorf("a draft that differs in its date alone is version %s", v.Number)
	}

	mustUpdate(t, s, "hello", func(f *millicent.Function) { f.Draft.Description = "changed" })
	v2 := mustPublish(t, s, "hello")
	if v2.Number != "2" || v2.Description != "changed" {
		t.Errorf("version %s is %q", v2.Number, v2.Description)
	}
	if got, err := s.Version(testTenant, "hello", "2"); err != nil || got.Revision != v2.Revision {
		t.Errorf("version 2 reads as %v, %v", got, err)
	}
}

func TestPublishChecks(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	mustCreate(t, s, newFunction("hello", millicent.Package{}))
	sentinel := errors.New("no")
	_, err := s.Publish(t.Context(), testTenant, "hello", "", func(f *millicent.Function) error {
		if f.Name != "hello" {
			t.Errorf("check got %q", f.Name)
		}
		return sentinel
	})
	if err != sentinel { //nolint:errorlint // as it is
		t.Errorf("got %v, want check's own error", err)
	}
	if f, _ := s.Function(testTenant, "hello"); f.LastVersion != 0 {
		t.Errorf("refused, but the last version is %d", f.LastVersion)
	}
	_, err = s.Publish(t.Context(), testTenant, "absent", "", nil)
	wantError(t, err, millicent.CodeNotFound, "Function not found: arn:aws:lambda:us-east-1:000000000000:function:absent")
}

func TestCreatePublished(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	f := newFunction("hello", putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 1"})))
	f.Published = []int{1}
	got := mustCreate(t, s, f)
	if diff := cmp.Diff([]int{1}, got.Published); diff != "" || got.LastVersion != 1 {
		t.Errorf("published %v, last %d", got.Published, got.LastVersion)
	}
	v := awaitSettled(t, s, "hello", "1")
	if v.State != millicent.StateActive || v.LastUpdate != millicent.UpdateSuccessful {
		t.Errorf("version 1 is %s, %s", v.State, v.LastUpdate)
	}
	awaitSettled(t, s, "hello", millicent.Latest)
	if v := mustPublish(t, s, "hello"); v.Number != "1" {
		t.Errorf("publishing the same again gave version %s", v.Number)
	}
}

// A version published while the draft's update is in progress waits for its
// own activation.
func TestPublishOfUnsettledDraft(t *testing.T) {
	draft := &millicent.Version{Number: millicent.Latest, Revision: "r", State: millicent.StateActive,
		LastUpdate: millicent.UpdateInProgress, LastUpdateReason: "reason", LastUpdateReasonCode: "code"}
	v := numbered(draft, 3, "")
	if v.State != millicent.StatePending || v.StateReasonCode != "Creating" || v.LastUpdate != "" || v.LastUpdateReason != "" {
		t.Errorf("version is %s, %s, %q", v.State, v.StateReasonCode, v.LastUpdate)
	}
	if !unsettled(v) {
		t.Error("nothing would activate the version")
	}
}

func TestDeleteVersion(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	mustCreate(t, s, newFunction("hello", millicent.Package{}))
	for i := range 4 {
		mustPublish(t, s, "hello")
		mustUpdate(t, s, "hello", func(f *millicent.Function) { f.Draft.MemoryMB = 200 + i })
	}
	mustUpdate(t, s, "hello", func(f *millicent.Function) {
		f.Aliases = map[string]*millicent.Alias{
			"live": {Name: "live", Version: "1"},
			"beta": {Name: "beta", Version: "2", Weights: map[string]float64{"1": 0.5}},
		}
		f.Provisioned = map[string]*millicent.Provisioned{"3": {Concurrency: 1}, "live": {Concurrency: 2}}
	})
	err := s.DeleteVersion(t.Context(), testTenant, "hello", "1")
	wantError(t, err, millicent.CodeConflict, "Unable to delete version because the following aliases reference it: [beta, live]")

	for _, number := range []string{"3", "4", "99", "junk"} {
		if err := s.DeleteVersion(t.Context(), testTenant, "hello", number); err != nil {
			t.Errorf("version %s: %v", number, err)
		}
	}
	f, err := s.Function(testTenant, "hello")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1, 2}, f.Published); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
	if f.Provisioned["3"] != nil || f.Provisioned["live"] == nil {
		t.Errorf("provisioned: %v", f.Provisioned)
	}
	if _, err := s.Version(testTenant, "hello", "4"); millicent.ErrorCode(err) != millicent.CodeNotFound {
		t.Errorf("version 4 reads: %v", err)
	}
	if n := len(s.index.versions); n != 2 {
		t.Errorf("%d version records, want 2", n)
	}
	if v := mustPublish(t, s, "hello"); v.Number != "5" {
		t.Errorf("number %s comes after 4, which was deleted", v.Number)
	}
	err = s.DeleteVersion(t.Context(), testTenant, "absent", "1")
	wantError(t, err, millicent.CodeNotFound, "Function not found: arn:aws:lambda:us-east-1:000000000000:function:absent")
}

// What a publishing and a deletion leave behind when they are cut off between
// their two writes is not visible, and is swept once it is old.
func TestOrphans(t *testing.T) {
	js := newJetStream(t)
	s := mustOpen(t, js, Config{})
	mustCreate(t, s, newFunction("half-published", millicent.Package{}))
	v := mustPublish(t, s, "half-published")
	if _, err := s.writeVersion(t.Context(), functionID{testTenant, "half-published"}, numbered(v, 2, "orphan"), ""); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, s, newFunction("half-deleted", millicent.Package{}))
	mustPublish(t, s, "half-deleted")
	id := functionID{testTenant, "half-deleted"}
	if err := s.functions.remove(t.Context(), id.key(), s.index.function(id).revision); err != nil {
		t.Fatal(err)
	}

	s = mustOpen(t, js, Config{})
	if _, err := s.Version(testTenant, "half-published", "2"); millicent.ErrorCode(err) != millicent.CodeNotFound {
		t.Errorf("a version that was half published reads: %v", err)
	}
	mustCreate(t, s, newFunction("half-deleted", millicent.Package{}))
	if _, err := s.Version(testTenant, "half-deleted", "1"); millicent.ErrorCode(err) != millicent.CodeNotFound {
		t.Errorf("a version of a function that was half deleted reads: %v", err)
	}
	now := time.Now()
	s.sweepOrphans(t.Context(), now)
	if n := len(s.index.versions); n != 3 {
		t.Errorf("%d version records, want 3: the orphans are young", n)
	}
	s.sweepOrphans(t.Context(), now.Add(2*orphanAge))
	if n := len(s.index.versions); n != 1 {
		t.Errorf("%d version records after the sweep, want 1", n)
	}
	if _, err := s.Version(testTenant, "half-published", "1"); err != nil {
		t.Errorf("the sweep took a version that counts: %v", err)
	}
}

// Two nodes publishing at once each get a number of their own, with the
// content that they published.
func TestConcurrentPublish(t *testing.T) {
	js := newJetStream(t)
	nodes := []*Store{mustOpen(t, js, Config{Node: "a"}), mustOpen(t, js, Config{Node: "b"})}
	mustCreate(t, nodes[0], newFunction("hello", millicent.Package{}))
	awaitFunction(t, nodes[1], "hello")
	var mu sync.Mutex
	published := make(map[string]string)
	var wg sync.WaitGroup
	for n, s := range nodes {
		wg.Go(func() {
			for i := range 10 {
				description := fmt.Sprintf("%d-%d", n, i)
				_, err := s.Update(t.Context(), testTenant, "hello", func(f *millicent.Function) error {
					f.Draft.Handler = description
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				v, err := s.Publish(t.Context(), testTenant, "hello", description, nil)
				if err != nil {
					t.Error(err)
					continue
				}
				if v.Description != description {
					continue // the other node had published the same draft
				}
				mu.Lock()
				if other, taken := published[v.Number]; taken {
					t.Errorf("version %s is both %s and %s", v.Number, other, description)
				}
				published[v.Number] = description
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	fresh := mustOpen(t, js, Config{Node: "c"})
	for number, description := range published {
		v, err := fresh.Version(testTenant, "hello", number)
		if err != nil || v.Description != description {
			t.Errorf("version %s: %v, %v, want %s", number, v, err, description)
		}
	}
}

// awaitFunction waits until a node has seen a function.
func awaitFunction(t testing.TB, s *Store, name string) {
	t.Helper()
	ctx := testContext(t)
	for s.index.function(functionID{testTenant, name}) == nil {
		if err := s.functions.awaitChange(ctx); err != nil {
			t.Fatal(err)
		}
	}
}
