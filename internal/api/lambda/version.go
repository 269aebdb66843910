package lambda

import (
	"context"
	"strconv"

	"github.com/millicent-run/millicent"
)

func (h *Handler) publishVersion(ctx context.Context, req *request, in *PublishVersionRequest) (*FunctionConfiguration, error) {
	n, err := h.resolveUnqualified(req, *in.FunctionName)
	if err != nil {
		return nil, err
	}
	if in.PublishTo != nil {
		return nil, unsupported("Functions on managed instances are not built yet.")
	}
	if _, err := h.function(n, functionNotFound(n)); err != nil {
		return nil, err
	}
	v, err := h.cfg.Store.Publish(ctx, n.account, n.function, value(in.Description), func(f *millicent.Function) error {
		if err := readyToChange(f, n, in.RevisionId); err != nil {
			return err
		}
		current := codeSHA256(f.Draft.Package)
		if in.CodeSha256 != nil && *in.CodeSha256 != current {
			return invalid("CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). "+
				"Please try again with the CodeSHA256 in $LATEST.", *in.CodeSha256, current)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return h.configuration(v, v.Number), nil
}

func (h *Handler) listVersionsByFunction(_ context.Context, req *request, in *ListVersionsByFunctionRequest) (*ListVersionsByFunctionResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	n = n.unqualified()
	f, err := h.function(n, functionNotFound(n))
	if err != nil {
		return nil, err
	}
	items, err := h.versions(f)
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(items, in.Marker, in.MaxItems, defaultPage, func(c *FunctionConfiguration) string {
		return order(*c.Version)
	})
	if err != nil {
		return nil, err
	}
	return &ListVersionsByFunctionResponse{Versions: dereference(page), NextMarker: next}, nil
}

// versions returns a function's draft and its published versions.
func (h *Handler) versions(f *millicent.Function) ([]*FunctionConfiguration, error) {
	items := []*FunctionConfiguration{h.listed(f.Draft, millicent.Latest)}
	for _, number := range f.Published {
		v, err := h.cfg.Store.Version(f.Tenant, f.Name, strconv.Itoa(number))
		switch {
		case millicent.ErrorCode(err) == millicent.CodeNotFound:
			continue // deleted since f was read
		case err != nil:
			return nil, err
		}
		items = append(items, h.listed(v, v.Number))
	}
	return items, nil
}
