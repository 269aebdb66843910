package lifecycle

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
)

// StreamName returns a new log stream's name.
func StreamName(v *millicent.Version, now time.Time) string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return fmt.Sprintf("%s[%s]%s", now.UTC().Format("2006/01/02/"), v.Number, hex.EncodeToString(id[:]))
}

// LogGroup returns the version's log group.
func LogGroup(v *millicent.Version) string {
	if v.LogGroup != "" {
		return v.LogGroup
	}
	return "/aws/lambda/" + v.Function
}

// ReservedNames returns the variables that a version's environment cannot set,
// whether or not the kind of environment at hand has them.
func ReservedNames() []string {
	return []string{
		"_HANDLER", "_X_AMZN_TRACE_ID", "_LAMBDA_TELEMETRY_LOG_FD", "_AWS_XRAY_DAEMON_ADDRESS", "_AWS_XRAY_DAEMON_PORT",
		"AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
		"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
		"AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
		"AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL", "AWS_LAMBDA_RUNTIME_API",
		"AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
	}
}

// Variables returns what the platform sets in every kind of environment, and
// which is the same in all environments of a version.
func Variables(kind Initialization, v *millicent.Version, region string) map[string]string {
	env := map[string]string{
		"_HANDLER":                        v.Handler,
		"AWS_REGION":                      region,
		"AWS_DEFAULT_REGION":              region,
		"AWS_LAMBDA_FUNCTION_NAME":        v.Function,
		"AWS_LAMBDA_FUNCTION_VERSION":     v.Number,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(v.MemoryMB),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  string(kind),
		"AWS_LAMBDA_LOG_GROUP_NAME":       LogGroup(v),
		"LAMBDA_TASK_ROOT":                TaskRoot,
	}
	if v.LogFormat == FormatJSON {
		env["AWS_LAMBDA_LOG_FORMAT"] = FormatJSON
		if v.LogLevel != "" {
			env["AWS_LAMBDA_LOG_LEVEL"] = v.LogLevel
		}
	}
	return env
}

// TaskRoot is where functions find their package.
const TaskRoot = "/var/task"

// List returns variables as NAME=value, sorted.
func List(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}
