package sqs

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

// The attributes of a queue that this package acts upon.
const (
	attrDelay        = "DelaySeconds"
	attrMaxBytes     = "MaximumMessageSize"
	attrRetention    = "MessageRetentionPeriod"
	attrWait         = "ReceiveMessageWaitTimeSeconds"
	attrVisibility   = "VisibilityTimeout"
	attrRedrive      = "RedrivePolicy"
	attrFIFO         = "FifoQueue"
	attrContentDedup = "ContentBasedDeduplication"
	attrDedupScope   = "DeduplicationScope"
	attrThroughput   = "FifoThroughputLimit"
	attrSSE          = "SqsManagedSseEnabled"
	attrKey          = "KmsMasterKeyId"
	attrKeyReuse     = "KmsDataKeyReusePeriodSeconds"
	attrPolicy       = "Policy"
	attrRedriveAllow = "RedriveAllowPolicy"
)

// Those that it only answers.
const (
	attrAll        = "All"
	attrARN        = "QueueArn"
	attrMessages   = "ApproximateNumberOfMessages"
	attrNotVisible = "ApproximateNumberOfMessagesNotVisible"
	attrDelayed    = "ApproximateNumberOfMessagesDelayed"
	attrCreated    = "CreatedTimestamp"
	attrModified   = "LastModifiedTimestamp"
)

const maxExtra = 64 << 10 // bytes of an attribute that is only stored

// newQueue returns a queue with the defaults of SQS.
func newQueue(tenant, name string, now time.Time) *millicent.Queue {
	return &millicent.Queue{
		Tenant: tenant, Name: name,
		Visibility: 30 * time.Second, Retention: 4 * 24 * time.Hour, MaxBytes: 1 << 20,
		Created: now, Modified: now,
	}
}

// seconds are the attributes that are whole seconds within bounds.
var seconds = map[string]struct {
	least, most int
	field       func(*millicent.Queue) *time.Duration
}{
	attrDelay:      {0, 900, func(q *millicent.Queue) *time.Duration { return &q.Delay }},
	attrRetention:  {60, 1_209_600, func(q *millicent.Queue) *time.Duration { return &q.Retention }},
	attrWait:       {0, 20, func(q *millicent.Queue) *time.Duration { return &q.Wait }},
	attrVisibility: {0, 43_200, func(q *millicent.Queue) *time.Duration { return &q.Visibility }},
}

// set sets attributes of q. exists tells whether a name is a queue's, of the
// same tenant.
func set(q *millicent.Queue, region string, attributes map[string]string, exists func(name string) bool) error {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if err := setOne(q, region, name, attributes[name], exists); err != nil {
			return err
		}
	}
	return nil
}

func setOne(q *millicent.Queue, region, name, value string, exists func(string) bool) error {
	if s, ok := seconds[name]; ok {
		n, err := strconv.Atoi(value)
		if err != nil || n < s.least || n > s.most {
			return invalidAttribute(name)
		}
		*s.field(q) = time.Duration(n) * time.Second
		return nil
	}
	switch name {
	case attrMaxBytes:
		n, err := strconv.Atoi(value)
		if err != nil || n < 1<<10 || n > 1<<20 {
			return invalidAttribute(name)
		}
		q.MaxBytes = n
	case attrRedrive:
		return setRedrive(q, region, value, exists)
	case attrFIFO, attrContentDedup, attrDedupScope, attrThroughput:
		return setFIFO(q, name, value)
	case attrSSE, attrKey, attrKeyReuse, attrPolicy, attrRedriveAllow:
		return setExtra(q, name, value)
	default:
		return millicent.Errorf(CodeInvalidAttribute, "Unknown Attribute %.80s.", name)
	}
	return nil
}

func invalidAttribute(name string) error {
	return millicent.Errorf(CodeInvalidAttrValue, "Invalid value for the parameter %s.", name)
}

func setFIFO(q *millicent.Queue, name, value string) error {
	if !q.FIFO() {
		return millicent.Errorf(CodeInvalidAttribute, "Unknown Attribute %s.", name)
	}
	bit, err := strconv.ParseBool(value)
	switch {
	case name == attrFIFO && err == nil && bit:
	case name == attrContentDedup && err == nil:
		q.ContentDedup = bit
	case name == attrDedupScope && (value == "queue" || value == "messageGroup"):
		q.GroupDedup = value == "messageGroup"
	case name == attrThroughput && (value == "perQueue" || value == "perMessageGroupId"):
		return setExtra(q, name, value)
	default:
		return invalidAttribute(name)
	}
	return nil
}

