package budget

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/millicent-run/millicent"
)

const (
	maxNews     = 100              // that wait, of one tenant
	tellTimeout = 15 * time.Second // of one attempt
	maxAnswer   = 64 << 10         // bytes read of a webhook's answer
)

// ErrRefused is what Config.Dial's error wraps when another attempt would fare
// no better.
var ErrRefused = errors.New("refused for good")

// tellPauses lie between the attempts at telling.
var tellPauses = []time.Duration{time.Second, 10 * time.Second, time.Minute}

// A Notice is what webhooks and functions are told, as JSON.
type Notice struct {
	Source  string                 `json:"source"` // millicent.budget
	Time    time.Time              `json:"time"`
	Percent int                    `json:"percent,omitempty"` // of the budget that is spent: the one that is told of
	Storm   *millicent.Storm       `json:"storm,omitempty"`
	Budget  millicent.BudgetStatus `json:"budget"`
}

// A teller is the news that wait to be told: one tenant's after each other,
// different tenants' at the same time.
type teller struct {
	started bool
	waiting map[string][]News // by tenant
	active  map[string]bool   // tenants that are being told
}

func newTeller() teller {
	return teller{waiting: map[string][]News{}, active: map[string]bool{}}
}

// news is the Gate's: it writes to the operator's log, and has others told.
func (s *Service) news(n News) {
	tenant := n.Status.Tenant
	log := s.cfg.Log.With("tenant", tenant, "budget", n.Status.ID, "amount", n.Status.Amount, "spent", n.Status.Spent)
	if n.Storm != nil {
		signal(s.paused)
		log.Warn("function paused", "function", n.Storm.Function, "until", n.Storm.Until, "evidence", n.Storm.String())
	} else {
		log.Warn("budget", "percent", n.Percent)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.teller.waiting[tenant]) >= maxNews {
		log.Error("not told: too much waits to be", "waiting", maxNews)
		return
	}
	s.teller.waiting[tenant] = append(s.teller.waiting[tenant], n)
	if s.teller.started {
		s.tellTenant(tenant)
	}
}

// tellTenant has what waits of a tenant told, in the background. s.mu is held.
func (s *Service) tellTenant(tenant string) {
	if s.teller.active[tenant] || s.life.Err() != nil {
		return
	}
	s.teller.active[tenant] = true
	s.work.Go(func() { // ends when nothing waits, or with the service
		for s.life.Err() == nil {
			s.mu.Lock()
			all := s.teller.waiting[tenant]
			if len(all) == 0 {
				delete(s.teller.waiting, tenant)
				delete(s.teller.active, tenant)
				s.mu.Unlock()
				return
			}
			s.teller.waiting[tenant] = all[1:]
			s.mu.Unlock()
			s.tellOne(all[0])
		}
	})
}

// tellOne tells one piece of news, and remembers that.
func (s *Service) tellOne(n News) {
	var function bool // it was told
	err := s.attempt(n, &function)
	for _, pause := range tellPauses {
		if err == nil || errors.Is(err, ErrRefused) {
			break
		}
		select {
		case <-s.life.Done():
			return // it is told after the next start
		case <-time.After(pause):
		}
		err = s.attempt(n, &function)
	}
	if err == nil && n.Storm == nil {
		err = s.remember(n)
	}
	if err != nil && s.life.Err() == nil {
		s.cfg.Log.Warn("budget's warning not told", "tenant", n.Status.Tenant, "budget", n.Status.ID, "error", err)
	}
}

// attempt tells the function, unless it was told, and the webhook.
func (s *Service) attempt(n News, function *bool) error {
	ctx, cancel := context.WithTimeout(s.life, tellTimeout)
	defer cancel()
	body, err := json.Marshal(Notice{Source: "millicent.budget", Time: s.cfg.Now().UTC(), Percent: n.Percent, Storm: n.Storm, Budget: n.Status})
	if err != nil {
		return err
	}
	if f := n.Status.Notify; f != "" && !*function {
		err = s.cfg.Enqueue(ctx, &millicent.Invocation{Tenant: n.Status.Tenant, Function: f, Event: body})
		*function = err == nil
	}
	if n.Status.Webhook != "" {
		err = errors.Join(err, s.post(ctx, n.Status.Webhook, body))
	}
	return err
}

// post sends a notice to a webhook, where functions may connect to.
func (s *Service) post(ctx context.Context, address string, body []byte) error {
	client := http.Client{
		Transport: &http.Transport{
			DialContext:       func(ctx context.Context, _, addr string) (net.Conn, error) { return s.cfg.Dial(ctx, addr) },
			DisableKeepAlives: true, MaxResponseHeaderBytes: maxAnswer,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "millicent")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer) // the status has said it all
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("the webhook answered %s", res.Status)
	}
	return nil
}

// remember keeps through restarts what was told; also when the service is being
// closed.
func (s *Service) remember(n News) error {
	ctx := context.WithoutCancel(s.life)
	tenant, id := n.Status.Tenant, n.Status.ID
	_, err := s.cfg.States.Update(ctx, tenant, id, func(old *State) error {
		if !old.From.Equal(n.Status.From) {
			*old = State{From: n.Status.From}
		}
		old.Told = max(old.Told, n.Percent)
		return nil
	})
	if millicent.ErrorCode(err) != millicent.CodeNotFound {
		return err
	}
	return s.cfg.States.Create(ctx, tenant, id, &State{From: n.Status.From, Told: n.Percent})
}
