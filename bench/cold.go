package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A cold start is measured from the first byte of an Invoke request to the
// last of its answer, on an open connection. A function's calls are so far
// apart that its environment has ended by keepAlive before; the function
// counts its calls, so an answer other than 1 is a warm one and no sample.

const (
	keepAlive = time.Second

	// sources of cold starts: how many functions take turns at most. Their
	// packages are the same bytes.
	coldFunctions = 50
	warmUps       = 3 // starts that fill the machine's caches, not counted
)

// A subject is a kind of function whose cold starts are measured.
type subject struct {
	label     string
	function  function
	published bool // its version 1 is invoked, and must start from a snapshot
	p50, p99  *target
}

// coldRun says how to measure cold starts.
type coldRun struct {
	args     []string // of the server
	subjects []subject
	starts   int           // of each subject
	pause    time.Duration // between two starts
	note     string
}

// cold measures cold starts of several subjects and of the bare handler, in
// turns.
func (b *bench) cold(ctx context.Context, run coldRun) (err error) {
	s, err := b.startServer(ctx, append([]string{"--keep-alive", keepAlive.String()}, run.args...)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	events := make([][][]byte, len(run.subjects))
	for i, sub := range run.subjects {
		if events[i], err = s.coldEvents(ctx, sub, min(run.starts, coldFunctions)+warmUps); err != nil {
			return err
		}
	}
	l, err := newLoader(s.addr, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	bare, err := newLoader(b.bare.addr, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.close()) }()

	samples := make([][]float64, len(run.subjects))
	warm := make([]int, len(run.subjects))
	var base []float64
	for n := -warmUps; n < run.starts; n++ {
		for i, all := range events {
			// The last ones are for warming up.
			at := n % (len(all) - warmUps)
			if n < 0 {
				at = len(all) + n
			}
			ms, first, err := coldStart(ctx, l, all[at], run.pause)
			switch {
			case err != nil:
				return fmt.Errorf("%s: %w", run.subjects[i].label, err)
			case n < 0:
			case !first:
				warm[i]++
			default:
				samples[i] = append(samples[i], ms)
			}
		}
		ms, _, err := coldStart(ctx, bare, post(b.bare.addr, "/", "{}"), run.pause)
		if err != nil {
			return err
		}
		base = append(base, ms)
	}
	for i, sub := range run.subjects {
		note := run.note
		if warm[i] > 0 {
			note = strings.TrimPrefix(fmt.Sprintf("%s; %d answers were warm and do not count", note, warm[i]), "; ")
		}
		b.rec.cold(sub, summarise(samples[i]), median(base), note)
		b.rec.keep(sub.label, "ms", samples[i])
	}
	b.rec.keep(bareName, "ms", base)
	return nil
}

// cold records the cold starts of a subject.
func (r *recorder) cold(sub subject, s summary, bare float64, note string) {
	r.add(figure{
		Name: sub.label + ": p50", Unit: "ms", Value: number(s.p50), Spread: number(s.mad), N: s.n,
		Target: sub.p50, Bare: number(bare), Note: note,
	})
	r.add(figure{
		Name: sub.label + ": p99", Unit: "ms", Value: number(s.p99), Spread: unknown, N: s.n,
		Target: sub.p99, Bare: number(bare), Note: fmt.Sprintf("min %s, p90 %s, max %s", digits(s.min), digits(s.p90), digits(s.max)),
	})
}

// coldEvents deploys n functions of a subject and returns the requests that
// invoke them.
func (s *server) coldEvents(ctx context.Context, sub subject, n int) (events [][]byte, err error) {
	names, err := s.deploy(ctx, sub.function, n)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		qualifier := ""
		if sub.published {
			c, err := s.publish(ctx, name)
			if err != nil {
				return nil, err
			}
			if c.SnapStart.OptimizationStatus != "On" {
				return nil, fmt.Errorf("%w: SnapStart of a published version is %q", errNotBuilt, c.SnapStart.OptimizationStatus)
			}
			qualifier = c.Version
		}
		events = append(events, s.event(name, qualifier, "{}"))
	}
	return events, nil
}

// coldStart pauses and invokes; first tells whether the answer was the first
// of its environment.
func coldStart(ctx context.Context, l *loader, event []byte, pause time.Duration) (ms float64, first bool, err error) {
	select {
	case <-ctx.Done():
		return 0, false, ctx.Err()
	case <-time.After(pause):
	}
	a, ms, err := l.once(ctx, event)
	if err != nil {
		return 0, false, err
	}
	if err := a.succeeded(); err != nil {
		return 0, false, err
	}
	return ms, a.first(), nil
}

// succeeded returns an error for an answer that is not a function's count.
func (a answer) succeeded() error {
	if a.status != 200 || !bytes.Contains(a.body, []byte(`"n":`)) {
		return fmt.Errorf("status %d: %.300s", a.status, a.body)
	}
	return nil
}

// first reports whether the answer is the first of its environment.
func (a answer) first() bool {
	_, count, _ := bytes.Cut(a.body, []byte(`"n":`))
	count = bytes.TrimLeft(count, " ")
	return bytes.HasPrefix(count, []byte("1")) && (len(count) == 1 || count[1] < '0' || count[1] > '9')
}
