package lambda

import (
	"context"
	"strings"

	"github.com/millicent-run/millicent"
)

func (h *Handler) listTags(_ context.Context, req *request, in *ListTagsRequest) (*ListTagsResponse, error) {
	n, err := h.tagged(req, *in.Resource)
	if err != nil {
		return nil, err
	}
	f, err := h.function(n, functionNotFound(n))
	if err != nil {
		return nil, err
	}
	return &ListTagsResponse{Tags: merged(f.Tags, nil)}, nil
}

func (h *Handler) tagResource(ctx context.Context, req *request, in *TagResourceRequest) (*none, error) {
	n, err := h.tagged(req, *in.Resource)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, invalid("An error occurred and the request cannot be processed.")
	}
	_, err = h.update(ctx, n, functionNotFound(n), func(f *millicent.Function) error {
		f.Tags = merged(f.Tags, in.Tags)
		return checkTags(f.Tags)
	})
	return &none{}, err
}

func (h *Handler) untagResource(ctx context.Context, req *request, in *UntagResourceRequest) (*none, error) {
	n, err := h.tagged(req, *in.Resource)
	if err != nil {
		return nil, err
	}
	_, err = h.update(ctx, n, functionNotFound(n), func(f *millicent.Function) error {
		for _, key := range in.TagKeys {
			delete(f.Tags, key)
		}
		return nil
	})
	return &none{}, err
}

// tagged resolves the resource that tags are on: a function. Of the other
// kinds that may have tags there are none here.
func (h *Handler) tagged(req *request, resource string) (name, error) {
	kind, _, _ := strings.Cut(strings.Join(strings.Split(resource, ":")[5:], ":"), ":")
	switch kind {
	case "layer":
		return name{}, notFound("Layer not found: %s", resource)
	case "code-signing-config":
		return name{}, typeless(notFound("The Lambda code signing configuration %s can not be found.", resource))
	case "event-source-mapping":
		return name{}, notFound("Event source mapping not found: %s", resource)
	case "capacity-provider":
		return name{}, notFound("Capacity provider not found: %s", resource)
	}
	n, err := h.resolve(req, resource, nil)
	if err == nil && n.qualifier != "" {
		err = invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")
	}
	return n, err
}
