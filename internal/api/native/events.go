package native

import (
	"context"
	"net/http"
	"strconv"

	"github.com/millicent-run/millicent"
)

// Events is what the endpoints need of Event invocations.
type Events interface {
	EventQueues(tenant string) []millicent.EventQueue
	Letters
}

// Letters are dead letters: of functions, or in queues.
type Letters interface {
	// DeadLetters and Act are for one function or queue, and DeadLetters
	// without a name for all of a tenant's.
	DeadLetters(ctx context.Context, tenant, name string, after uint64, limit int, bodies bool) ([]millicent.DeadLetter, error)
	Act(ctx context.Context, tenant string, a millicent.DeadLetterAction) ([]millicent.DeadLetter, error)
}

const (
	defaultLetters = 100
	maxLetters     = 1000
)

func (h *Handler) eventQueues(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string][]millicent.EventQueue{
		"queues": h.cfg.Events.EventQueues(millicent.IdentityFrom(r.Context()).Tenant),
	})
}

func (h *Handler) deadLetters(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, after := defaultLetters, uint64(0)
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxLetters {
			return millicent.Errorf(millicent.CodeInvalid, "limit is a number from 1 to %d", maxLetters)
		}
		limit = n
	}
	if s := q.Get("after"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return millicent.Errorf(millicent.CodeInvalid, "after is the number of a dead letter")
		}
		after = n
	}
	from, name := Letters(h.cfg.Events), q.Get("function")
	if q.Has("queue") {
		from, name = h.cfg.Queues, q.Get("queue")
	}
	letters, err := from.DeadLetters(r.Context(), millicent.IdentityFrom(r.Context()).Tenant, name, after, limit, false)
	if err != nil {
		return err
	}
	return writeLetters(w, letters)
}

// deadLetter answers with one dead letter, with its body.
func deadLetter(from Letters) endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		name := r.PathValue("name")
		number, err := strconv.ParseUint(r.PathValue("number"), 10, 64)
		if err == nil && number > 0 {
			found, err := from.DeadLetters(r.Context(), millicent.IdentityFrom(r.Context()).Tenant, name, number-1, 1, true)
			if err != nil {
				return err
			}
			if len(found) == 1 && found[0].Number == number {
				return writeJSON(w, http.StatusOK, found[0])
			}
		}
		return millicent.Errorf(millicent.CodeNotFound, "%s has no dead letter %.20s.", name, r.PathValue("number"))
	}
}

// actOnDeadLetters replays or removes dead letters; set says whose.
func actOnDeadLetters(on Letters, set func(a *millicent.DeadLetterAction, name string)) endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		var a millicent.DeadLetterAction
		if err := readJSON(w, r, &a); err != nil {
			return err
		}
		if a.All == (len(a.Numbers) > 0) {
			return millicent.Errorf(millicent.CodeInvalid, "Either numbers or all must be given.")
		}
		set(&a, r.PathValue("name"))
		done, err := on.Act(r.Context(), millicent.IdentityFrom(r.Context()).Tenant, a)
		if err != nil {
			return err
		}
		return writeLetters(w, done)
	}
}

func writeLetters(w http.ResponseWriter, letters []millicent.DeadLetter) error {
	return writeJSON(w, http.StatusOK, map[string][]millicent.DeadLetter{"deadLetters": letters})
}
