package sandbox

import (
	"errors"
	"math/rand/v2"
	"sync"
)

// Defaults of Config: far above what machines give to people and services, and
// so many that servers on one machine, each of which starts at a random place,
// do not meet.
const (
	defaultUIDBase  = 1_900_000_000
	defaultUIDCount = 200_000_000
)

// uids gives each sandbox a uid that no other has.
type uids struct {
	base, count int

	mu   sync.Mutex
	used map[int]bool
	next int
}

// newUIDs returns a range of uids that is given out from a random place on.
func newUIDs(base, count int) *uids {
	if base == 0 {
		base = defaultUIDBase
	}
	if count == 0 {
		count = defaultUIDCount
	}
	return &uids{base: base, count: count, used: map[int]bool{}, next: rand.IntN(count)}
}

// take returns a free uid.
func (u *uids) take() (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for range u.count {
		uid := u.base + u.next
		u.next = (u.next + 1) % u.count
		if !u.used[uid] {
			u.used[uid] = true
			return uid, nil
		}
	}
	return 0, errors.New("every uid for sandboxes is in use")
}

// give takes a uid back.
func (u *uids) give(uid int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.used, uid)
}
