package lambda

import (
	"context"
	"maps"
	"slices"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/store"
)

func (h *Handler) createAlias(ctx context.Context, req *request, in *CreateAliasRequest) (*AliasConfiguration, error) {
	n, err := h.resolve(req, *in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	n = n.with(*in.Name)
	alias := &millicent.Alias{
		Name:        *in.Name,
		Version:     *in.FunctionVersion,
		Description: value(in.Description),
		Revision:    store.NewRevision(),
		Weights:     in.RoutingConfig.weights(),
	}
	if err := checkRouting(alias); err != nil {
		return nil, err
	}
	missing := functionNotFound(n.with(alias.Version))
	_, err = h.update(ctx, n, missing, func(f *millicent.Function) error {
		if f.Aliases[alias.Name] != nil {
			return conflict("Alias already exists: %s", n.arn())
		}
		if f.Aliases == nil {
			f.Aliases = map[string]*millicent.Alias{}
		}
		f.Aliases[alias.Name] = alias
		return checkVersions(f, n, alias)
	})
	if err != nil {
		return nil, err
	}
	return aliasConfiguration(n, alias), nil
}

func (h *Handler) getAlias(_ context.Context, req *request, in *GetAliasRequest) (*AliasConfiguration, error) {
	n, err := h.resolve(req, *in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	n = n.with(*in.Name)
	missing := notFound("Cannot find alias arn: %s", n.arn())
	f, err := h.function(n, missing)
	if err != nil {
		return nil, err
	}
	alias := f.Aliases[n.qualifier]
	if alias == nil {
		return nil, missing
	}
	return aliasConfiguration(n, alias), nil
}

func (h *Handler) updateAlias(ctx context.Context, req *request, in *UpdateAliasRequest) (*AliasConfiguration, error) {
	n, err := h.resolve(req, *in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	n = n.with(*in.Name)
	var changed *millicent.Alias
	_, err = h.update(ctx, n, functionNotFound(n.unqualified()), func(f *millicent.Function) error {
		alias := f.Aliases[n.qualifier]
		if alias == nil {
			return notFound("Alias not found: %s", n.arn())
		}
		if in.RevisionId != nil && *in.RevisionId != alias.Revision {
			return revisionMismatch("GetFunction/GetAlias")
		}
		set(&alias.Description, in.Description)
		h.point(f, alias, in)
		alias.Revision = store.NewRevision()
		changed = alias
		if err := checkRouting(alias); err != nil {
			return err
		}
		if err := checkVersions(f, n, alias); err != nil || f.Provisioned[n.qualifier] == nil {
			return err
		}
		return h.checkProvisionedAlias(f, alias, false)
	})
	if err != nil {
		return nil, err
	}
	return aliasConfiguration(n, changed), nil
}

// point sets what an alias names. One that is provisioned moves when the
// environments of where it goes are there, unless the caller says how it is to
// be routed.
func (h *Handler) point(f *millicent.Function, alias *millicent.Alias, in *UpdateAliasRequest) {
	mayWait := f.Provisioned[alias.Name] != nil && (alias.Moving || len(alias.Weights) == 0)
	switch {
	case in.RoutingConfig != nil:
		set(&alias.Version, in.FunctionVersion)
		alias.Weights, alias.Moving = in.RoutingConfig.weights(), false
	case in.FunctionVersion == nil:
	case mayWait && *in.FunctionVersion != millicent.Latest:
		alias.MoveTo(*in.FunctionVersion)
	default:
		alias.Version = *in.FunctionVersion
	}
}

// deleteAlias deletes an alias with its URL, its permissions and its
// provisioned concurrency; one that is
// not there is as good as deleted.
func (h *Handler) deleteAlias(ctx context.Context, req *request, in *DeleteAliasRequest) (*none, error) {
	n, err := h.resolve(req, *in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	n = n.with(*in.Name)
	_, err = h.update(ctx, n, functionNotFound(n.unqualified()), func(f *millicent.Function) error {
		delete(f.Aliases, n.qualifier)
		delete(f.URLs, n.qualifier)
		delete(f.Policies, n.qualifier)
		delete(f.Provisioned, n.qualifier)
		delete(f.Events, n.qualifier)
		return nil
	})
	return &none{}, err
}

func (h *Handler) listAliases(_ context.Context, req *request, in *ListAliasesRequest) (*ListAliasesResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	n = n.unqualified()
	f, err := h.function(n, functionNotFound(n))
	if err != nil {
		return nil, err
	}
	var items []*AliasConfiguration
	for _, qualifier := range slices.Sorted(maps.Keys(f.Aliases)) {
		a := f.Aliases[qualifier]
		if _, weighted := a.Weights[value(in.FunctionVersion)]; in.FunctionVersion == nil || a.Version == *in.FunctionVersion || weighted {
			items = append(items, aliasConfiguration(n.with(qualifier), a))
		}
	}
	page, next, err := paginate(items, in.Marker, in.MaxItems, defaultPage, func(c *AliasConfiguration) string { return *c.Name })
	if err != nil {
		return nil, err
	}
	return &ListAliasesResponse{Aliases: dereference(page), NextMarker: next}, nil
}

func aliasConfiguration(n name, a *millicent.Alias) *AliasConfiguration {
	c := &AliasConfiguration{
		AliasArn:        new(n.arn()),
		Name:            &a.Name,
		FunctionVersion: &a.Version,
		Description:     &a.Description,
		RevisionId:      &a.Revision,
	}
	if len(a.Weights) > 0 {
		c.RoutingConfig = &AliasRoutingConfiguration{AdditionalVersionWeights: a.Weights}
	}
	return c
}

// weights returns the routing's weights, nil when it has none.
func (c *AliasRoutingConfiguration) weights() map[string]float64 {
	if c == nil || len(c.AdditionalVersionWeights) == 0 {
		return nil
	}
	return c.AdditionalVersionWeights
}

// checkRouting refuses weights that cannot be.
func checkRouting(a *millicent.Alias) error {
	if len(a.Weights) > 1 {
		return invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
	}
	if _, same := a.Weights[a.Version]; same {
		return invalid("Invalid function version %s. Function version %s is already included in routing configuration.", a.Version, a.Version)
	}
	if a.Version == millicent.Latest && len(a.Weights) > 0 {
		return typeless(invalid("$LATEST is not supported for an alias pointing to more than 1 version"))
	}
	return nil
}

// checkVersions refuses an alias of versions that are not there.
func checkVersions(f *millicent.Function, n name, a *millicent.Alias) error {
	wanted := slices.Sorted(maps.Keys(a.Weights))
	for _, version := range append([]string{a.Version}, wanted...) {
		if !hasVersion(f, version) {
			return functionNotFound(n.with(version))
		}
	}
	return nil
}
