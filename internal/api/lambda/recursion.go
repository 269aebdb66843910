package lambda

import (
	"context"

	"github.com/millicent-run/millicent"
)

// The values of RecursiveLoop.
const (
	loopsEnd  = "Terminate"
	loopsGoOn = "Allow"
)

func recursiveLoop(f *millicent.Function) *string {
	if f.Recursive {
		return new(loopsGoOn)
	}
	return new(loopsEnd)
}

func (h *Handler) getFunctionRecursionConfig(_ context.Context, req *request, in *GetFunctionRecursionConfigRequest) (*GetFunctionRecursionConfigResponse, error) {
	n, err := h.resolveUnqualified(req, *in.FunctionName)
	if err != nil {
		return nil, err
	}
	f, err := h.function(n, functionNotFound(n))
	if err != nil {
		return nil, err
	}
	return &GetFunctionRecursionConfigResponse{RecursiveLoop: recursiveLoop(f)}, nil
}

func (h *Handler) putFunctionRecursionConfig(ctx context.Context, req *request, in *PutFunctionRecursionConfigRequest) (*PutFunctionRecursionConfigResponse, error) {
	n, err := h.resolveUnqualified(req, *in.FunctionName)
	if err != nil {
		return nil, err
	}
	f, err := h.update(ctx, n, functionNotFound(n), func(f *millicent.Function) error {
		f.Recursive = *in.RecursiveLoop == loopsGoOn
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &PutFunctionRecursionConfigResponse{RecursiveLoop: recursiveLoop(f)}, nil
}
