package e2e

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/millicent-run/millicent/e2e/powerloss"
)

// A socket is a disk, and the server that is lost with its power.
type socket struct {
	t     *testing.T
	dir   string
	disk  *powerloss.Disk
	mount *powerloss.Mount
	last  time.Time // of the latest cut
}

func plugIn(t *testing.T) *socket {
	t.Helper()
	needRoot(t)
	p := &socket{t: t, dir: t.TempDir(), disk: powerloss.New(powerloss.Config{Lenient: "jetstream", Scratch: "run", Dir: t.TempDir()})}
	p.power()
	t.Cleanup(p.unmount)
	return p
}

// power mounts the disk.
func (p *socket) power() {
	p.t.Helper()
	var err error
	if p.mount, err = p.disk.Mount(p.dir); err != nil {
		p.t.Fatal(err)
	}
}

func (p *socket) unmount() {
	p.t.Helper()
	if err := p.mount.Unmount(); err != nil {
		p.t.Error(err)
	}
}

// cut cuts the power of a server and its disk. The server answers nothing that
// the disk does not know of by then.
func (p *socket) cut(s *server) {
	p.t.Helper()
	before := s.descendants()
	seed := rand.Uint64()
	p.t.Logf("cut with seed %d", seed)
	p.last = time.Now()
	after := p.disk.Cut(rand.New(rand.NewPCG(seed, 0)))
	if err := s.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		p.t.Fatal(err)
	}
	p.disk.Fail()
	<-s.done
	if left := orphans(p.t, before, 10*time.Second); len(left) > 0 {
		p.t.Fatalf("orphans after the cut: %v", describe(left))
	}
	p.unmount()
	p.disk = after
	p.power()
	p.reboot()
}

// reboot has the server see that the machine was started again since it made
// its caches, which are not synced.
func (p *socket) reboot() {
	p.t.Helper()
	err := os.WriteFile(filepath.Join(p.dir, "packages", "unpacked", "boot"), []byte("an earlier one\n"), 0o600)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.t.Fatal(err)
	}
}

// TestPowerLoss cuts the power at random moments while the server does
// everything at once, and drops what was not synced. Whatever it acknowledged
// is there afterwards and has had its end.
func TestPowerLoss(t *testing.T) {
	rounds := crashRounds(t, "MILLICENT_POWERLOSS_ROUNDS", 2)
	p := plugIn(t)
	s := upOn(t, p.dir)
	c := prepareCrashes(s, rounds, false)
	for c.another() {
		c.round(func() { p.cut(s) })
		s.start()
	}
	c.check()
	s.stop()
}
