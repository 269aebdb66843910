package wasm

import (
	"context"
	"sync"
)

// A LocalSession is a session of a Local. A request is Run, and then Renew
// makes the instance ready for the next one: Serve is both. So a caller can
// answer in between.
type LocalSession struct {
	local  *Local
	loaded *loaded
	opened Opening

	mu       sync.Mutex // held while a request runs
	instance *Instance  // nil between requests where there is an image, while next is awaited, and when it is closed
	next     chan made  // brings what takes the place of a broken instance
	closed   bool
}

// made is a new instance, or why there is none.
type made struct {
	instance *Instance
	err      error
}

// Serve implements Session.
func (s *LocalSession) Serve(ctx context.Context, req *Request) (*Answer, error) {
	a, err := s.Run(ctx, req)
	s.Renew()
	return a, err
}

// Run is Serve without the clearing away, which the caller owes: Renew.
func (s *LocalSession) Run(ctx context.Context, req *Request) (*Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.take(ctx)
	if err != nil {
		return nil, err
	}
	a := i.Run(ctx, req)
	if f := a.Failure; f != nil && f.Type == typeCancelled && f.Document == nil { // what a guest says of itself has a document
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, ErrHostGone
	}
	return a, nil
}

// take returns the instance to run in.
func (s *LocalSession) take(ctx context.Context) (*Instance, error) {
	if s.closed {
		return nil, ErrNotServed
	}
	switch {
	case s.instance != nil:
		return s.instance, nil
	case s.next == nil:
		i, err := s.loaded.spare(ctx, nil)
		if err != nil {
			return nil, err
		}
		s.instance = i
		return i, nil
	}
	select {
	case m := <-s.next:
		if m.err != nil {
			s.replace() // the next request may have more luck
			return nil, m.err
		}
		s.next, s.instance = nil, m.instance
		return s.instance, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Renew clears away what the last request left. A broken instance is replaced:
// the next Run waits for that.
func (s *LocalSession) Renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.instance == nil {
		return
	}
	s.instance.Reset()
	if s.instance.Broken() {
		s.instance.Close()
		s.instance = nil
		s.replace()
		return
	}
	if s.loaded.program.image != nil {
		s.loaded.keep(s.instance)
		s.instance = nil
	}
}

// replace begins to make an instance.
func (s *LocalSession) replace() {
	next := make(chan made, 1)
	s.next = next
	go func() { // Close waits for it
		i, err := s.loaded.program.another(s.local.ctx, nil)
		next <- made{i, err}
	}()
}

// Opened implements Session.
func (s *LocalSession) Opened() Opening { return s.opened }

// Close implements Session. It waits for a request that runs.
func (s *LocalSession) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.next != nil {
		if m := <-s.next; m.err == nil {
			s.instance = m.instance
		}
		s.next = nil
	}
	if s.instance != nil {
		s.instance.Close()
		s.instance = nil
	}
	s.local.mu.Lock()
	delete(s.local.sessions, s)
	s.local.mu.Unlock()
	s.local.release(s.loaded)
	return nil
}
