package native

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
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

// eventStream is the media type of server-sent events.
const eventStream = "text/event-stream"

// A logWriter writes log records as lines of JSON, or each as a server-sent
// event for a client that asks for these.
type logWriter struct {
	http.ResponseWriter
	enc    *json.Encoder
	events bool
}

func newLogWriter(w http.ResponseWriter, r *http.Request) *logWriter {
	out := &logWriter{ResponseWriter: w, enc: json.NewEncoder(w), events: r.Header.Get("Accept") == eventStream}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if out.events {
		w.Header().Set("Content-Type", eventStream)
		w.Header().Set("Cache-Control", "no-store")
	}
	return out
}

// write writes a record; a line of JSON has no line feed within.
func (w *logWriter) write(rec millicent.LogRecord) error {
	if !w.events {
		return w.enc.Encode(rec)
	}
	if _, err := io.WriteString(w, "data: "); err != nil {
		return err
	}
	if err := w.enc.Encode(rec); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// logs writes log records, and with follow=1 goes on until the client hangs up
// or the server stops.
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
	out := newLogWriter(w, r)
	for _, rec := range records {
		if out.write(rec) != nil {
			return nil // the client left
		}
	}
	return nil
}

func (h *Handler) follow(w http.ResponseWriter, r *http.Request, q telemetry.Query) error {
	lines, out := newLogWriter(w, r), http.NewResponseController(w)
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
	err := h.cfg.Logs.Follow(ctx, q, func(rec millicent.LogRecord) error {
		if err := lines.write(rec); err != nil {
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
