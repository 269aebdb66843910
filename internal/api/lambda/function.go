package lambda

import (
	"context"
	"maps"
	"net/http"

	"github.com/millicent-run/millicent"
)

func (h *Handler) getFunction(_ context.Context, req *request, in *GetFunctionRequest) (*GetFunctionResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	f, v, _, err := h.version(n)
	if err != nil {
		return nil, err
	}
	out := &GetFunctionResponse{
		Configuration: h.configuration(v, n.qualifier),
		Code: &FunctionCodeLocation{
			RepositoryType: new("S3"),
			Location:       new(h.cfg.PackageURL(req.tenant, v.Package)),
		},
	}
	if len(f.Tags) > 0 {
		out.Tags = f.Tags
	}
	if f.Reserved != nil {
		out.Concurrency = &Concurrency{ReservedConcurrentExecutions: f.Reserved}
	}
	return out, nil
}

func (h *Handler) getFunctionConfiguration(_ context.Context, req *request, in *GetFunctionConfigurationRequest) (*FunctionConfiguration, error) {
	n, err := h.resolve(req, *in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	_, v, _, err := h.version(n)
	if err != nil {
		return nil, err
	}
	return h.configuration(v, n.qualifier), nil
}

// getFunctionCodeSigningConfig answers that a function has none, which is so
// for all of them here.
func (h *Handler) getFunctionCodeSigningConfig(_ context.Context, req *request, in *GetFunctionCodeSigningConfigRequest) (*GetFunctionCodeSigningConfigResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	if _, err := h.function(n, functionNotFound(n)); err != nil {
		return nil, err
	}
	return &GetFunctionCodeSigningConfigResponse{CodeSigningConfigArn: new(""), FunctionName: &n.function}, nil
}

// listFunctions lists drafts, or with FunctionVersion=ALL all versions. A
// MasterRegion asks for replicas of functions elsewhere, of which there are
// none.
func (h *Handler) listFunctions(_ context.Context, req *request, in *ListFunctionsRequest) (*ListFunctionsResponse, error) {
	all := in.FunctionVersion != nil
	var items []*FunctionConfiguration
	functions := h.cfg.Store.Functions(req.tenant)
	if in.MasterRegion != nil && *in.MasterRegion != "ALL" {
		functions = nil
	}
	for _, f := range functions {
		if !all {
			items = append(items, h.listed(f.Draft, ""))
			continue
		}
		versions, err := h.versions(f)
		if err != nil {
			return nil, err
		}
		items = append(items, versions...)
	}
	page, next, err := paginate(items, in.Marker, in.MaxItems, defaultPage, func(c *FunctionConfiguration) string {
		return *c.FunctionName + "\x00" + order(*c.Version)
	})
	if err != nil {
		return nil, err
	}
	return &ListFunctionsResponse{Functions: dereference(page), NextMarker: next}, nil
}

// deleteFunction deletes a function, or with a qualifier one version of it;
// a version that is not there is as good as deleted.
func (h *Handler) deleteFunction(ctx context.Context, req *request, in *DeleteFunctionRequest) (*DeleteFunctionResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	switch {
	case n.qualifier == millicent.Latest:
		return nil, invalid("$LATEST version cannot be deleted without deleting the function.")
	case n.qualifier != "" && !millicent.IsNumber(n.qualifier):
		return nil, invalid("Deletion of aliases is not currently supported.")
	}
	missing := functionNotFound(n.unqualified())
	if _, err := h.function(n, missing); err != nil {
		return nil, err
	}
	if n.qualifier == "" {
		err = h.cfg.Store.Delete(ctx, n.account, n.function)
	} else if err = h.cfg.Store.DeleteVersion(ctx, n.account, n.function, n.qualifier); millicent.ErrorCode(err) == millicent.CodeNotFound {
		err = nil
	}
	if millicent.ErrorCode(err) == millicent.CodeNotFound {
		err = missing
	}
	return &DeleteFunctionResponse{StatusCode: new(http.StatusNoContent)}, err
}

// update changes a function; missing is the answer when there is none.
func (h *Handler) update(ctx context.Context, n name, missing error, change func(*millicent.Function) error) (*millicent.Function, error) {
	if _, err := h.function(n, missing); err != nil {
		return nil, err
	}
	return h.cfg.Store.Update(ctx, n.account, n.function, change)
}

// checkTags refuses more tags than a function may have.
func checkTags(tags map[string]string) error {
	const maxTags = 50
	if len(tags) > maxTags {
		return invalid("Number of tags exceeds resource tag limit.")
	}
	return nil
}

// merged returns tags with more set over them.
func merged(tags, more map[string]string) map[string]string {
	all := maps.Clone(tags)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, more)
	return all
}
