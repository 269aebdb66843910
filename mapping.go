package millicent

import (
	"fmt"
	"time"
)

// A Mapping connects an event source to a function: what the source has is
// given to the function in batches.
//
// Values handed out by a catalog are shared and must not be modified.
type Mapping struct {
	ID     string `json:"id"` // UUID
	Tenant string `json:"tenant"`

	Source    string `json:"source"`              // ARN of a Source
	Function  string `json:"function"`            // name
	Qualifier string `json:"qualifier,omitempty"` // as given: empty, a number or an alias

	Enabled         bool          `json:"enabled"`
	BatchSize       int           `json:"batchSize"`                // records, 1 to 10,000; of a FIFO queue to 10
	Window          time.Duration `json:"window,omitempty"`         // whole seconds to wait for a batch to fill, at most 300
	MaxConcurrency  int           `json:"maxConcurrency,omitempty"` // batches of a queue at a time, 2 to 1,000; 0: as the load asks for
	Filters         []string      `json:"filters,omitempty"`        // patterns; a record that matches none is dropped
	PartialFailures bool          `json:"partialFailures,omitempty"`

	Access []SourceAccess  `json:"access,omitempty"` // of a NATS server
	Stream *StreamSettings `json:"stream,omitempty"` // of a stream; nil for other sources

	// Extra holds parts that millicent stores and answers but does not act
	// upon, by the name of the member in the Lambda API, as its JSON.
	Extra map[string]string `json:"extra,omitempty"`
	Tags  map[string]string `json:"tags,omitempty"`

	Created  time.Time `json:"created,omitzero"`
	Modified time.Time `json:"modified"` // tags aside
}

// StreamSettings say where a mapping begins in a stream, and what becomes of
// records that cannot be processed.
type StreamSettings struct {
	Position string    `json:"position"`         // TRIM_HORIZON, LATEST or AT_TIMESTAMP
	From     time.Time `json:"from,omitzero"`    // with AT_TIMESTAMP
	Parallel int       `json:"parallel"`         // batches at a time, of different subjects, 1 to 10
	Retries  int       `json:"retries"`          // of a batch that failed, 0 to 10,000; -1: without end
	MaxAge   int       `json:"maxAge"`           // seconds that a record may be old, 60 to 604,800; -1: any
	Bisect   bool      `json:"bisect"`           // halve a batch that failed
	Failed   string    `json:"failed,omitempty"` // ARN of the Destination that is told of records given up
}

// The positions in a stream where a mapping can begin.
const (
	PositionOldest = "TRIM_HORIZON"
	PositionLatest = "LATEST"
	PositionTime   = "AT_TIMESTAMP"
)

// A SourceAccess names a variable of the function's environment that has what
// gives access to a source.
type SourceAccess struct {
	Type     string `json:"type"` // AccessBasic or AccessRootCA
	Variable string `json:"variable"`
}

// The types of a SourceAccess, and what the variable has.
const (
	AccessBasic  = "BASIC_AUTH"                 // USER:PASSWORD, a token, or the content of a .creds file
	AccessRootCA = "SERVER_ROOT_CA_CERTIFICATE" // certificates in PEM form
)

// ARN returns the mapping's resource name.
func (m *Mapping) ARN(region string) string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:event-source-mapping:%s", region, m.Tenant, m.ID)
}

// FunctionARN returns the resource name of what the mapping invokes.
func (m *Mapping) FunctionARN(region string) string {
	return ARN(region, m.Tenant, m.Function, m.Qualifier)
}
