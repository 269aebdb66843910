package sandbox

import (
	"time"

	"golang.org/x/sys/unix"
)

// The images of all sandboxes are sparse, and together may be larger than the
// disk that they are on, which is also where the server keeps its own. So a
// Host looks how much is left of it, and when that is too little ends the
// sandbox with the fullest /tmp, as the kernel does for want of memory.

const (
	guardEvery = 100 * time.Millisecond // a fast disk takes 300 MB in it

	// A disk is nearly full below a twentieth of it, or below maxReserve.
	reservePart = 20
	maxReserve  = 1 << 30

	// minBlame is how full a /tmp must be to be blamed for that: others may
	// fill the disk as well, and ending sandboxes would be of no use.
	minBlame = 16 << 20
)

// A diskUse is how many bytes are in a sandbox's /tmp.
type diskUse struct {
	sandbox *Sandbox
	bytes   int64
}

// blame returns whose sandbox has to go when a disk has free bytes of total,
// nil when none has to.
func blame(free, total int64, uses []diskUse) *diskUse {
	if free >= min(total/reservePart, maxReserve) {
		return nil
	}
	var most *diskUse
	for i, u := range uses {
		if u.bytes >= minBlame && (most == nil || u.bytes > most.bytes) {
			most = &uses[i]
		}
	}
	return most
}

// guardDisk runs until stop is closed.
func (h *Host) guardDisk(stop <-chan struct{}) {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		var st unix.Statfs_t
		if unix.Statfs(h.cfg.Dir, &st) != nil {
			continue // what is left of it is not known
		}
		free, total := int64(st.Bavail)*st.Bsize, int64(st.Blocks)*st.Bsize
		if blame(free, total, []diskUse{{bytes: minBlame}}) == nil {
			continue // as nearly always
		}
		if u := blame(free, total, h.diskUses()); u != nil {
			h.log.Warn("the disk is nearly full: a sandbox with much in /tmp is ended",
				"directory", h.cfg.Dir, "free", free, "sandbox", u.sandbox.id, "bytes", u.bytes)
			if err := u.sandbox.Close(); err != nil {
				h.log.Error("sandbox not closed", "sandbox", u.sandbox.id, "error", err)
			}
		}
	}
}

// diskUses looks into every /tmp. A sandbox that is being made or changed is
// left out; there is a next time.
func (h *Host) diskUses() (uses []diskUse) {
	h.mu.Lock()
	var open []*Sandbox
	for s := range h.sandboxes {
		open = append(open, s)
	}
	h.mu.Unlock()
	for _, s := range open {
		if !s.state.TryLock() {
			continue
		}
		var st unix.Statfs_t
		if s.disk != nil && unix.Fstatfs(int(s.disk.fs.Fd()), &st) == nil {
			uses = append(uses, diskUse{s, int64(st.Blocks-st.Bfree) * st.Bsize})
		}
		s.state.Unlock()
	}
	return uses
}
