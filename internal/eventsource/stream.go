package eventsource

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
)

// A streamRun is an enabled mapping of a JetStream stream at work.
//
// Its place in the stream is a durable consumer on the NATS server, with the
// mapping's id in its name. It is the consumer's only client and takes nothing
// new before it is done with what it has, so messages that the server takes
// for lost meanwhile wait there, and are acknowledged all the same. What an
// earlier client left unacknowledged is owed: it comes again at once after a
// clean stop, and when the consumer's wait is over after another. It is waited
// for, so that the order stays.
type streamRun struct {
	*run
	settings *millicent.StreamSettings

	conn     *nats.Conn
	consumer jetstream.Consumer
	next     uint64    // the next delivery's number, 0 for any
	owed     int       // messages that were delivered to an earlier client
	patience time.Time // when they have come, or will not
}

// turn takes records and processes them. After an error it begins anew, with
// what was not acknowledged.
func (r *streamRun) turn() error {
	if r.consumer == nil {
		if err := r.open(); err != nil {
			r.close()
			return err
		}
	}
	records, err := r.gather()
	if err == nil && len(records) > 0 {
		err = r.process(records)
	}
	if err != nil {
		r.close()
	}
	return err
}

func (r *streamRun) close() {
	hangUp(r.conn)
	r.conn, r.consumer, r.next, r.owed = nil, nil, 0, 0
}

// process has records run, and returns when they are done with or the run is
// stopped.
func (r *streamRun) process(records []natsRecord) error {
	var group sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for _, lane := range lanes(records, r.settings.Parallel) {
		group.Go(func() {
			err := r.lane(lane)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// lane has the records of a lane run, one batch after the other.
func (r *streamRun) lane(records []natsRecord) error {
	var trials []trial
	for _, b := range split(records, r.mapping.BatchSize, maxPayload) {
		trials = append(trials, trial{records: b.records})
	}
	for len(trials) > 0 {
		t := trials[0]
		if r.sleep(t.pause()); r.ctx.Err() != nil {
			return giveBack(trials)
		}
		old, rest := t.expired(r.service.cfg.Now(), r.settings)
		if len(old) > 0 {
			if err := r.giveUp(conditionAge, trial{records: old, runs: t.runs}, answer{}); err != nil {
				return err
			}
		}
		if t.records = rest; len(rest) == 0 {
			trials = trials[1:]
			continue
		}
		if len(rest) == 1 && len(eventOf(rest)) > maxPayload {
			if err := r.giveUp(conditionSize, t, answer{}); err != nil {
				return err
			}
			trials = trials[1:]
			continue
		}
		a := r.try(t)
		if a.result != nil {
			t.runs++
		}
		again, giveUp := t.after(a.outcome, a.done, r.settings)
		if err := acknowledge(t.records[:a.done]); err != nil {
			return err
		}
		if giveUp {
			t.records = t.records[a.done:]
			if err := r.giveUp(conditionRetries, t, a); err != nil {
				return err
			}
		}
		trials = append(again, trials[1:]...)
	}
	return nil
}

// An answer is how a trial went.
type answer struct {
	outcome outcome
	done    int // records, the first ones
	id      string
	result  *millicent.Result
}

// try has the function run with a trial's records.
func (r *streamRun) try(t trial) answer {
	inv := r.invocation(eventOf(t.records))
	inv.Attempt = t.runs + 1
	res, err := r.service.cfg.Invoker.Invoke(context.WithoutCancel(r.ctx), inv)
	a := answer{outcome: outcomeFailed, id: inv.ID, result: res}
	switch {
	case err != nil: // the platform's fault, or a throttle: the function did not run
		a.outcome = outcomeThrottled
		r.note(err)
		return a
	case res.FunctionError == "":
		a.done = len(t.records)
		if r.mapping.PartialFailures {
			a.done = firstFailure(t.records, res.Payload)
		}
		if a.done == len(t.records) {
			a.outcome = outcomeDone
		}
	}
	if a.outcome == outcomeDone {
		r.ran(nil)
	} else {
		r.ran(errCall)
	}
	return a
}

// firstFailure returns the place of the first record that failed, by a
// function's answer, or how many there are.
func firstFailure(records []natsRecord, payload []byte) int {
	ids := make([]string, len(records))
	for i, rec := range records {
		ids[i] = rec.id()
	}
	failed := failures(ids, payload)
	for i, id := range ids {
		if failed[id] {
			return i
		}
	}
	return len(records)
}

func acknowledge(records []natsRecord) error {
	for _, rec := range records {
		if err := rec.msg.Ack(); err != nil {
			return err
		}
	}
	return nil
}

// giveBack gives records back to their stream, which delivers them again.
func giveBack(trials []trial) error {
	for _, t := range trials {
		for _, rec := range t.records {
			if err := rec.msg.Nak(); err != nil {
				return err
			}
		}
	}
	return nil
}
