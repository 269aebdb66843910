package native

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/telemetry"
)

// maxLogs is the most records that one call asks for.
const maxLogs = 10000

var functionForm = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// logs writes log records as NDJSON, and with follow=1 goes on until the
// client hangs up or the server stops.
func (h *Handler) logs(w http.ResponseWriter, r *http.Request) error {
	q, follow, err := logQuery(r.URL.Query())
	if err != nil {
		return err
	}
	q.Tenant = millicent.IdentityFrom(r.Context()).Tenant
	if follow {
		return h.follow(w, r, q)
	}
	records, err := h.cfg.Logs.Read(r.Context(), q)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	for _, rec := range records {
		if enc.Encode(rec) != nil {
			return nil // the client left
		}
	}
	return nil
}

func (h *Handler) follow(w http.ResponseWriter, r *http.Request, q telemetry.Query) error {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := http.NewResponseController(w)
	if err := out.Flush(); err != nil { // the headers, so that the client knows that it listens
		return fmt.Errorf("stream logs: %w", err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() { // ends with the request
		select {
		case <-h.cfg.Stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	enc := json.NewEncoder(w)
	err := h.cfg.Logs.Follow(ctx, q, func(rec millicent.LogRecord) error {
		if err := enc.Encode(rec); err != nil {
			return err
		}
		return out.Flush()
	})
	if err != nil && ctx.Err() == nil {
		h.cfg.Log.Debug("log stream ended", "function", q.Function, "error", err)
	}
	return nil // the answer has begun: its end is all that can still be said
}

// logQuery reads what a call asks for.
func logQuery(v url.Values) (q telemetry.Query, follow bool, err error) {
	q.Function = v.Get("function")
	if !functionForm.MatchString(q.Function) {
		return q, false, millicent.Errorf(millicent.CodeInvalid, "function: %.80q is not a function's name", q.Function)
	}
	if since := v.Get("since"); since != "" {
		if q.Since, err = time.Parse(time.RFC3339, since); err != nil {
			return q, false, millicent.Errorf(millicent.CodeInvalid, "since: %.80q is not a time like 2026-01-02T15:04:05Z", since)
		}
	}
	if limit := v.Get("limit"); limit != "" {
		if q.Limit, err = strconv.Atoi(limit); err != nil || q.Limit < 1 || q.Limit > maxLogs {
			return q, false, millicent.Errorf(millicent.CodeInvalid, "limit: %.80q is not a number from 1 to %d", limit, maxLogs)
		}
	}
	switch f := v.Get("follow"); f {
	case "", "0", "false":
	case "1", "true":
		follow = true
	default:
		return q, false, millicent.Errorf(millicent.CodeInvalid, "follow: %.80q is neither 0 nor 1", f)
	}
	return q, follow, nil
}
