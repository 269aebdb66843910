package process

// A Stock is what a Launcher holds in readiness: no function's yet.
type Stock struct {
	Sandboxes map[string]int // prepared, by what runs in them: a runtime, or nothing in a "bare" one
	Changing  int            // being prepared, or given up, with what forks them
	Zygotes   int            // each in a sandbox of its own
	Disks     int            // for sandboxes to come
}

// Stock counts what is held in readiness at the moment.
func (l *Launcher) Stock() Stock {
	var st Stock
	st.Sandboxes, st.Changing = l.pool.counts()
	st.Disks = l.cfg.Host.SpareDisks()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, z := range l.zygotes {
		if z.there.Load() {
			st.Zygotes++
		}
		st.Changing += int(z.changing.Load())
	}
	return st
}

// counts returns how many entries of each kind are ready, and how many of all
// kinds are being made or closed.
func (p *pool[E]) counts() (ready map[string]int, changing int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ready = make(map[string]int, len(p.shelves))
	for kind, s := range p.shelves {
		ready[kind] = len(s.ready)
	}
	return ready, p.making + p.leaving
}
