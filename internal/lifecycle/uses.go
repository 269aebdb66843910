package lifecycle

import "sync"

// Uses counts the environments that run a package, by its digest. The zero
// value counts none. It is safe for concurrent use.
type Uses struct {
	mu sync.Mutex
	by map[string]int
}

// Any reports whether an environment runs the package of a digest: its files
// must stay where they are.
func (u *Uses) Any(digest string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.by[digest] > 0
}

// Add counts an environment of a package until done is called, once.
func (u *Uses) Add(digest string) (done func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.by == nil {
		u.by = map[string]int{}
	}
	u.by[digest]++
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.by[digest]--; u.by[digest] == 0 {
			delete(u.by, digest)
		}
	}
}
