package lambda

import (
	"context"
	"maps"
	"slices"

	"github.com/millicent-run/millicent"
)

// Where provisioned concurrency stands, as the Lambda API names it.
const (
	provisionedInProgress = "IN_PROGRESS"
	provisionedReady      = "READY"
	provisionedFailed     = "FAILED"
)

// provisionedTime is the form of LastModified here, unlike elsewhere.
const provisionedTime = "2006-01-02T15:04:05-0700"

func (h *Handler) putProvisionedConcurrencyConfig(ctx context.Context, req *request, in *PutProvisionedConcurrencyConfigRequest) (*PutProvisionedConcurrencyConfigResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if n.qualifier == millicent.Latest {
		return nil, invalid(errUnpublished)
	}
	if _, err := h.provisionable(n); err != nil {
		return nil, err
	}
	h.reserving.Lock()
	defer h.reserving.Unlock()
	var before millicent.Allocation
	wanted := &millicent.Provisioned{Concurrency: *in.ProvisionedConcurrentExecutions, Modified: h.cfg.Now()}
	_, err = h.update(ctx, n, h.unprovisionable(n), func(f *millicent.Function) error {
		before, _ = h.allocation(f, n.qualifier)
		if err := h.checkProvisioned(f, n, wanted.Concurrency); err != nil {
			return err
		}
		if f.Provisioned == nil {
			f.Provisioned = map[string]*millicent.Provisioned{}
		}
		f.Provisioned[n.qualifier] = wanted
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &PutProvisionedConcurrencyConfigResponse{
		RequestedProvisionedConcurrentExecutions: &wanted.Concurrency,
		AllocatedProvisionedConcurrentExecutions: &before.Allocated,
		AvailableProvisionedConcurrentExecutions: &before.Available,
		Status:                                   new(provisionedInProgress),
		LastModified:                             new(wanted.Modified.UTC().Format(provisionedTime)),
	}, nil
}

func (h *Handler) getProvisionedConcurrencyConfig(_ context.Context, req *request, in *GetProvisionedConcurrencyConfigRequest) (*GetProvisionedConcurrencyConfigResponse, error) {
	n, err := h.resolveProvisionable(req, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	f, err := h.provisionable(n)
	if err != nil {
		return nil, err
	}
	if f.Provisioned[n.qualifier] == nil {
		return nil, millicent.Errorf("ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found for this function")
	}
	item := h.provisionedItem(f, n)
	return &GetProvisionedConcurrencyConfigResponse{
		RequestedProvisionedConcurrentExecutions: item.RequestedProvisionedConcurrentExecutions,
		AllocatedProvisionedConcurrentExecutions: item.AllocatedProvisionedConcurrentExecutions,
		AvailableProvisionedConcurrentExecutions: item.AvailableProvisionedConcurrentExecutions,
		Status:                                   item.Status,
		StatusReason:                             item.StatusReason,
		LastModified:                             item.LastModified,
	}, nil
}

// deleteProvisionedConcurrencyConfig deletes a configuration; one that is not
// there is as good as deleted. An alias that waits for it waits no more.
func (h *Handler) deleteProvisionedConcurrencyConfig(ctx context.Context, req *request, in *DeleteProvisionedConcurrencyConfigRequest) (*none, error) {
	n, err := h.resolveProvisionable(req, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if _, err := h.provisionable(n); err != nil {
		return nil, err
	}
	_, err = h.update(ctx, n, h.unprovisionable(n), func(f *millicent.Function) error {
		delete(f.Provisioned, n.qualifier)
		if a := f.Aliases[n.qualifier]; a != nil {
			a.Arrive()
		}
		return nil
	})
	return &none{}, err
}

func (h *Handler) listProvisionedConcurrencyConfigs(_ context.Context, req *request, in *ListProvisionedConcurrencyConfigsRequest) (*ListProvisionedConcurrencyConfigsResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	n = n.unqualified()
	f, err := h.function(n, functionNotFound(n))
	if err != nil {
		return nil, err
	}
	var items []*ProvisionedConcurrencyConfigListItem
	for _, qualifier := range slices.Sorted(maps.Keys(f.Provisioned)) {
		items = append(items, h.provisionedItem(f, n.with(qualifier)))
	}
	page, next, err := paginate(items, in.Marker, in.MaxItems, defaultPage, func(i *ProvisionedConcurrencyConfigListItem) string {
		return *i.FunctionArn
	})
	if err != nil {
		return nil, err
	}
	return &ListProvisionedConcurrencyConfigsResponse{ProvisionedConcurrencyConfigs: dereference(page), NextMarker: next}, nil
}

// resolveProvisionable is resolve for operations on a configuration that has
// been put.
func (h *Handler) resolveProvisionable(req *request, function, qualifier *string) (name, error) {
	n, err := h.resolve(req, *function, qualifier)
	if err == nil && n.qualifier == millicent.Latest {
		err = invalid("The function resource provided must be an alias or a published version.")
	}
	return n, err
}

// provisionable returns the function of which n names a published version or
// an alias.
func (h *Handler) provisionable(n name) (*millicent.Function, error) {
	f, err := h.function(n, h.unprovisionable(n))
	if err != nil {
		return nil, err
	}
	if f.Aliases[n.qualifier] == nil && !hasVersion(f, n.qualifier) {
		return nil, h.unprovisionable(n)
	}
	return f, nil
}

func (h *Handler) unprovisionable(n name) error {
	if millicent.IsNumber(n.qualifier) {
		return functionNotFound(n)
	}
	return notFound("Cannot find alias arn: %s", n.arn())
}

// provisionedItem tells about the configuration that f has under n's
// qualifier.
func (h *Handler) provisionedItem(f *millicent.Function, n name) *ProvisionedConcurrencyConfigListItem {
	st := h.provisionedState(f, n.qualifier)
	return &ProvisionedConcurrencyConfigListItem{
		FunctionArn:                              new(n.arn()),
		RequestedProvisionedConcurrentExecutions: &st.Requested,
		AllocatedProvisionedConcurrentExecutions: &st.Allocated,
		AvailableProvisionedConcurrentExecutions: &st.Available,
		Status:                                   &st.Status,
		StatusReason:                             optional(st.Reason),
		LastModified:                             new(f.Provisioned[n.qualifier].Modified.UTC().Format(provisionedTime)),
	}
}

// A ProvisionedState tells where the provisioned concurrency under a
// qualifier stands.
type ProvisionedState struct {
	Function, Qualifier             string
	Requested, Allocated, Available int
	Status, Reason                  string // as the Lambda API has them
}

// ProvisionedStates returns where all of a tenant's provisioned concurrency
// stands, by function and qualifier.
func (h *Handler) ProvisionedStates(tenant string) []ProvisionedState {
	states := []ProvisionedState{}
	for _, f := range h.cfg.Store.Functions(tenant) {
		for _, qualifier := range slices.Sorted(maps.Keys(f.Provisioned)) {
			states = append(states, h.provisionedState(f, qualifier))
		}
	}
	return states
}

func (h *Handler) provisionedState(f *millicent.Function, qualifier string) ProvisionedState {
	a, status := h.allocation(f, qualifier)
	st := ProvisionedState{
		Function: f.Name, Qualifier: qualifier, Requested: f.Provisioned[qualifier].Concurrency,
		Allocated: a.Allocated, Available: a.Available, Status: status,
	}
	switch status {
	case provisionedFailed:
		st.Reason = a.Failure
	case provisionedInProgress:
		st.Reason = a.Waiting
	}
	return st
}

// allocation returns how far the environments are that f wants under a
// qualifier, and what that comes to. An alias on its way is judged by where it
// goes.
func (h *Handler) allocation(f *millicent.Function, qualifier string) (sum millicent.Allocation, status string) {
	status = provisionedReady
	for number, p := range f.ProvisionsOf(qualifier) {
		if p.Leaving {
			continue
		}
		a := h.versionAllocation(f, number)
		sum.Allocated += min(a.Allocated, p.Environments)
		sum.Available += min(a.Available, p.Environments)
		switch {
		case a.Available >= p.Environments:
		case a.Failure != "":
			status, sum.Failure = provisionedFailed, a.Failure
		case status != provisionedFailed:
			status, sum.Waiting = provisionedInProgress, a.Waiting
		}
	}
	if p := f.Provisioned[qualifier]; p != nil { // shares are rounded up
		sum.Allocated, sum.Available = min(sum.Allocated, p.Concurrency), min(sum.Available, p.Concurrency)
	}
	return sum, status
}

func (h *Handler) versionAllocation(f *millicent.Function, number string) millicent.Allocation {
	v, err := h.cfg.Store.Version(f.Tenant, f.Name, number)
	if err != nil {
		return millicent.Allocation{} // deleted since f was read
	}
	if v.State == millicent.StateFailed {
		return millicent.Allocation{Failure: v.StateReason}
	}
	return h.cfg.Allocation(v)
}
