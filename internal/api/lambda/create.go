package lambda

import (
	"context"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
)

const (
	defaultTimeout = 3 // seconds
	defaultMemory  = 128
	defaultTmp     = 512
	defaultArch    = "x86_64"
)

func (h *Handler) createFunction(ctx context.Context, req *request, in *CreateFunctionRequest) (*FunctionConfiguration, error) {
	n, err := h.resolveUnqualified(req, *in.FunctionName)
	if err != nil {
		return nil, err
	}
	if err := h.checkCreate(req, in); err != nil {
		return nil, err
	}
	if _, err := h.cfg.Store.Function(n.account, n.function); err == nil {
		return nil, alreadyExists(n)
	}
	v, err := newDraft(n, in)
	if err != nil {
		return nil, err
	}
	v.Package, err = h.load(ctx, code{zip: in.Code.ZipFile, bucket: in.Code.S3Bucket, key: in.Code.S3Key, version: in.Code.S3ObjectVersion})
	if err != nil {
		return nil, err
	}
	v.Modified = h.cfg.Now()
	f := &millicent.Function{Tenant: n.account, Name: n.function, Draft: v, Tags: in.Tags, Created: v.Modified}
	if value(in.Publish) {
		f.Published = []int{1}
	}
	f, err = h.cfg.Store.Create(ctx, f)
	if millicent.ErrorCode(err) == millicent.CodeConflict {
		return nil, alreadyExists(n)
	}
	if err != nil {
		return nil, err
	}
	if !value(in.Publish) {
		return h.configuration(f.Draft, ""), nil
	}
	published, err := h.cfg.Store.Version(n.account, n.function, "1")
	if err != nil {
		return nil, err
	}
	return h.configuration(published, published.Number), nil
}

func alreadyExists(n name) error { return conflict("Function already exist: %s", n.function) }

// checkCreate refuses what the model's constraints cannot express, in what a
// new function may be.
func (h *Handler) checkCreate(req *request, in *CreateFunctionRequest) error {
	switch {
	case value(in.PackageType) == "Image" || in.Code.ImageUri != nil || in.ImageConfig != nil:
		return unsupported("Functions of package type Image are not built yet: deploy a zip file.")
	case in.FileSystemConfigs != nil:
		return unsupported("FileSystemConfigs is not built yet.")
	case in.TenancyConfig != nil:
		return unsupported("TenancyConfig is not built yet.")
	case in.CapacityProviderConfig != nil || in.PublishTo != nil:
		return unsupported("Functions on managed instances are not built yet.")
	case in.DurableConfig != nil:
		return unsupported("DurableConfig is not built yet.")
	case value(in.CodeSigningConfigArn) != "":
		return millicent.Errorf("CodeSigningConfigNotFoundException", "The code signing configuration cannot be found. "+
			"Check that the provided configuration is not deleted: %s.", *in.CodeSigningConfigArn)
	case in.Runtime == nil || in.Handler == nil:
		return invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	}
	if err := h.checkRuntime(req, *in.Runtime); err != nil {
		return err
	}
	if err := checkTags(in.Tags); err != nil {
		return err
	}
	req.warn(withoutEffect(in.VpcConfig, in.DeadLetterConfig, in.KMSKeyArn, in.TracingConfig))
	if err := h.checkLayers(in.Layers); err != nil {
		return err
	}
	return checkEnvironment(req.fields.member("Environment", "Variables"))
}

// newDraft returns a new function's first version, without its code.
func newDraft(n name, in *CreateFunctionRequest) (*millicent.Version, error) {
	v := &millicent.Version{
		Tenant:   n.account,
		Function: n.function,
		Number:   millicent.Latest,
		Timeout:  defaultTimeout * time.Second,
		MemoryMB: defaultMemory,
		TmpMB:    defaultTmp,
		Arch:     defaultArch,
	}
	if in.Architectures != nil {
		v.Arch = in.Architectures[0]
	}
	return v, settings{
		Role: in.Role, Handler: in.Handler, Description: in.Description, Timeout: in.Timeout,
		MemorySize: in.MemorySize, VpcConfig: in.VpcConfig, Environment: in.Environment, Runtime: in.Runtime,
		DeadLetterConfig: in.DeadLetterConfig, KMSKeyArn: in.KMSKeyArn, TracingConfig: in.TracingConfig,
		EphemeralStorage: in.EphemeralStorage, SnapStart: in.SnapStart, LoggingConfig: in.LoggingConfig,
	}.apply(v)
}

