package store

import (
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// What one node writes, the others see.
func TestOtherNodesSeeChanges(t *testing.T) {
	js := newJetStream(t)
	a, b := mustOpen(t, js, Config{Node: "a"}), mustOpen(t, js, Config{Node: "b"})
	mustCreate(t, a, newFunction("hello", millicent.Package{}))
	awaitFunction(t, b, "hello")
	mustUpdate(t, b, "hello", func(f *millicent.Function) { f.Draft.MemoryMB = 256 })
	// a may not have seen it, and must not undo it.
	mustUpdate(t, a, "hello", func(f *millicent.Function) { f.Draft.Handler = "other.handler" })
	f, err := a.Function(testTenant, "hello")
	if err != nil {
		t.Fatal(err)
	}
	if f.Draft.MemoryMB != 256 || f.Draft.Handler != "other.handler" {
		t.Errorf("got %d MB, %s", f.Draft.MemoryMB, f.Draft.Handler)
	}
	if _, err := b.Create(t.Context(), newFunction("hello", millicent.Package{})); millicent.ErrorCode(err) != millicent.CodeConflict {
		t.Errorf("created twice: %v", err)
	}
	if err := b.Delete(t.Context(), testTenant, "hello"); err != nil {
		t.Fatal(err)
	}
	err = a.Delete(t.Context(), testTenant, "hello")
	if code := millicent.ErrorCode(err); code != millicent.CodeNotFound {
		t.Errorf("deleted twice: %v", err)
	}
}

// Only a node that holds the package activates; after a restart it takes up
// what is waiting.
func TestActivationIsForHolders(t *testing.T) {
	js := newJetStream(t)
	dir := t.TempDir()
	a, err := Open(t.Context(), js, Config{Node: "a", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	p := putZip(t, a, zipOf(t, file{name: "app.py", content: "x = 1"}))
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	b := mustOpen(t, js, Config{Node: "b"})
	f := newFunction("hello", p)
	f.Published = []int{1}
	mustCreate(t, b, f)
	if !b.packages.elsewhere(p) {
		t.Error("b does not know that a holds the package")
	}
	b.activate(t.Context(), unsettledID{functionID{testTenant, "hello"}, millicent.Latest})
	if v, _ := b.Version(testTenant, "hello", millicent.Latest); v.State != millicent.StatePending {
		t.Errorf("b has no package, but the draft is %s", v.State)
	}

	mustOpen(t, js, Config{Node: "a", Dir: dir})
	for _, number := range []string{millicent.Latest, "1"} {
		if v := awaitSettled(t, b, "hello", number); v.State != millicent.StateActive {
			t.Errorf("version %s is %s: %s", number, v.State, v.StateReason)
		}
	}
}

func TestCloseIsPrompt(t *testing.T) {
	js, stop := startJetStream(t, t.TempDir())
	defer stop()
	s, err := Open(t.Context(), js, Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	mustCreate(t, s, newFunction("hello", millicent.Package{}))
	start := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("Close took %v", d)
	}
	if _, err := s.Create(t.Context(), newFunction("other", millicent.Package{})); err == nil {
		t.Error("Create after Close succeeded without being seen")
	}
}

// A store whose state server is gone fails its changes, still reads, and closes.
func TestStateServerGone(t *testing.T) {
	js, stop := startJetStream(t, t.TempDir())
	s, err := Open(t.Context(), js, Config{Dir: t.TempDir()})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	mustCreate(t, s, newFunction("hello", millicent.Package{}))
	stop()
	if _, err := s.Create(t.Context(), newFunction("other", millicent.Package{})); err == nil {
		t.Error("Create succeeded")
	}
	if _, err := s.Resolve(testTenant, "hello", "", 0); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
