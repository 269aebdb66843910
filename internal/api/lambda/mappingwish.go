package lambda

import (
	"encoding/json"
	"time"

	"github.com/millicent-run/millicent"
)

var errNoPosition = invalid("1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.")

// defaultBatches are the records of a batch by what they come from.
var defaultBatches = map[millicent.SourceKind]int{millicent.FromQueue: 10, millicent.FromSubject: 100, millicent.FromStream: 100}

const maxTimestamp = 253402300799 // the end of the year 9999

// A parameter is one of the API's, which may be given.
type parameter struct {
	name  string
	given bool
}

// begin completes a new mapping with what cannot be changed later, and with
// the defaults of its source.
func begin(m *millicent.Mapping, kind millicent.SourceKind, in *CreateEventSourceMappingRequest) error {
	m.BatchSize = defaultBatches[kind]
	stream := kind == millicent.FromStream
	for _, p := range []parameter{
		{"SelfManagedEventSource", in.SelfManagedEventSource != nil}, {"Topics", in.Topics != nil}, {"Queues", in.Queues != nil},
		{"AmazonManagedKafkaEventSourceConfig", in.AmazonManagedKafkaEventSourceConfig != nil},
		{"SelfManagedKafkaEventSourceConfig", in.SelfManagedKafkaEventSourceConfig != nil},
		{"DocumentDBEventSourceConfig", in.DocumentDBEventSourceConfig != nil},
		{"StartingPosition", in.StartingPosition != nil && !stream},
		{"StartingPositionTimestamp", in.StartingPositionTimestamp != nil && !stream},
	} {
		if p.given {
			return unfitting(p.name)
		}
	}
	if !stream {
		return nil
	}
	if in.StartingPosition == nil {
		return errNoPosition
	}
	m.Stream = &millicent.StreamSettings{Position: *in.StartingPosition, Parallel: 1, Retries: -1, MaxAge: -1}
	if at := in.StartingPositionTimestamp; (at != nil) != (m.Stream.Position == millicent.PositionTime) {
		return invalid("StartingPositionTimestamp goes with the starting position AT_TIMESTAMP, and only with that.")
	} else if at != nil {
		if *at < 0 || *at > maxTimestamp {
			return invalid("StartingPositionTimestamp is out of range.")
		}
		m.Stream.From = time.UnixMilli(int64(*at * 1000)).UTC()
	}
	return nil
}

func unfitting(name string) error {
	return invalid("Unsupported %s parameter for given event source mapping type.", name)
}

// A mappingWish is what can be given for a new mapping and changed in another.
type mappingWish struct {
	batchSize     *int
	window        *int
	filters       *FilterCriteria
	scaling       *ScalingConfig
	responseTypes []string
	destination   *DestinationConfig
	parallel      *int
	maxAge        *int
	retries       *int
	bisect        *bool
	tumbling      *int
	access        []SourceAccessConfiguration
	extras        mappingExtras
}

// refused returns the name of the first thing in the wish that mappings of a
// kind of source do not have.
func (w mappingWish) refused(kind millicent.SourceKind) (name string, ok bool) {
	queue, stream := kind == millicent.FromQueue, kind == millicent.FromStream
	for _, p := range []parameter{
		{"DestinationConfig", !stream && w.destination.onFailure() != "" || w.destination.onSuccess() != ""},
		{"ScalingConfig", !queue && w.scaling != nil && w.scaling.MaximumConcurrency != nil},
		{"ProvisionedPollerConfig", !queue && w.extras.pollers != nil},
		{"FunctionResponseTypes", !queue && !stream && len(w.responseTypes) > 0},
		{"ParallelizationFactor", !stream && w.parallel != nil},
		{"MaximumRecordAgeInSeconds", !stream && w.maxAge != nil},
		{"MaximumRetryAttempts", !stream && w.retries != nil},
		{"BisectBatchOnFunctionError", !stream && w.bisect != nil && *w.bisect},
		{"TumblingWindowInSeconds", value(w.tumbling) > 0},
		{"SourceAccessConfigurations", queue && len(w.access) > 0},
	} {
		if p.given {
			return p.name, true
		}
	}
	return "", false
}

