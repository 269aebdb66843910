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

	Source    string `json:"source"`              // ARN of a queue
	Function  string `json:"function"`            // name
	Qualifier string `json:"qualifier,omitempty"` // as given: empty, a number or an alias

	Enabled         bool          `json:"enabled"`
	BatchSize       int           `json:"batchSize"`                // records, 1 to 10,000; of a FIFO queue to 10
	Window          time.Duration `json:"window,omitempty"`         // whole seconds to wait for a batch to fill, at most 300
	MaxConcurrency  int           `json:"maxConcurrency,omitempty"` // batches at a time, 2 to 1,000; 0: as the load asks for
	Filters         []string      `json:"filters,omitempty"`        // patterns; a record that matches none is dropped
	PartialFailures bool          `json:"partialFailures,omitempty"`

	// Extra holds parts that millicent stores and answers but does not act
	// upon, by the name of the member in the Lambda API, as its JSON.
	Extra map[string]string `json:"extra,omitempty"`
	Tags  map[string]string `json:"tags,omitempty"`

	Modified time.Time `json:"modified"`
}

// ARN returns the mapping's resource name.
func (m *Mapping) ARN(region string) string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:event-source-mapping:%s", region, m.Tenant, m.ID)
}

// FunctionARN returns the resource name of what the mapping invokes.
func (m *Mapping) FunctionARN(region string) string {
	return ARN(region, m.Tenant, m.Function, m.Qualifier)
}
