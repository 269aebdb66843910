package scheduler

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/millicent-run/millicent"
)

// launchTimeout bounds a Launch, whose Init phase is bounded by itself: it
// frees the room of one that hangs.
const launchTimeout = 3 * time.Minute

// launch starts an environment of ver in the room that there is. The lock is
// held.
func (s *Scheduler) launch(ver *version, spec *millicent.Version, now time.Time) {
	e := &environment{
		of: ver, spec: spec, takes: s.need(spec), state: launching,
		began: now, after: ver.why, start: nextStart(ver.record, ver.environments(), now),
	}
	ver.refs++
	ver.count[launching]++
	s.all[e] = struct{}{}
	s.launches = append(s.launches, e)
	s.count[launching]++
	s.used = s.used.plus(e.room())
	go s.runLaunch(e)
}

// runLaunch launches e and hands it to the first in line. It ends with the
// launch, which Close waits for.
func (s *Scheduler) runLaunch(e *environment) {
	env, err := s.callLauncher(e.spec, e.start)
	light := err == nil && millicent.Light(env)

	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.launches = slices.DeleteFunc(s.launches, func(o *environment) bool { return o == e })
	if err != nil {
		s.launchFailed(e, err)
		return
	}
	s.launched(e, env, light, now)
	s.free(e, now)
	s.plan()
}

// launched notes what became of e's launch. The lock is held.
func (s *Scheduler) launched(e *environment, env millicent.Environment, light bool, now time.Time) {
	s.starts.measured(e.spec.Runtime, e.of.record, now.Sub(e.began))
	e.Environment, e.of.record.light = env, light
}

// launchFailed tells of a failure whom it concerns. The lock is held.
func (s *Scheduler) launchFailed(e *environment, err error) {
	ver := e.of
	if q := ver.line.beyond(0); q != nil {
		q.failure = err
		ver.line.failed++
		if tellNow(ver.line.length, ver.count[busy], ver.count[launching]-1) {
			q := ver.line.firstFailed()
			s.fail(q, q.failure)
		}
	} else if !s.broken {
		s.cfg.Log.Warn("launch that nobody waits for any more failed",
			"function", e.spec.Function, "version", e.spec.Number, "error", err)
	}
	s.remove(e)
	s.plan()
}

func (s *Scheduler) callLauncher(v *millicent.Version, start millicent.StartRecord) (millicent.Environment, error) {
	launcher, err := s.cfg.Launcher(v.Runtime)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(s.life, launchTimeout)
	defer cancel()
	env, err := launcher.Launch(millicent.WithStart(ctx, start), v)
	if err != nil {
		if s.life.Err() != nil {
			return nil, errStopping()
		}
		return nil, fmt.Errorf("launch version %s of %s: %w", v.Number, v.Function, err)
	}
	return env, nil
}
