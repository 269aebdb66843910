package eventsource

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/millicent-run/millicent"
)

// Why records of a stream are given up.
const (
	conditionRetries = "RetryAttemptsExhausted"
	conditionAge     = "RecordAgeExceeded"
	conditionSize    = "RecordTooLarge" // ours
)

// maxRecord bounds what a destination is sent, in bytes.
const maxRecord = 1 << 20

// failureRecord tells a destination of records that were given up, as AWS's do
// for its streams.
type failureRecord struct {
	RequestContext  requestContext   `json:"requestContext"`
	ResponseContext *responseContext `json:"responseContext,omitempty"`
	Version         string           `json:"version"`
	Timestamp       string           `json:"timestamp"`
	Batch           batchInfo        `json:"NATSBatchInfo"`
	Payload         string           `json:"payload,omitempty"` // the event, if there is room
}

type requestContext struct {
	RequestID   string `json:"requestId"`
	FunctionARN string `json:"functionArn"`
	Condition   string `json:"condition"`
	InvokeCount int    `json:"approximateInvokeCount"`
}

type responseContext struct {
	StatusCode      int    `json:"statusCode"`
	ExecutedVersion string `json:"executedVersion"`
	FunctionError   string `json:"functionError,omitempty"`
}

type batchInfo struct {
	Stream    string   `json:"stream"`
	Start     string   `json:"startSequenceNumber"`
	End       string   `json:"endSequenceNumber"`
	Sequences []string `json:"sequenceNumbers,omitempty"` // when there are others in between
	First     string   `json:"approximateArrivalOfFirstRecord"`
	Last      string   `json:"approximateArrivalOfLastRecord"`
	Size      int      `json:"batchSize"`
	ARN       string   `json:"streamArn"`
}

const failureTime = "2006-01-02T15:04:05.000Z"

// newFailure returns the record of a trial that was given up.
func (r *streamRun) newFailure(condition string, t trial, a answer, now time.Time) failureRecord {
	first, last := t.records[0], t.records[len(t.records)-1]
	f := failureRecord{
		RequestContext: requestContext{a.id, r.mapping.FunctionARN(r.service.cfg.Region), condition, t.runs},
		Version:        "1.0", Timestamp: now.UTC().Format(failureTime),
		Batch: batchInfo{
			Stream: r.source.Name, Start: first.id(), End: last.id(), Size: len(t.records), ARN: r.mapping.Source,
			First: first.time.UTC().Format(failureTime), Last: last.time.UTC().Format(failureTime),
		},
	}
	if last.sequence-first.sequence >= uint64(len(t.records)) {
		for _, rec := range t.records {
			f.Batch.Sequences = append(f.Batch.Sequences, strconv.FormatUint(rec.sequence, 10))
		}
	}
	if a.result != nil {
		f.ResponseContext = &responseContext{200, a.result.Version, a.result.FunctionError}
	}
	return f
}

// giveUp has a trial's records kept elsewhere, and is done with them then. It
// waits for that for as long as it takes, unless the run is stopped.
func (r *streamRun) giveUp(condition string, t trial, a answer) error {
	if a.id == "" {
		a.id = uuid.NewString()
	}
	event := eventOf(t.records)
	f := r.newFailure(condition, t, a, r.service.cfg.Now())
	f.Payload = string(event)
	told, err := json.Marshal(f)
	if err == nil && len(told) > maxRecord {
		f.Payload = ""
		told, err = json.Marshal(f)
	}
	if err != nil {
		return err
	}
	if len(event) > maxPayload {
		event = told // no dead letter is larger
	}
	inv := r.invocation(event)
	inv.ID, inv.Received = a.id, r.service.cfg.Now()
	lost := millicent.Abandoned{Target: r.settings.Failed, Record: told, Condition: condition, Runs: t.runs, Message: errCall.Error()}
	switch condition {
	case conditionAge:
		lost.Message = "The records were not processed within their maximum age."
	case conditionSize:
		lost.Message = "An event with the record would be too large."
	}
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		if err = r.service.cfg.Events.Abandon(context.WithoutCancel(r.ctx), inv, lost); err == nil {
			return acknowledge(t.records)
		}
		r.note(err)
		if r.sleep(pause); r.ctx.Err() != nil {
			return err
		}
	}
}

// invocation returns a call of the mapping's function.
func (r *run) invocation(event []byte) *millicent.Invocation {
	m := r.mapping
	return &millicent.Invocation{Tenant: m.Tenant, Function: m.Function, Qualifier: m.Qualifier, Event: event}
}
