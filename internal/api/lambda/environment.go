package lambda

import (
	"slices"
	"strings"
)

const maxEnvironment = 4096 // bytes of the variables as JSON

// reservedVariables are set by the platform and not to be set by a function's
// owner.
var reservedVariables = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
	"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
	"AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
	"AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}

const environmentRefused = "Lambda was unable to configure your environment variables because the environment variables you have provided "

// checkEnvironment refuses reserved keys and too much of it all. vars has the
// order in which the variables were sent.
func checkEnvironment(vars *object) error {
	if vars == nil {
		return nil
	}
	var reserved []string
	for _, k := range vars.keys {
		if slices.Contains(reservedVariables, k) {
			reserved = append(reserved, k)
		}
	}
	if len(reserved) > 0 {
		return invalid(environmentRefused+"contains reserved keys that are currently not supported for modification. "+
			"Reserved keys used in this request: %s", strings.Join(reserved, ", "))
	}
	measured, err := vars.compact()
	if err != nil {
		return err
	}
	if len(measured) > maxEnvironment {
		return invalid(environmentRefused+"exceeded the 4KB limit. String measured: %s", measured)
	}
	return nil
}

// compact returns an object of strings as JSON without white space, in order.
func (o *object) compact() (string, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, k := range o.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := marshal(k)
		if err != nil {
			return "", err
		}
		val, err := marshal(o.values[k])
		if err != nil {
			return "", err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(val)
	}
	b.WriteByte('}')
	return b.String(), nil
}

// member returns the object at a path of members, nil when there is none.
func (o *object) member(path ...string) *object {
	for _, name := range path {
		next, ok := o.values[name].(*object)
		if !ok {
			return nil
		}
		o = next
	}
	return o
}
