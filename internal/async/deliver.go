package async

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

const (
	deliveryTimeout = 15 * time.Second // of one attempt
	deliveryAge     = 6 * time.Hour    // then the record becomes a dead letter
	maxAnswer       = 64 << 10         // bytes read of a webhook's answer
)

// ErrRejected says that another attempt at a delivery would fare no better.
var ErrRejected = errors.New("rejected")

// deliver tries one delivery and does what follows.
func (e *Events) deliver(ctx context.Context, deliveries []queue.Delivery) {
	d := deliveries[0]
	ev, err := decode(&d.Message)
	if err != nil {
		e.cfg.Log.Error("stored delivery not understood", "error", err)
		e.release(d, e.cfg.Now().Add(unreadablePause), d.Progress)
		return
	}
	to, _ := millicent.ParseDestination(ev.Target) // of no kind: send refuses it
	err = e.send(ctx, to, ev)
	now := e.cfg.Now()
	settled := context.WithoutCancel(ctx)
	switch p := d.Progress; {
	case err == nil:
		e.cfg.Observer.EventDelivered(to.Kind, true)
		err = errors.Join(e.cfg.Queues.Settle(settled, d.Queue, d.Handle)...)
	case ctx.Err() != nil:
		e.release(d, now, p)
		return
	case !errors.Is(err, ErrRejected) && now.Sub(d.Sent) < deliveryAge:
		p.Attempts++
		e.release(d, now.Add(backOff(p.Attempts-1)), p)
		return
	default:
		e.cfg.Observer.EventDelivered(to.Kind, false)
		e.tell(ev, "rejected").Warn("record not delivered, kept as a dead letter", "to", ev.Target, "error", err)
		cause := err
		err = e.bury(settled, func() (queue.Message, error) {
			dead := *ev
			dead.Failure = &failure{Condition: conditionUndelivered, Message: clip(cause.Error()), Attempts: p.Attempts + 1, Time: now}
			return e.grave(&dead)
		}, []queue.Settled{{Queue: d.Queue, Handle: d.Handle}})
	}
	if err != nil {
		e.cfg.Log.Error("delivery not settled, it is made again", "id", ev.id, "error", err)
	}
}

// conditionUndelivered is that of a record that did not reach its destination.
const conditionUndelivered = "DeliveryFailed"

// send makes one attempt at a delivery.
func (e *Events) send(ctx context.Context, to millicent.Destination, ev *event) error {
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	switch to.Kind {
	case millicent.ToWebhook:
		return e.post(ctx, to.Name, ev)
	case millicent.ToSubject:
		return e.cfg.Publish(ctx, millicent.DestinationSubject(ev.tenant, to.Name), ev.id, ev.Lineage.Next(ev.tenant, ev.function, ev.id), ev.body)
	}
	return fmt.Errorf("%w: %q is no destination of deliveries", ErrRejected, ev.Target)
}

// post sends a record to a webhook, as the function itself could have. Each has
// a connection of its own: the next may be another function's.
func (e *Events) post(ctx context.Context, address string, ev *event) error {
	f, err := e.cfg.Store.Function(ev.tenant, ev.function)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRejected, err)
	}
	client := http.Client{
		Transport: &http.Transport{
			DialContext:       func(ctx context.Context, _, addr string) (net.Conn, error) { return e.cfg.Dial(ctx, f.Egress, addr) },
			DisableKeepAlives: true, MaxResponseHeaderBytes: maxAnswer,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(ev.body))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRejected, err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "millicent")
	req.Header.Set("X-Millicent-Request-Id", ev.id)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer) // the status has said it all
	switch {
	case res.StatusCode/100 == 2:
		return nil
	case res.StatusCode/100 == 4 && res.StatusCode != http.StatusRequestTimeout && res.StatusCode != http.StatusTooManyRequests:
		return fmt.Errorf("%w: the webhook answered %s", ErrRejected, res.Status)
	}
	return fmt.Errorf("the webhook answered %s", res.Status)
}
