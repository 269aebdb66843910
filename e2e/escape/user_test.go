package escape

import (
	"strings"
	"testing"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

// TestOrdinaryUser runs the server as an ordinary user. Its sandboxes are made
// in user namespaces, all processes have the server's own uid, and the same
// attacks get no further.
func TestOrdinaryUser(t *testing.T) {
	s := millicenttest.Up(t, millicenttest.Config{User: 54321})
	for name, attempts := range map[string]func(*arena) []attempt{
		"files": machinesFiles, "proc": machinesProc, "read-only": readOnly, "links": links, "mounts": mounts,
		"namespaces": namespaces, "processes": ordinaryProcesses, "kernel": kernelParts, "sockets": sockets,
	} {
		for _, l := range languages {
			t.Run(name+" "+l.name, func(t *testing.T) { newArena(t, s).try(l, attempts) })
		}
	}
	if !strings.Contains(s.Log(), "run as an ordinary user") {
		t.Errorf("the server does not say what it cannot enforce:\n%s", s.Log())
	}
}

// ordinaryProcesses are the attempts at other processes for one that has the
// uid of pid 1, which is no permission to end it.
func ordinaryProcesses(a *arena) (attempts []attempt) {
	for _, o := range otherProcesses(a) {
		if !strings.Contains(o.name, "pid 1") {
			attempts = append(attempts, o)
		}
	}
	return attempts
}
