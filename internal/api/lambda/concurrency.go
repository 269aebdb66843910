package lambda

import (
	"context"

	"github.com/millicent-run/millicent"
)

const (
	minUnreserved = 100         // of a tenant's concurrency must stay for functions that reserve none
	maxTotalCode  = 80530636800 // bytes of all packages of a tenant, as AWS states it
)

func (h *Handler) putFunctionConcurrency(ctx context.Context, req *request, in *PutFunctionConcurrencyRequest) (*Concurrency, error) {
	n, err := h.resolveUnqualified(req, *in.FunctionName)
	if err != nil {
		return nil, err
	}
	h.reserving.Lock()
	defer h.reserving.Unlock()
	want := *in.ReservedConcurrentExecutions
	_, err = h.update(ctx, n, functionNotFound(n), func(f *millicent.Function) error {
		if total := f.ProvisionedTotal(); want < total {
			return typeless(invalid(" ReservedConcurrentExecutions  %d should not be lower than function's total provisioned concurrency [%d].", want, total))
		}
		if want > 0 && h.unreserved(n.account, n.function)-want < minUnreserved {
			return typeless(invalid("Specified ReservedConcurrentExecutions for function decreases account's "+
				"UnreservedConcurrentExecution below its minimum value of [%d].", minUnreserved))
		}
		f.Reserved = &want
		return nil
	})
	return &Concurrency{ReservedConcurrentExecutions: &want}, err
}

func (h *Handler) getFunctionConcurrency(_ context.Context, req *request, in *GetFunctionConcurrencyRequest) (*GetFunctionConcurrencyResponse, error) {
	n, err := h.resolveUnqualified(req, *in.FunctionName)
	if err != nil {
		return nil, err
	}
	f, err := h.function(n, functionNotFound(n))
	if err != nil {
		return nil, err
	}
	return &GetFunctionConcurrencyResponse{ReservedConcurrentExecutions: f.Reserved}, nil
}

func (h *Handler) deleteFunctionConcurrency(ctx context.Context, req *request, in *DeleteFunctionConcurrencyRequest) (*none, error) {
	n, err := h.resolveUnqualified(req, *in.FunctionName)
	if err != nil {
		return nil, err
	}
	_, err = h.update(ctx, n, functionNotFound(n), func(f *millicent.Function) error {
		f.Reserved = nil
		return nil
	})
	return &none{}, err
}

// unreserved returns what a tenant's functions but one leave of its
// concurrency to those that claim none.
func (h *Handler) unreserved(tenant, but string) int {
	left := h.cfg.Concurrency
	for _, f := range h.cfg.Store.Functions(tenant) {
		if f.Name != but {
			left -= f.Claimed()
		}
	}
	return left
}

func (h *Handler) getAccountSettings(_ context.Context, req *request, _ *GetAccountSettingsRequest) (*GetAccountSettingsResponse, error) {
	functions := h.cfg.Store.Functions(req.tenant)
	var size int64
	for _, f := range functions {
		versions, err := h.versions(f)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			size += *v.CodeSize
		}
	}
	return &GetAccountSettingsResponse{
		AccountLimit: &AccountLimit{
			TotalCodeSize:                  new(int64(maxTotalCode)),
			CodeSizeUnzipped:               new(int64(maxUnzipped)),
			CodeSizeZipped:                 new(int64(maxZipped)),
			ConcurrentExecutions:           &h.cfg.Concurrency,
			UnreservedConcurrentExecutions: new(h.unreserved(req.tenant, "")),
		},
		AccountUsage: &AccountUsage{TotalCodeSize: &size, FunctionCount: new(int64(len(functions)))},
	}, nil
}
