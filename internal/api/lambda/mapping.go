package lambda

import (
	"context"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
)

// Mappings keeps event source mappings. *eventsource.Service is one. Its errors
// are those of the API.
type Mappings interface {
	Create(ctx context.Context, m *millicent.Mapping) (*millicent.Mapping, error)
	Mapping(tenant, id string) (*millicent.Mapping, error)
	List(tenant string) []*millicent.Mapping
	Update(ctx context.Context, tenant, id string, change func(*millicent.Mapping) error) (*millicent.Mapping, error)
	Delete(ctx context.Context, tenant, id string) (*millicent.Mapping, error)
	Tag(ctx context.Context, tenant, id string, edit func(tags map[string]string) (map[string]string, error)) error
	Result(m *millicent.Mapping) string
}

// partialFailures is the one value of FunctionResponseTypes.
const partialFailures = "ReportBatchItemFailures"

func (h *Handler) createEventSourceMapping(ctx context.Context, req *request, in *CreateEventSourceMappingRequest) (*EventSourceMappingConfiguration, error) {
	n, err := h.resolve(req, *in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	if err := checkSource(in); err != nil {
		return nil, err
	}
	m := &millicent.Mapping{
		Tenant: req.tenant, Source: *in.EventSourceArn, Function: n.function, Qualifier: n.qualifier,
		Enabled: in.Enabled == nil || *in.Enabled, Tags: in.Tags,
	}
	if err := checkTags(m.Tags); err != nil {
		return nil, err
	}
	source, ok := millicent.ParseSource(m.Source)
	if !ok {
		return nil, unrecognizedSource
	}
	if err := begin(m, source.Kind, in); err != nil {
		return nil, err
	}
	wish := mappingWish{
		in.BatchSize, in.MaximumBatchingWindowInSeconds, in.FilterCriteria, in.ScalingConfig, in.FunctionResponseTypes, in.DestinationConfig,
		in.ParallelizationFactor, in.MaximumRecordAgeInSeconds, in.MaximumRetryAttempts, in.BisectBatchOnFunctionError,
		in.TumblingWindowInSeconds, in.SourceAccessConfigurations,
		mappingExtras{in.KMSKeyArn, in.MetricsConfig, in.LoggingConfig, in.ProvisionedPollerConfig},
	}
	if err := h.apply(wish, m, source.Kind, n); err != nil {
		return nil, err
	}
	m, err = h.cfg.Mappings.Create(ctx, m)
	if err != nil {
		return nil, err
	}
	return h.mapping(m, "Creating"), nil
}

var unrecognizedSource = invalid("Unrecognized event source.")

// checkSource refuses the sources that there are none of here, in AWS's words
// where AWS has them.
func checkSource(in *CreateEventSourceMappingRequest) error {
	if in.EventSourceArn == nil {
		if in.SelfManagedEventSource != nil && len(in.SourceAccessConfigurations) == 0 {
			return invalid("Required 'sourceAccessConfigurations' parameter is missing.")
		}
		return unrecognizedSource
	}
	arn := *in.EventSourceArn
	kind := strings.Split(arn, ":")[2]
	if kind != "kinesis" && kind != "dynamodb" {
		return nil
	}
	switch {
	case in.StartingPosition == nil:
		return errNoPosition
	case kind == "dynamodb" && *in.StartingPosition == millicent.PositionTime:
		return invalid("Unsupported starting position for arn type: %s", arn)
	}
	return invalid("Stream not found: %s", arn)
}

func (h *Handler) getEventSourceMapping(_ context.Context, req *request, in *GetEventSourceMappingRequest) (*EventSourceMappingConfiguration, error) {
	m, err := h.cfg.Mappings.Mapping(req.tenant, *in.UUID)
	if err != nil {
		return nil, err
	}
	return h.mapping(m, ""), nil
}

func (h *Handler) listEventSourceMappings(_ context.Context, req *request, in *ListEventSourceMappingsRequest) (*ListEventSourceMappingsResponse, error) {
	var function *name
	if in.FunctionName != nil {
		n, err := h.resolve(req, *in.FunctionName, nil)
		if err != nil {
			return nil, err
		}
		function = &n
	}
	all := []EventSourceMappingConfiguration{}
	for _, m := range h.cfg.Mappings.List(req.tenant) {
		if function != nil && (m.Function != function.function || function.qualifier != "" && m.Qualifier != function.qualifier) ||
			in.EventSourceArn != nil && *in.EventSourceArn != m.Source {
			continue
		}
		all = append(all, *h.mapping(m, ""))
	}
	page, next, err := paginate(all, in.Marker, in.MaxItems, 100, func(m EventSourceMappingConfiguration) string { return *m.UUID })
	return &ListEventSourceMappingsResponse{EventSourceMappings: page, NextMarker: next}, err
}

func (h *Handler) updateEventSourceMapping(ctx context.Context, req *request, in *UpdateEventSourceMappingRequest) (*EventSourceMappingConfiguration, error) {
	state := "Updating"
	m, err := h.cfg.Mappings.Update(ctx, req.tenant, *in.UUID, func(m *millicent.Mapping) error {
		if in.FunctionName != nil {
			n, err := h.resolve(req, *in.FunctionName, nil)
			if err != nil {
				return err
			}
			m.Function, m.Qualifier = n.function, n.qualifier
		}
		if in.Enabled != nil && *in.Enabled != m.Enabled {
			m.Enabled = *in.Enabled
			state = "Disabling"
			if m.Enabled {
				state = "Enabling"
			}
		}
		wish := mappingWish{
			in.BatchSize, in.MaximumBatchingWindowInSeconds, in.FilterCriteria, in.ScalingConfig, in.FunctionResponseTypes, in.DestinationConfig,
			in.ParallelizationFactor, in.MaximumRecordAgeInSeconds, in.MaximumRetryAttempts, in.BisectBatchOnFunctionError,
			in.TumblingWindowInSeconds, in.SourceAccessConfigurations,
			mappingExtras{in.KMSKeyArn, in.MetricsConfig, in.LoggingConfig, in.ProvisionedPollerConfig},
		}
		source, _ := millicent.ParseSource(m.Source)
		return h.apply(wish, m, source.Kind, name{region: h.cfg.Region, account: m.Tenant, function: m.Function, qualifier: m.Qualifier})
	})
	if err != nil {
		return nil, err
	}
	return h.mapping(m, state), nil
}

func (h *Handler) deleteEventSourceMapping(ctx context.Context, req *request, in *DeleteEventSourceMappingRequest) (*EventSourceMappingConfiguration, error) {
	m, err := h.cfg.Mappings.Delete(ctx, req.tenant, *in.UUID)
	if err != nil {
		return nil, err
	}
	return h.mapping(m, "Deleting"), nil
}

// mapping returns a mapping as the API shows it. What a change is on its way
// to is what it is when the answer is read; the state says so once.
func (h *Handler) mapping(m *millicent.Mapping, state string) *EventSourceMappingConfiguration {
	if state == "" {
		state = "Disabled"
		if m.Enabled {
			state = "Enabled"
		}
	}
	out := &EventSourceMappingConfiguration{
		UUID:                           &m.ID,
		BatchSize:                      &m.BatchSize,
		MaximumBatchingWindowInSeconds: new(int(m.Window / time.Second)),
		EventSourceArn:                 &m.Source,
		FunctionArn:                    new(m.FunctionARN(h.cfg.Region)),
		LastModified:                   new(float64(m.Modified.UnixMilli()) / 1000),
		State:                          &state,
		StateTransitionReason:          new("USER_INITIATED"),
		FunctionResponseTypes:          []string{},
		EventSourceMappingArn:          new(m.ARN(h.cfg.Region)),
	}
	showStream(out, m.Stream)
	showExtras(out, m.Extra)
	for _, a := range m.Access {
		out.SourceAccessConfigurations = append(out.SourceAccessConfigurations, SourceAccessConfiguration{Type: &a.Type, URI: &a.Variable})
	}
	if m.PartialFailures {
		out.FunctionResponseTypes = []string{partialFailures}
	}
	if m.MaxConcurrency > 0 {
		out.ScalingConfig = &ScalingConfig{MaximumConcurrency: &m.MaxConcurrency}
	}
	if len(m.Filters) > 0 {
		out.FilterCriteria = &FilterCriteria{}
		for _, p := range m.Filters {
			out.FilterCriteria.Filters = append(out.FilterCriteria.Filters, Filter{Pattern: &p})
		}
	}
	if result := h.cfg.Mappings.Result(m); result != "" {
		out.LastProcessingResult = &result
	}
	return out
}