// apply changes a mapping as wished. n is its function.
func (h *Handler) apply(w mappingWish, m *millicent.Mapping, kind millicent.SourceKind, n name) error {
	if name, ok := w.refused(kind); ok {
		return unfitting(name)
	}
	if w.batchSize != nil {
		m.BatchSize = *w.batchSize
	}
	if w.window != nil {
		m.Window = time.Duration(*w.window) * time.Second
	}
	if w.filters != nil {
		m.Filters = nil
		for _, f := range w.filters.Filters {
			m.Filters = append(m.Filters, value(f.Pattern))
		}
	}
	if w.scaling != nil {
		m.MaxConcurrency = value(w.scaling.MaximumConcurrency)
	}
	if w.responseTypes != nil {
		m.PartialFailures = len(w.responseTypes) > 0
	}
	if w.access != nil {
		m.Access = nil
		for _, a := range w.access {
			m.Access = append(m.Access, millicent.SourceAccess{Type: value(a.Type), Variable: value(a.URI)})
		}
	}
	if err := w.extras.apply(m); err != nil || m.Stream == nil {
		return err
	}
	return h.applyStream(w, m.Stream, n)
}

func (h *Handler) applyStream(w mappingWish, s *millicent.StreamSettings, n name) error {
	if w.maxAge != nil {
		if *w.maxAge >= 0 && *w.maxAge < 60 {
			return invalid("MaximumRecordAgeInSeconds is -1, or from 60 to 604800.")
		}
		s.MaxAge = *w.maxAge
	}
	if w.retries != nil {
		s.Retries = *w.retries
	}
	if w.parallel != nil {
		s.Parallel = *w.parallel
	}
	if w.bisect != nil {
		s.Bisect = *w.bisect
	}
	if w.destination == nil {
		return nil
	}
	s.Failed = w.destination.onFailure()
	return h.checkDestinations(n, w.destination)
}

// showStream adds what a mapping of a stream has to its answer.
func showStream(out *EventSourceMappingConfiguration, s *millicent.StreamSettings) {
	if s == nil {
		return
	}
	out.StateTransitionReason = new("User action")
	out.StartingPosition = &s.Position
	if !s.From.IsZero() {
		out.StartingPositionTimestamp = new(float64(s.From.UnixMilli()) / 1000)
	}
	out.MaximumRecordAgeInSeconds, out.MaximumRetryAttempts = &s.MaxAge, &s.Retries
	out.ParallelizationFactor, out.BisectBatchOnFunctionError = &s.Parallel, &s.Bisect
	out.TumblingWindowInSeconds = new(0)
	out.DestinationConfig = &DestinationConfig{OnFailure: &OnFailure{Destination: optional(s.Failed)}}
}

// mappingExtras is what mappings only keep.
type mappingExtras struct {
	key     *string
	metrics *EventSourceMappingMetricsConfig
	logging *EventSourceMappingLoggingConfig
	pollers *ProvisionedPollerConfig
}

// Names of the extras in the API.
const (
	extraKey     = "KMSKeyArn"
	extraMetrics = "MetricsConfig"
	extraLogging = "LoggingConfig"
	extraPollers = "ProvisionedPollerConfig"
)

func (e mappingExtras) apply(m *millicent.Mapping) error {
	if e.pollers != nil && m.MaxConcurrency > 0 {
		return invalid("ProvisionedPollerConfig and ScalingConfig cannot be used together.")
	}
	set := func(name string, given bool, v any) error {
		if !given {
			return nil
		}
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		m.Extra = merged(m.Extra, map[string]string{name: string(b)})
		return nil
	}
	for _, err := range []error{
		set(extraKey, e.key != nil, e.key), set(extraMetrics, e.metrics != nil, e.metrics),
		set(extraLogging, e.logging != nil, e.logging), set(extraPollers, e.pollers != nil, e.pollers),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// showExtras adds what a mapping only keeps to its answer.
func showExtras(out *EventSourceMappingConfiguration, extra map[string]string) {
	show := func(name string, to any) {
		if text, ok := extra[name]; ok {
			_ = json.Unmarshal([]byte(text), to) // it was made by apply
		}
	}
	show(extraKey, &out.KMSKeyArn)
	show(extraMetrics, &out.MetricsConfig)
	show(extraLogging, &out.LoggingConfig)
	show(extraPollers, &out.ProvisionedPollerConfig)
}
