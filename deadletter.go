package millicent

import "time"

// A DeadLetter is an Event invocation that ended in failure and had nowhere
// else to go, or a record of one that did not reach its destination, or a
// message of a dead-letter queue.
type DeadLetter struct {
	Function  string    `json:"function,omitempty"`
	Queue     string    `json:"queue,omitempty"`  // name of the dead-letter queue
	Source    string    `json:"source,omitempty"` // name of the queue that the message comes from
	Number    uint64    `json:"number"`           // unique, ascending
	ID        string    `json:"id"`               // request id of the invocation
	Qualifier string    `json:"qualifier,omitempty"`
	Target    string    `json:"target,omitempty"`    // ARN that the record was for; empty for an event
	Condition string    `json:"condition,omitempty"` // RetriesExhausted, EventAgeExceeded, …
	Code      string    `json:"code,omitempty"`      // of the platform's error; empty when the function failed
	Message   string    `json:"message,omitempty"`   // of the error
	Attempts  int       `json:"attempts"`            // that ran; of a queue's, how often it was received there
	Received  time.Time `json:"received"`            // when the event was accepted, or the message sent
	Failed    time.Time `json:"failed,omitzero"`     // not known of a queue's
	Size      int       `json:"size"`                // bytes of the event or record

	// Body is the event, or the record; only where it was asked for.
	Body string `json:"body,omitempty"`
}

// An EventQueue tells of the Event invocations of a function that have not
// ended.
type EventQueue struct {
	Function  string    `json:"function"`
	Ready     int       `json:"ready"`   // that wait for their turn
	Delayed   int       `json:"delayed"` // that wait for another attempt
	Running   int       `json:"running"`
	Bytes     int64     `json:"bytes"`
	Oldest    time.Time `json:"oldest,omitzero"`    // when the oldest was accepted
	NextRetry time.Time `json:"nextRetry,omitzero"` // of the delayed

	Deliveries  int `json:"deliveries"`  // records on their way to webhooks and subjects
	DeadLetters int `json:"deadLetters"` // kept
}

// A DeadLetterAction says what is to be done with dead letters.
type DeadLetterAction struct {
	Function string   `json:"-"`
	Queue    string   `json:"-"`                // in place of Function: of a dead-letter queue
	Replay   bool     `json:"replay,omitempty"` // run the events, send the records, or move the messages back; else remove them
	Numbers  []uint64 `json:"numbers,omitempty"`
	All      bool     `json:"all,omitempty"` // all that there are, instead of Numbers
	DryRun   bool     `json:"dryRun,omitempty"`
}

// Abandoned says what is to become of records of a stream, or of a subject,
// that a mapping gave up.
type Abandoned struct {
	Target    string // ARN of the Destination that is sent Record; empty for none: the event is kept as a dead letter
	Record    []byte // JSON
	Condition string // RetryAttemptsExhausted, RecordAgeExceeded, …
	Message   string
	Runs      int
}
