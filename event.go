package millicent

import (
	"net/url"
	"strings"
	"time"
)

// What holds for Event invocations unless an EventConfig says otherwise.
const (
	DefaultEventRetries = 2
	DefaultEventAge     = 6 * time.Hour
)

// An EventConfig says what becomes of the Event invocations of a function
// under one qualifier.
type EventConfig struct {
	Retries   *int          `json:"retries,omitempty"`   // 0 to 2; nil means DefaultEventRetries
	MaxAge    time.Duration `json:"maxAge,omitempty"`    // 1 minute to 6 hours; zero means DefaultEventAge
	OnSuccess string        `json:"onSuccess,omitempty"` // ARN of a Destination; empty means none
	OnFailure string        `json:"onFailure,omitempty"` // likewise
	Modified  time.Time     `json:"modified"`
}

// EventConfigOf returns the configuration of the Event invocations under a
// qualifier, nil for none.
func (f *Function) EventConfigOf(qualifier string) *EventConfig {
	if qualifier == "" {
		qualifier = Latest
	}
	return f.Events[qualifier]
}

// A Destination is where the outcome of an Event invocation is sent.
type Destination struct {
	Kind      DestinationKind
	Region    string // of a function or queue
	Tenant    string // likewise
	Name      string // of a function or queue; a webhook's URL; a NATS subject
	Qualifier string // of a function, may be empty
}

// DestinationKind is the kind of a Destination.
type DestinationKind string

// The kinds of destinations.
const (
	ToFunction DestinationKind = "function" // arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]
	ToQueue    DestinationKind = "queue"    // arn:aws:sqs:REGION:ACCOUNT:NAME
	ToWebhook  DestinationKind = "webhook"  // arn:aws-millicent:webhook:::URL
	ToSubject  DestinationKind = "nats"     // arn:aws-millicent:nats:::SUBJECT
)

// Beginnings of the resource names of our own kinds. The partition begins with
// aws because the Lambda API takes no other.
const (
	webhookPrefix = "arn:aws-millicent:webhook:::"
	subjectPrefix = "arn:aws-millicent:nats:::"
)

// ParseDestination returns the destination that a resource name stands for; ok
// is false for what cannot be one.
func ParseDestination(arn string) (d Destination, ok bool) {
	if address, found := strings.CutPrefix(arn, webhookPrefix); found {
		u, err := url.Parse(address)
		ok := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil
		return Destination{Kind: ToWebhook, Name: address}, ok
	}
	if subject, found := strings.CutPrefix(arn, subjectPrefix); found {
		return Destination{Kind: ToSubject, Name: subject}, IsSubject(subject)
	}
	if region, tenant, name, ok := ParseQueueARN(arn); ok {
		return Destination{Kind: ToQueue, Region: region, Tenant: tenant, Name: name}, true
	}
	p := strings.Split(arn, ":")
	if len(p) < 7 || len(p) > 8 || p[0] != "arn" || p[2] != "lambda" || p[5] != "function" || p[6] == "" {
		return Destination{}, false
	}
	d = Destination{Kind: ToFunction, Region: p[3], Tenant: p[4], Name: p[6]}
	if len(p) == 8 {
		d.Qualifier = p[7]
	}
	return d, true
}

// IsSubject reports whether a text is a subject of our NATS destinations:
// names of [a-zA-Z0-9_-] joined by dots, at most 255 bytes.
func IsSubject(s string) bool {
	if len(s) > 255 {
		return false
	}
	for token := range strings.SplitSeq(s, ".") {
		if token == "" || strings.Trim(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			return false
		}
	}
	return true
}

// DestinationSubject is the subject at which the state engine gets what a
// tenant's functions send to a subject of theirs.
func DestinationSubject(tenant, subject string) string {
	return "events." + tenant + "." + subject
}
