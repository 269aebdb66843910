package lambda

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/millicent-run/millicent"
)

const timeFormat = "2006-01-02T15:04:05.000-0700"

// configuration returns a version as the API shows it. qualifier is shown in
// the ARN; it is empty for the function as a whole.
func (h *Handler) configuration(v *millicent.Version, qualifier string) *FunctionConfiguration {
	c := h.listed(v, qualifier)
	c.State = optional(v.State)
	c.StateReason = optional(v.StateReason)
	c.StateReasonCode = optional(v.StateReasonCode)
	c.LastUpdateStatus = optional(v.LastUpdate)
	c.LastUpdateStatusReason = optional(v.LastUpdateReason)
	c.LastUpdateStatusReasonCode = optional(v.LastUpdateReasonCode)
	c.RuntimeVersionConfig = &RuntimeVersionConfig{RuntimeVersionArn: new(h.runtimeVersion(v.Runtime))}
	return c
}

// listed returns a version as lists show it: without its state.
func (h *Handler) listed(v *millicent.Version, qualifier string) *FunctionConfiguration {
	c := &FunctionConfiguration{
		FunctionName:     &v.Function,
		FunctionArn:      new(millicent.ARN(h.cfg.Region, v.Tenant, v.Function, qualifier)),
		Runtime:          optional(v.Runtime),
		Role:             &v.Role,
		Handler:          optional(v.Handler),
		CodeSize:         &v.Package.Size,
		Description:      &v.Description,
		Timeout:          new(int(v.Timeout / time.Second)),
		MemorySize:       &v.MemoryMB,
		LastModified:     new(v.Modified.UTC().Format(timeFormat)),
		CodeSha256:       new(codeSHA256(v.Package)),
		Version:          &v.Number,
		RevisionId:       &v.Revision,
		PackageType:      new("Zip"),
		Architectures:    []string{v.Arch},
		EphemeralStorage: &EphemeralStorage{Size: &v.TmpMB},
		SnapStart:        snapStart(v),
		TracingConfig:    &TracingConfigResponse{Mode: new("PassThrough")},
		LoggingConfig:    loggingConfig(v),
	}
	if len(v.Environment) > 0 {
		c.Environment = &EnvironmentResponse{Variables: v.Environment}
	}
	showExtra(c, v)
	return c
}

func loggingConfig(v *millicent.Version) *LoggingConfig {
	c := &LoggingConfig{
		LogFormat:           new("Text"),
		LogGroup:            new("/aws/lambda/" + v.Function),
		ApplicationLogLevel: optional(v.LogLevel),
		SystemLogLevel:      optional(v.SystemLogLevel),
	}
	if v.LogFormat != "" {
		c.LogFormat = &v.LogFormat
	}
	if v.LogGroup != "" {
		c.LogGroup = &v.LogGroup
	}
	return c
}

// showExtra adds the parts of the configuration that are only kept. They were
// written by keep; one that cannot be read is left out.
func showExtra(c *FunctionConfiguration, v *millicent.Version) {
	for name, text := range v.Extra {
		data := []byte(text)
		switch name {
		case "VpcConfig":
			c.VpcConfig = fromJSON[VpcConfigResponse](data)
			if c.VpcConfig != nil {
				c.VpcConfig.VpcId = new("")
			}
		case "TracingConfig":
			c.TracingConfig = fromJSON[TracingConfigResponse](data)
		case "DeadLetterConfig":
			c.DeadLetterConfig = fromJSON[DeadLetterConfig](data)
		case "KMSKeyArn":
			c.KMSKeyArn = fromJSON[string](data)
		}
	}
}

func fromJSON[T any](data []byte) *T {
	v := new(T)
	if json.Unmarshal(data, v) != nil {
		return nil
	}
	return v
}

// keep stores a part of the configuration that is answered but not acted
// upon; nil leaves what is there.
func keep[T any](v *millicent.Version, name string, part *T) error {
	if part == nil {
		return nil
	}
	data, err := marshal(part)
	if err != nil {
		return err
	}
	if v.Extra == nil {
		v.Extra = map[string]string{}
	}
	v.Extra[name] = string(data)
	return nil
}

// codeSHA256 returns a package's digest as the API writes it.
func codeSHA256(p millicent.Package) string {
	sum, err := hex.DecodeString(p.SHA256)
	if err != nil {
		return "" // a package's digest is hex; there is none then
	}
	return base64.StdEncoding.EncodeToString(sum)
}

// runtimeVersion returns the resource name of the version of a runtime that
// runs here. It has the form of AWS's and is the same for the same name.
func (h *Handler) runtimeVersion(runtime string) string {
	sum := sha256.Sum256([]byte(runtime))
	return "arn:aws:lambda:" + h.cfg.Region + "::runtime:" + hex.EncodeToString(sum[:])
}
