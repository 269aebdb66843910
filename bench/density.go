package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	deployedMemory  = 150.0 // MB
	deployedStartUp = 1.5   // seconds
	deployedSlow    = 1.2   // times the cold start with one function
	deployedTarget  = 10_000

	// deployedKeepAlive lets the one function of the small server start anew
	// at every call, deployedPause later.
	deployedKeepAlive = 200 * time.Millisecond
	deployedPause     = 300 * time.Millisecond
)

// memory reads what each of several idle environments holds: all processes in
// its PID namespace, the platform's own first process included. They rest
// before: a server may freeze them meanwhile.
func (b *bench) memory(ctx context.Context) (err error) {
	s, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	bare, err := memoryOf(b.bare.pid())
	if err != nil {
		return err
	}
	targets := []*target{atMost(3), atMost(8), nil}
	for i, f := range b.functions.all() {
		spaces, err := s.environments(ctx, f, b.size.environments)
		if err != nil {
			return err
		}
		if err := sleep(ctx, b.size.idle); err != nil {
			return err
		}
		var private, pss []float64
		frozen, count := 0, 0
		for _, space := range spaces {
			h, err := holdingOf(space)
			if err != nil {
				return err
			}
			private, pss = append(private, h.private), append(pss, h.pss)
			if count = h.count; h.frozen {
				frozen++
			}
		}
		sum := summarise(private)
		b.rec.add(figure{
			Name: []string{"Python", "Node", "Go"}[i] + ": private memory", Unit: "MB",
			Value: number(sum.p50), Spread: number(sum.mad), N: sum.n, Target: targets[i], Bare: number(bare.private),
			Note: fmt.Sprintf("PSS %s MB, %d processes; %d of %d frozen", digits(median(pss)), count, frozen, len(spaces)),
		})
	}
	return nil
}

// environments starts an environment of each of n functions and returns their
// PID namespaces.
func (s *server) environments(ctx context.Context, f function, n int) (spaces []string, err error) {
	names, err := s.deploy(ctx, f, n)
	if err != nil {
		return nil, err
	}
	l, err := newLoader(s.addr, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for _, name := range names {
		a, _, err := l.once(ctx, s.event(name, "", `{"who":true}`))
		if err != nil {
			return nil, err
		}
		var space string
		if err := json.Unmarshal(a.body, &space); err != nil || a.status != 200 {
			return nil, fmt.Errorf("%s does not tell its namespace: status %d: %.200s", name, a.status, a.body)
		}
		spaces = append(spaces, space)
	}
	return spaces, nil
}

// deployed deploys many functions on one server and one on another, and
// compares them.
func (b *bench) deployed(ctx context.Context) (err error) {
	args := []string{"--keep-alive", deployedKeepAlive.String()}
	one, err := b.startServer(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, one.close()) }()
	many, err := b.startServer(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, many.close()) }()

	f := b.functions.python
	if _, err := one.deploy(ctx, f, 1); err != nil {
		return err
	}
	empty, err := residentMB(many.pid())
	if err != nil {
		return err
	}
	begin := time.Now()
	names, err := many.deploy(ctx, f, b.size.deployed)
	if err != nil {
		return err
	}
	rate := float64(len(names)) / time.Since(begin).Seconds()
	if err := sleep(ctx, b.size.idle); err != nil {
		return err
	}
	after, err := residentMB(many.pid())
	if err != nil {
		return err
	}
	if err := many.restart(ctx); err != nil {
		return err
	}
	if err := sleep(ctx, b.size.idle); err != nil {
		return err
	}
	again, err := residentMB(many.pid())
	if err != nil {
		return err
	}
	if err := b.recordDeployed(len(names), rate, empty, after, again, many.ready); err != nil {
		return err
	}
	return b.anyOf(ctx, one, many, names)
}

// restart stops the server and starts it on the same data.
func (s *server) restart(ctx context.Context) error {
	s.http.CloseIdleConnections()
	if err := s.stop(); err != nil {
		return err
	}
	return s.up(ctx)
}

// forAll is a target that holds for the full number of functions only.
func (b *bench) forAll(t *target) *target {
	if b.size.deployed < deployedTarget {
		return nil
	}
	return t
}

func (b *bench) recordDeployed(n int, rate, empty, after, again float64, ready time.Duration) error {
	bare, err := residentMB(b.bare.pid())
	if err != nil {
		return err
	}
	label := digits(float64(n)) + " functions: "
	single := func(name, unit string, v float64, t *target, bare float64, note string) {
		b.rec.add(figure{Name: label + name, Unit: unit, Value: number(v), Spread: unknown, N: 1, Target: b.forAll(t), Bare: number(bare), Note: note})
	}
	single("deployed", "/s", rate, nil, float64(unknown), fmt.Sprintf("%d at a time", deployers))
	single("resident memory after deploying", "MB", after, atMost(deployedMemory), bare, fmt.Sprintf("%s MB with none", digits(empty)))
	single("resident memory after a restart", "MB", again, atMost(deployedMemory), bare, "")
	single("start-up until the first answer", "s", ready.Seconds(), atMost(deployedStartUp), b.bare.ready.Seconds(), "")
	return nil
}

// anyOf compares the cold start of any of many functions with that of an only
// one, in turns.
func (b *bench) anyOf(ctx context.Context, one, many *server, names []string) (err error) {
	const first = "python-0" // of both servers
	small, err := newLoader(one.addr, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, small.close()) }()
	large, err := newLoader(many.addr, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, large.close()) }()
	random := rand.New(rand.NewPCG(1, 2))
	var alone, among []float64
	for n := -warmUps; n < b.size.deployedStarts; n++ {
		a, cold, err := coldStart(ctx, small, one.event(first, "", "{}"), deployedPause)
		if err != nil {
			return err
		}
		m, coldToo, err := coldStart(ctx, large, many.event(names[random.IntN(len(names))], "", "{}"), deployedPause)
		if err != nil {
			return err
		}
		if n >= 0 && cold && coldToo {
			alone, among = append(alone, a), append(among, m)
		}
	}
	s := summarise(among)
	label := digits(float64(len(names))) + " functions: cold start of any"
	b.rec.add(figure{
		Name: label, Unit: "ms", Value: number(s.p50), Spread: number(s.mad),
		N: s.n, Bare: unknown, Note: fmt.Sprintf("%s ms with one function", digits(median(alone))),
	})
	b.rec.add(figure{
		Name: label + ", against one", Unit: "×", Value: number(s.p50 / median(alone)),
		Spread: unknown, N: s.n, Target: b.forAll(atMost(deployedSlow)), Bare: unknown,
	})
	return nil
}