// settings are the parts of a configuration that creating and updating share;
// nil leaves what is there.
type settings struct {
	Role, Handler, Description, Runtime, KMSKeyArn *string
	Timeout, MemorySize                            *int

	VpcConfig        *VpcConfig
	Environment      *Environment
	DeadLetterConfig *DeadLetterConfig
	TracingConfig    *TracingConfig
	EphemeralStorage *EphemeralStorage
	SnapStart        *SnapStart
	LoggingConfig    *LoggingConfig
}

// apply changes v to what the settings say.
func (s settings) apply(v *millicent.Version) error {
	set(&v.Role, s.Role)
	set(&v.Handler, s.Handler)
	set(&v.Description, s.Description)
	set(&v.Runtime, s.Runtime)
	set(&v.MemoryMB, s.MemorySize)
	if s.Timeout != nil {
		v.Timeout = time.Duration(*s.Timeout) * time.Second
	}
	if s.EphemeralStorage != nil {
		set(&v.TmpMB, s.EphemeralStorage.Size)
	}
	if s.Environment != nil {
		v.Environment = s.Environment.Variables
	}
	if err := s.LoggingConfig.apply(v); err != nil {
		return err
	}
	if err := keepVPC(v, s.VpcConfig); err != nil {
		return err
	}
	if err := keep(v, "DeadLetterConfig", s.DeadLetterConfig); err != nil {
		return err
	}
	if err := keep(v, "KMSKeyArn", s.KMSKeyArn); err != nil {
		return err
	}
	if err := keep(v, "TracingConfig", s.TracingConfig); err != nil {
		return err
	}
	return s.SnapStart.apply(v)
}

// withoutEffect says which settings ask for what is not built yet. They are
// kept, so that a description of a function that has them can be deployed, and
// its author is told.
func withoutEffect(vpc *VpcConfig, dead *DeadLetterConfig, key *string, tracing *TracingConfig) string {
	var names []string
	for _, s := range []struct {
		name  string
		asked bool
	}{
		{"VpcConfig", vpc != nil && len(vpc.SubnetIds)+len(vpc.SecurityGroupIds) > 0},
		{"DeadLetterConfig", dead != nil && !isQueueARN(value(dead.TargetArn))},
		{"KMSKeyArn", value(key) != ""},
		{"TracingConfig", tracing != nil && value(tracing.Mode) == "Active"},
	} {
		if s.asked {
			names = append(names, s.name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "Kept and without effect, because it is not built yet: " + strings.Join(names, ", ") + "."
}

func set[T any](dst *T, v *T) {
	if v != nil {
		*dst = *v
	}
}

// apply changes where and how v logs. Levels are for the JSON format, which
// brings defaults for them.
func (c *LoggingConfig) apply(v *millicent.Version) error {
	if c == nil {
		return nil
	}
	set(&v.LogFormat, c.LogFormat)
	set(&v.LogGroup, c.LogGroup)
	if v.LogFormat != "JSON" {
		if c.ApplicationLogLevel != nil || c.SystemLogLevel != nil {
			return invalid("To configure the ApplicationLogLevel or SystemLogLevel, the LogFormat must be JSON.")
		}
		v.LogLevel, v.SystemLogLevel = "", ""
		return nil
	}
	set(&v.LogLevel, c.ApplicationLogLevel)
	set(&v.SystemLogLevel, c.SystemLogLevel)
	if v.LogLevel == "" {
		v.LogLevel = "INFO"
	}
	if v.SystemLogLevel == "" {
		v.SystemLogLevel = "INFO"
	}
	return nil
}

// keepVPC keeps a VPC configuration; an answer always has both lists.
func keepVPC(v *millicent.Version, c *VpcConfig) error {
	if c == nil {
		return nil
	}
	full := *c
	if full.SubnetIds == nil {
		full.SubnetIds = []string{}
	}
	if full.SecurityGroupIds == nil {
		full.SecurityGroupIds = []string{}
	}
	if full.Ipv6AllowedForDualStack == nil {
		full.Ipv6AllowedForDualStack = new(false)
	}
	return keep(v, "VpcConfig", &full)
}

// isQueueARN reports whether a target of dead letters is a queue, or none.
func isQueueARN(arn string) bool {
	_, _, _, ok := millicent.ParseQueueARN(arn)
	return ok || arn == ""
}