func setExtra(q *millicent.Queue, name, value string) error {
	if len(value) > maxExtra || value != "" && (name == attrPolicy || name == attrRedriveAllow) && !json.Valid([]byte(value)) {
		return invalidAttribute(name)
	}
	if value == "" {
		delete(q.Extra, name)
		return nil
	}
	if q.Extra == nil {
		q.Extra = map[string]string{}
	}
	q.Extra[name] = value
	return nil
}

// redrivePolicy is the value of RedrivePolicy. AWS takes the count as a number
// or as a text, and answers with a number.
type redrivePolicy struct {
	Target string      `json:"deadLetterTargetArn"`
	Count  json.Number `json:"maxReceiveCount"`
}

func setRedrive(q *millicent.Queue, region, value string, exists func(string) bool) error {
	if value == "" {
		q.Redrive = nil
		return nil
	}
	var p redrivePolicy
	if err := json.Unmarshal([]byte(value), &p); err != nil {
		return invalidParameter(value, attrRedrive, "Redrive policy is not a valid JSON map.")
	}
	n, err := strconv.Atoi(p.Count.String())
	if err != nil || n < 1 || n > 1000 {
		return invalidParameter(value, attrRedrive, "Invalid value for maxReceiveCount: "+p.Count.String()+", valid values are from 1 to 1000 both inclusive.")
	}
	targetRegion, tenant, name, ok := millicent.ParseQueueARN(p.Target)
	switch {
	case !ok || targetRegion != region || tenant != q.Tenant:
		return invalidParameter(value, attrRedrive, "Invalid value for deadLetterTargetArn.")
	case !exists(name):
		return invalidParameter(value, attrRedrive, "Dead letter target does not exist.")
	case (&millicent.Queue{Name: name}).FIFO() != q.FIFO():
		return invalidParameter(value, attrRedrive, "Dead-letter queue must be same type of queue as the source.")
	}
	q.Redrive = &millicent.Redrive{DeadLetter: name, MaxReceives: n}
	return nil
}

// settings returns the attributes of a queue that are set or have a default.
func settings(q *millicent.Queue, region string) map[string]string {
	all := map[string]string{
		attrARN:      q.ARN(region),
		attrCreated:  strconv.FormatInt(q.Created.Unix(), 10),
		attrModified: strconv.FormatInt(q.Modified.Unix(), 10),
		attrMaxBytes: strconv.Itoa(q.MaxBytes),
		attrSSE:      "true",
	}
	for name, s := range seconds {
		all[name] = strconv.Itoa(int(*s.field(q) / time.Second))
	}
	maps.Copy(all, q.Extra)
	if all[attrKey] != "" {
		all[attrSSE] = "false"
	}
	if r := q.Redrive; r != nil {
		b, err := json.Marshal(redrivePolicy{millicent.QueueARN(region, q.Tenant, r.DeadLetter), json.Number(strconv.Itoa(r.MaxReceives))})
		if err == nil {
			all[attrRedrive] = string(b)
		}
	}
	if q.FIFO() {
		all[attrFIFO] = "true"
		all[attrContentDedup] = strconv.FormatBool(q.ContentDedup)
		all[attrDedupScope] = "queue"
		if q.GroupDedup {
			all[attrDedupScope] = "messageGroup"
		}
		if all[attrThroughput] == "" {
			all[attrThroughput] = "perQueue"
		}
	}
	return all
}

// choose returns those of all that are asked for by name.
func choose(all map[string]string, names []string) (map[string]string, error) {
	if slices.Contains(names, attrAll) {
		return all, nil
	}
	chosen := map[string]string{}
	for _, name := range names {
		value, ok := all[name]
		switch {
		case ok:
			chosen[name] = value
		case !known(name):
			return nil, millicent.Errorf(CodeInvalidAttribute, "Unknown Attribute %.80s.", name)
		}
	}
	return chosen, nil
}

func known(name string) bool {
	switch name {
	case attrRedrive, attrFIFO, attrContentDedup, attrDedupScope, attrThroughput, attrKey, attrKeyReuse, attrPolicy, attrRedriveAllow:
		return true
	}
	return false
}

// counts adds the attributes that count messages.
func counts(all map[string]string, s queue.Stats) {
	all[attrMessages] = strconv.Itoa(s.Ready)
	all[attrNotVisible] = strconv.Itoa(s.InFlight)
	all[attrDelayed] = strconv.Itoa(s.Delayed)
}

// differs returns the name of the first attribute of wanted that q does not
// have as asked for.
func differs(q *millicent.Queue, region string, wanted map[string]string) (name string, ok bool) {
	again := *q
	again.Extra = maps.Clone(q.Extra)
	if err := set(&again, region, wanted, func(string) bool { return true }); err != nil {
		var e *millicent.Error
		if errors.As(err, &e) {
			return e.Message, true
		}
	}
	have, want := settings(q, region), settings(&again, region)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if have[name] != want[name] {
			return name, true
		}
	}
	return "", false
}
