package lambda

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/millicent-run/millicent"
)

// Configurations of Event invocations, one for each qualifier.

func (h *Handler) putEventConfig(ctx context.Context, req *request, in *PutFunctionEventInvokeConfigRequest) (*FunctionEventInvokeConfig, error) {
	wish := eventWish{in.MaximumRetryAttempts, in.MaximumEventAgeInSeconds, in.DestinationConfig}
	return h.setEventConfig(ctx, req, in.FunctionName, in.Qualifier, wish, func(name, *millicent.EventConfig) (millicent.EventConfig, error) {
		return millicent.EventConfig{}, nil
	})
}

func (h *Handler) updateEventConfig(ctx context.Context, req *request, in *UpdateFunctionEventInvokeConfigRequest) (*FunctionEventInvokeConfig, error) {
	wish := eventWish{in.MaximumRetryAttempts, in.MaximumEventAgeInSeconds, in.DestinationConfig}
	return h.setEventConfig(ctx, req, in.FunctionName, in.Qualifier, wish, func(n name, before *millicent.EventConfig) (millicent.EventConfig, error) {
		if before == nil {
			return millicent.EventConfig{}, noEventConfig(n)
		}
		return *before, nil
	})
}

// An eventWish is what a call wants to set; nil leaves a setting as it is.
type eventWish struct {
	retries, seconds *int
	destinations     *DestinationConfig
}

// setEventConfig sets what is wished on top of what start makes of the
// configuration that there was.
func (h *Handler) setEventConfig(ctx context.Context, req *request, function, qualifier *string, wish eventWish, start func(name, *millicent.EventConfig) (millicent.EventConfig, error)) (*FunctionEventInvokeConfig, error) {
	n, err := h.resolveEvent(req, function, qualifier)
	if err != nil {
		return nil, err
	}
	if wish == (eventWish{}) {
		return nil, invalid("You must specify at least one of error handling or destination setting.")
	}
	var set millicent.EventConfig
	_, err = h.update(ctx, n, errEventFunction, func(f *millicent.Function) error {
		if f.Aliases[n.qualifier] == nil && !hasVersion(f, n.qualifier) {
			return errEventFunction
		}
		if err := h.checkDestinations(n, wish.destinations); err != nil {
			return err
		}
		if set, err = start(n, f.Events[n.qualifier]); err != nil {
			return err
		}
		wish.apply(&set)
		set.Modified = h.cfg.Now()
		if f.Events == nil {
			f.Events = map[string]*millicent.EventConfig{}
		}
		c := set
		f.Events[n.qualifier] = &c
		return nil
	})
	if err != nil {
		return nil, err
	}
	return eventConfig(n, &set), nil
}

func (w eventWish) apply(c *millicent.EventConfig) {
	if w.retries != nil {
		c.Retries = w.retries
	}
	if w.seconds != nil {
		c.MaxAge = time.Duration(*w.seconds) * time.Second
	}
	if d := w.destinations; d != nil {
		c.OnSuccess, c.OnFailure = d.onSuccess(), d.onFailure()
	}
}

func (d *DestinationConfig) onSuccess() string {
	if d == nil || d.OnSuccess == nil {
		return ""
	}
	return value(d.OnSuccess.Destination)
}

func (d *DestinationConfig) onFailure() string {
	if d == nil || d.OnFailure == nil {
		return ""
	}
	return value(d.OnFailure.Destination)
}

// errEventFunction is the answer when a configuration is for what is not
// there.
var errEventFunction = notFound("The function doesn't exist.")

func noEventConfig(n name) error {
	return notFound("The function %s doesn't have an EventInvokeConfig", n.arn())
}

// resolveEvent is resolve, with the draft by its name.
func (h *Handler) resolveEvent(req *request, function, qualifier *string) (name, error) {
	n, err := h.resolve(req, *function, qualifier)
	if n.qualifier == "" {
		n.qualifier = millicent.Latest
	}
	return n, err
}

