package lambda

import (
	"context"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/store"
)

func (h *Handler) updateFunctionCode(ctx context.Context, req *request, in *UpdateFunctionCodeRequest) (*FunctionConfiguration, error) {
	n, err := h.resolveUnqualified(req, *in.FunctionName)
	if err != nil {
		return nil, err
	}
	if in.PublishTo != nil {
		return nil, unsupported("Functions on managed instances are not built yet.")
	}
	missing := functionNotFound(n)
	f, err := h.function(n, missing)
	if err != nil {
		return nil, err
	}
	if in.ImageUri != nil {
		return nil, invalid("Please don't provide ImageUri when updating a function with packageType Zip.")
	}
	ready := func(f *millicent.Function) error { return readyToChange(f, n, in.RevisionId) }
	if err := ready(f); err != nil { // before a package is fetched and stored in vain
		return nil, err
	}
	p, err := h.load(ctx, code{zip: in.ZipFile, bucket: in.S3Bucket, key: in.S3Key, version: in.S3ObjectVersion})
	if err != nil {
		return nil, err
	}
	change := func(f *millicent.Function) error {
		if err := ready(f); err != nil {
			return err
		}
		f.Draft.Package = p
		if in.Architectures != nil {
			f.Draft.Arch = in.Architectures[0]
		}
		if !value(in.DryRun) {
			h.startUpdate(f.Draft)
		}
		return nil
	}
	if value(in.DryRun) {
		would := f.Clone()
		if err := change(would); err != nil {
			return nil, err
		}
		return h.configuration(would.Draft, ""), nil
	}
	if f, err = h.update(ctx, n, missing, change); err != nil {
		return nil, err
	}
	if !value(in.Publish) {
		return h.configuration(f.Draft, ""), nil
	}
	v, err := h.cfg.Store.Publish(ctx, n.account, n.function, "", nil)
	if err != nil {
		return nil, err
	}
	return h.configuration(v, v.Number), nil
}

func (h *Handler) updateFunctionConfiguration(ctx context.Context, req *request, in *UpdateFunctionConfigurationRequest) (*FunctionConfiguration, error) {
	n, err := h.resolveUnqualified(req, *in.FunctionName)
	if err != nil {
		return nil, err
	}
	missing := functionNotFound(n)
	if _, err := h.function(n, missing); err != nil {
		return nil, err
	}
	if err := h.checkUpdate(req, in); err != nil {
		return nil, err
	}
	f, err := h.update(ctx, n, missing, func(f *millicent.Function) error {
		if err := readyToChange(f, n, in.RevisionId); err != nil {
			return err
		}
		h.startUpdate(f.Draft)
		return settings{
			Role: in.Role, Handler: in.Handler, Description: in.Description, Timeout: in.Timeout,
			MemorySize: in.MemorySize, VpcConfig: in.VpcConfig, Environment: in.Environment, Runtime: in.Runtime,
			DeadLetterConfig: in.DeadLetterConfig, KMSKeyArn: in.KMSKeyArn, TracingConfig: in.TracingConfig,
			EphemeralStorage: in.EphemeralStorage, SnapStart: in.SnapStart, LoggingConfig: in.LoggingConfig,
		}.apply(f.Draft)
	})
	if err != nil {
		return nil, err
	}
	return h.configuration(f.Draft, ""), nil
}

// checkUpdate refuses what the model's constraints cannot express, in what a
// function may become.
func (h *Handler) checkUpdate(req *request, in *UpdateFunctionConfigurationRequest) error {
	switch {
	case in.ImageConfig != nil:
		return unsupported("Functions of package type Image are not built yet: deploy a zip file.")
	case len(in.FileSystemConfigs) > 0:
		return unsupported("FileSystemConfigs is not built yet.")
	case in.CapacityProviderConfig != nil:
		return unsupported("Functions on managed instances are not built yet.")
	case in.DurableConfig != nil:
		return unsupported("DurableConfig is not built yet.")
	}
	if in.Runtime != nil {
		if err := h.checkRuntime(req, *in.Runtime); err != nil {
			return err
		}
	}
	req.warn(withoutEffect(in.VpcConfig, in.DeadLetterConfig, in.KMSKeyArn, in.TracingConfig))
	if err := h.checkLayers(in.Layers); err != nil {
		return err
	}
	return checkEnvironment(req.fields.member("Environment", "Variables"))
}

// readyToChange refuses to change a function's draft when the caller knows
// another revision of it, or while it is changing.
func readyToChange(f *millicent.Function, n name, revision *string) error {
	if revision != nil && *revision != f.Draft.Revision {
		return revisionMismatch("GetFunction/GetAlias")
	}
	if f.Draft.State == millicent.StatePending || f.Draft.LastUpdate == millicent.UpdateInProgress {
		return conflict("The operation cannot be performed at this time. An update is in progress for resource: %s", n.arn())
	}
	return nil
}

func revisionMismatch(source string) error {
	return millicent.Errorf(millicent.CodePrecondition, "The Revision Id provided does not match the latest Revision Id. "+
		"Call the %s API to retrieve the latest Revision Id", source)
}

// startUpdate marks a draft as changing; the store activates it.
func (h *Handler) startUpdate(v *millicent.Version) {
	v.Modified = h.cfg.Now()
	v.Revision = store.NewRevision()
	v.LastUpdate = millicent.UpdateInProgress
	v.LastUpdateReason = "The function is being created." // AWS gives that reason for updates, too
	v.LastUpdateReasonCode = "Creating"
}
