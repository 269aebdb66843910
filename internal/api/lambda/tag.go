package lambda

import (
	"context"
	"strings"

	"github.com/millicent-run/millicent"
)

// A tagged resource has tags: a function, or an event source mapping.
type tagged struct {
	tags map[string]string

	// change has edit change the tags, in one step with nothing else.
	change func(ctx context.Context, edit func(tags map[string]string) (map[string]string, error)) error
}

func (h *Handler) listTags(_ context.Context, req *request, in *ListTagsRequest) (*ListTagsResponse, error) {
	t, err := h.tagged(req, *in.Resource)
	if err != nil {
		return nil, err
	}
	return &ListTagsResponse{Tags: merged(t.tags, nil)}, nil
}

func (h *Handler) tagResource(ctx context.Context, req *request, in *TagResourceRequest) (*none, error) {
	t, err := h.tagged(req, *in.Resource)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, invalid("An error occurred and the request cannot be processed.")
	}
	return &none{}, t.change(ctx, func(tags map[string]string) (map[string]string, error) {
		tags = merged(tags, in.Tags)
		return tags, checkTags(tags)
	})
}

func (h *Handler) untagResource(ctx context.Context, req *request, in *UntagResourceRequest) (*none, error) {
	t, err := h.tagged(req, *in.Resource)
	if err != nil {
		return nil, err
	}
	return &none{}, t.change(ctx, func(tags map[string]string) (map[string]string, error) {
		for _, key := range in.TagKeys {
			delete(tags, key)
		}
		return tags, nil
	})
}

// tagged resolves the resource that tags are on. Of kinds other than functions
// and event source mappings there are none here.
func (h *Handler) tagged(req *request, resource string) (tagged, error) {
	parts := strings.Split(resource, ":") // arn, partition, lambda, region, account, kind and more, by the model's pattern
	switch kind := parts[5]; kind {
	case "layer":
		return tagged{}, notFound("Layer not found: %s", resource)
	case "code-signing-config":
		return tagged{}, typeless(notFound("The Lambda code signing configuration %s can not be found.", resource))
	case "event-source-mapping":
		m, err := h.cfg.Mappings.Mapping(req.tenant, parts[6])
		if err != nil || m.ARN(h.cfg.Region) != resource {
			return tagged{}, notFound("Event source mapping not found: %s", resource)
		}
		return tagged{m.Tags, func(ctx context.Context, edit func(map[string]string) (map[string]string, error)) error {
			return h.cfg.Mappings.Tag(ctx, m.Tenant, m.ID, edit)
		}}, nil
	case "capacity-provider":
		return tagged{}, notFound("Capacity provider not found: %s", resource)
	}
	n, err := h.resolve(req, resource, nil)
	if err == nil && n.qualifier != "" {
		err = invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")
	}
	if err != nil {
		return tagged{}, err
	}
	f, err := h.function(n, functionNotFound(n))
	if err != nil {
		return tagged{}, err
	}
	return tagged{f.Tags, func(ctx context.Context, edit func(map[string]string) (map[string]string, error)) error {
		_, err := h.update(ctx, n, functionNotFound(n), func(f *millicent.Function) (err error) {
			f.Tags, err = edit(f.Tags)
			return err
		})
		return err
	}}, nil
}