// checkDestinations refuses what this server could not deliver to.
func (h *Handler) checkDestinations(n name, d *DestinationConfig) error {
	refused := false
	for _, arn := range []string{d.onFailure(), d.onSuccess()} {
		if arn == "" {
			continue
		}
		to, ok := millicent.ParseDestination(arn)
		if !ok {
			refused = true
			continue
		}
		if err := h.checkDestination(n, arn, to); err != nil {
			return err
		}
	}
	if refused {
		shown := func(outcome, arn string) string {
			if arn == "" {
				return "null"
			}
			return fmt.Sprintf("%s(destination=%s)", outcome, arn)
		}
		return invalid("The provided destination config DestinationConfig(onSuccess=%s, onFailure=%s) is invalid.",
			shown("OnSuccess", d.onSuccess()), shown("OnFailure", d.onFailure()))
	}
	return nil
}

func (h *Handler) checkDestination(n name, arn string, to millicent.Destination) error {
	unknown := invalid("The destination ARN %s is invalid.", arn)
	switch to.Kind {
	case millicent.ToFunction:
		if to.Region != n.region || to.Tenant != n.account {
			return unknown
		}
		if to.Name == n.function {
			return invalid("You can't specify the function as a destination for itself.")
		}
		f, err := h.function(n.of(to.Name), unknown)
		if err != nil {
			return err
		}
		if q := to.Qualifier; q != "" && f.Aliases[q] == nil && !hasVersion(f, q) {
			return unknown
		}
	case millicent.ToQueue:
		if to.Region != n.region || to.Tenant != n.account || !h.cfg.HasQueue(to.Tenant, to.Name) {
			return unknown
		}
	}
	return nil
}

// of returns the name of another function of the same account.
func (n name) of(function string) name {
	n.function, n.qualifier = function, ""
	return n
}

func (h *Handler) getEventConfig(_ context.Context, req *request, in *GetFunctionEventInvokeConfigRequest) (*FunctionEventInvokeConfig, error) {
	n, err := h.resolveEvent(req, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	f, err := h.function(n, noEventConfig(n))
	if err != nil {
		return nil, err
	}
	c := f.Events[n.qualifier]
	if c == nil {
		return nil, noEventConfig(n)
	}
	return eventConfig(n, c), nil
}

func (h *Handler) deleteEventConfig(ctx context.Context, req *request, in *DeleteFunctionEventInvokeConfigRequest) (*none, error) {
	n, err := h.resolveEvent(req, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	_, err = h.update(ctx, n, noEventConfig(n), func(f *millicent.Function) error {
		if f.Events[n.qualifier] == nil {
			return noEventConfig(n)
		}
		delete(f.Events, n.qualifier)
		return nil
	})
	return &none{}, err
}

func (h *Handler) listEventConfigs(_ context.Context, req *request, in *ListFunctionEventInvokeConfigsRequest) (*ListFunctionEventInvokeConfigsResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	f, err := h.function(n, errEventFunction)
	if err != nil {
		return nil, err
	}
	var items []*FunctionEventInvokeConfig
	for _, qualifier := range slices.Sorted(maps.Keys(f.Events)) {
		items = append(items, eventConfig(n.with(qualifier), f.Events[qualifier]))
	}
	page, next, err := paginate(items, in.Marker, in.MaxItems, defaultPage, func(c *FunctionEventInvokeConfig) string {
		return *c.FunctionArn
	})
	if err != nil {
		return nil, err
	}
	return &ListFunctionEventInvokeConfigsResponse{FunctionEventInvokeConfigs: dereference(page), NextMarker: next}, nil
}

func eventConfig(n name, c *millicent.EventConfig) *FunctionEventInvokeConfig {
	shown := &FunctionEventInvokeConfig{
		LastModified:         new(float64(c.Modified.UnixMilli()) / 1000),
		FunctionArn:          new(n.arn()),
		MaximumRetryAttempts: c.Retries,
		DestinationConfig: &DestinationConfig{
			OnSuccess: &OnSuccess{Destination: optional(c.OnSuccess)},
			OnFailure: &OnFailure{Destination: optional(c.OnFailure)},
		},
	}
	if c.MaxAge > 0 {
		shown.MaximumEventAgeInSeconds = new(int(c.MaxAge / time.Second))
	}
	return shown
}
