package millicent

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// Latest is the qualifier of a function's draft, the one version that changes.
const Latest = "$LATEST"

// A Function is a named piece of code with its history: the draft, the
// published versions' numbers, the aliases and what applies to all of them.
//
// Values handed out by the store are shared and must not be modified; use
// [Function.Clone] first.
type Function struct {
	Tenant string `json:"tenant"` // account id, twelve digits
	Name   string `json:"name"`   // 1 to 64 of [a-zA-Z0-9-_]

	Draft       *Version                `json:"draft"`                 // $LATEST
	Published   []int                   `json:"published,omitempty"`   // existing published version numbers, ascending
	LastVersion int                     `json:"lastVersion,omitempty"` // highest number ever published; numbers are never reused
	Aliases     map[string]*Alias       `json:"aliases,omitempty"`     // by name
	URLs        map[string]*FunctionURL `json:"urls,omitempty"`        // by qualifier: "" for the draft, else an alias name
	Tags        map[string]string       `json:"tags,omitempty"`

	// Policies holds who may act, by qualifier: "" for the function itself.
	Policies map[string][]*Statement `json:"policies,omitempty"`

	// Reserved is the function's reserved concurrency; nil when none is
	// reserved, zero when the function may not run at all.
	Reserved *int `json:"reserved,omitempty"`

	// Recursive lets the function run in a loop of invocations, which is ended
	// otherwise; see [Lineage.Loops].
	Recursive bool `json:"recursive,omitempty"`

	// Provisioned holds the wishes for provisioned concurrency, by qualifier:
	// the number of a published version, or an alias. A version is concerned
	// by one of them at most.
	Provisioned map[string]*Provisioned `json:"provisioned,omitempty"`

	// Events holds what becomes of Event invocations, by qualifier: Latest, the
	// number of a published version, or an alias.
	Events map[string]*EventConfig `json:"events,omitempty"`

	// Egress narrows where the function may connect to; nil leaves the
	// server's policy as it is.
	Egress []string `json:"egress,omitempty"`

	Created time.Time `json:"created"`
}

// Clone returns a deep copy, safe to modify.
func (f *Function) Clone() *Function {
	c := *f
	c.Draft = f.Draft.Clone()
	c.Published = slices.Clone(f.Published)
	c.Tags = maps.Clone(f.Tags)
	c.Egress = slices.Clone(f.Egress)
	if f.Reserved != nil {
		n := *f.Reserved
		c.Reserved = &n
	}
	c.Aliases = maps.Clone(f.Aliases)
	for name, a := range c.Aliases {
		c.Aliases[name] = a.Clone()
	}
	c.Provisioned = maps.Clone(f.Provisioned)
	for q, p := range c.Provisioned {
		clone := *p
		c.Provisioned[q] = &clone
	}
	c.Events = maps.Clone(f.Events) // a configuration never changes
	c.Policies = maps.Clone(f.Policies)
	for q, statements := range c.Policies {
		c.Policies[q] = slices.Clone(statements) // a statement never changes
	}
	c.URLs = maps.Clone(f.URLs)
	for q, u := range c.URLs {
		c.URLs[q] = u.Clone()
	}
	return &c
}

// A Version is one configuration of a function together with its code. The
// draft ([Latest]) changes; numbered versions are immutable once Active.
//
// Values handed out by the store are shared and must not be modified.
type Version struct {
	Tenant   string `json:"tenant"`
	Function string `json:"function"`
	Number   string `json:"number"`   // Latest, or decimal from 1
	Revision string `json:"revision"` // changes with every change of this version

	Runtime     string            `json:"runtime,omitempty"` // python3.13, nodejs22.x, provided.al2023
	Handler     string            `json:"handler,omitempty"`
	Role        string            `json:"role"`
	Description string            `json:"description,omitempty"`
	Timeout     time.Duration     `json:"timeout"`  // whole seconds, from 1 s
	MemoryMB    int               `json:"memoryMB"` // 128 to 10240
	TmpMB       int               `json:"tmpMB"`    // size of /tmp, 512 to 10240
	Environment map[string]string `json:"environment,omitempty"`
	Package     Package           `json:"package"`
	Arch        string            `json:"arch"` // x86_64 or arm64

	LogFormat      string `json:"logFormat,omitempty"`      // Text or JSON
	LogLevel       string `json:"logLevel,omitempty"`       // application log level, JSON format only
	SystemLogLevel string `json:"systemLogLevel,omitempty"` // JSON format only
	LogGroup       string `json:"logGroup,omitempty"`       // default /aws/lambda/NAME

	// SnapStart says that numbered versions start from a snapshot of their
	// initialised state; Optimized that one was taken when it was published.
	SnapStart bool `json:"snapStart,omitempty"`
	Optimized bool `json:"optimized,omitempty"`

	// Extra holds parts of the configuration that millicent stores and
	// answers but does not act upon (VpcConfig, TracingConfig, …), by the name
	// of the member in the Lambda API, as its JSON.
	Extra map[string]string `json:"extra,omitempty"`

	Modified time.Time `json:"modified"`

	State           string `json:"state"` // Pending, Active, Inactive, Failed
	StateReason     string `json:"stateReason,omitempty"`
	StateReasonCode string `json:"stateReasonCode,omitempty"`

	LastUpdate           string `json:"lastUpdate,omitempty"` // Successful, Failed, InProgress
	LastUpdateReason     string `json:"lastUpdateReason,omitempty"`
	LastUpdateReasonCode string `json:"lastUpdateReasonCode,omitempty"`
}

// States of a version and of its last update, as the Lambda API names them.
const (
	StatePending = "Pending"
	StateActive  = "Active"
	StateFailed  = "Failed"

	UpdateSuccessful = "Successful"
	UpdateInProgress = "InProgress"
	UpdateFailed     = "Failed"
)

// FromSnapshot reports whether environments of v start from a snapshot, where
// there is one.
func (v *Version) FromSnapshot() bool { return v.SnapStart && v.Number != Latest }

// Clone returns a deep copy, safe to modify.
func (v *Version) Clone() *Version {
	if v == nil {
		return nil
	}
	c := *v
	c.Environment = maps.Clone(v.Environment)
	c.Extra = maps.Clone(v.Extra)
	return &c
}

// ARN returns the version's resource name; the draft's is unqualified.
func (v *Version) ARN(region string) string {
	if v.Number == Latest {
		return ARN(region, v.Tenant, v.Function, "")
	}
	return ARN(region, v.Tenant, v.Function, v.Number)
}

// A Package is deployed code: a zip file, named by its content.
type Package struct {
	SHA256 string `json:"sha256"` // lower-case hex
	Size   int64  `json:"size"`   // bytes of the zip
}

// ARN returns the resource name of a function, or with a qualifier of one of
// its versions or aliases.
func ARN(region, tenant, name, qualifier string) string {
	arn := "arn:aws:lambda:" + region + ":" + tenant + ":function:" + name
	if qualifier != "" {
		arn += ":" + qualifier
	}
	return arn
}

// IsNumber reports whether a qualifier names a published version.
func IsNumber(qualifier string) bool {
	n, err := strconv.Atoi(qualifier)
	return err == nil && n > 0
}
