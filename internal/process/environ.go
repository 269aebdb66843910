package process

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// What the platform serves inside every sandbox, at sandbox.Address.
const (
	portRuntimeAPI = 9001
	portPlatform   = 4566
	portXRay       = 2000 // nothing listens; SDKs send datagrams there
	portDNS        = 53
	portRedirect   = 15001

	taskRoot   = lifecycle.TaskRoot
	runtimeDir = "/var/runtime"
	optDir     = "/opt"

	// logFD is the descriptor of the framed log channel: the first after
	// standard error.
	logFD = 3
)

func inside(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(sandbox.Address), port)
}

// credentials are the access key that a function calls the platform with.
type credentials struct{ id, secret, token string }

// environ returns the environment variables of a runtime's process: defaults
// that the version's own may override, and what is reserved.
func environ(kind lifecycle.Initialization, v *millicent.Version, rt Runtime, region, stream string, key credentials) []string {
	env := baseEnviron(rt)
	maps.Copy(env, v.Environment)
	for _, name := range slices.Concat(lifecycle.ReservedNames(), reservedNames) {
		delete(env, name)
	}
	maps.Copy(env, reserved(kind, v, rt, region, stream, key))

	return lifecycle.List(env)
}

// baseEnviron is what environments of a runtime begin with.
func baseEnviron(rt Runtime) map[string]string {
	family, number := splitRuntime(rt.Name)
	env := map[string]string{
		"PATH":                     "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
		"LD_LIBRARY_PATH":          "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
		"LANG":                     "en_US.UTF-8",
		"TZ":                       ":UTC",
		"PWD":                      taskRoot,
		"SHLVL":                    "0",
		"AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
		"AWS_XRAY_DAEMON_ADDRESS":  inside(portXRay).String(),
		"AWS_ENDPOINT_URL":         "http://" + inside(portPlatform).String(),
	}
	switch family {
	case familyPython:
		env["PYTHONPATH"] = runtimeDir
		env["LC_CTYPE"] = "C.UTF-8"
	case familyNode:
		env["NODE_PATH"] = "/opt/nodejs/node" + number + "/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task"
	}
	return env
}

// reservedNames are the variables besides lifecycle.ReservedNames that a
// version's environment cannot set.
var reservedNames = []string{linkVariable, compiledVariable, snapshotVariable}

// reserved returns what the platform alone sets. _X_AMZN_TRACE_ID is missing:
// bootstraps set it for each invocation.
func reserved(kind lifecycle.Initialization, v *millicent.Version, rt Runtime, region, stream string, key credentials) map[string]string {
	env := lifecycle.Variables(kind, v, region)
	maps.Copy(env, map[string]string{
		"_AWS_XRAY_DAEMON_ADDRESS":   sandbox.Address,
		"_AWS_XRAY_DAEMON_PORT":      strconv.Itoa(portXRay),
		"AWS_LAMBDA_LOG_STREAM_NAME": stream,
		"AWS_LAMBDA_RUNTIME_API":     inside(portRuntimeAPI).String(),
		"LAMBDA_RUNTIME_DIR":         runtimeDir,
	})
	if family, _ := splitRuntime(rt.Name); family != familyProvided {
		env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + rt.Name
		env["_LAMBDA_TELEMETRY_LOG_FD"] = strconv.Itoa(logFD)
	}
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID":     key.id,
		"AWS_SECRET_ACCESS_KEY": key.secret,
		"AWS_SESSION_TOKEN":     key.token,
	} {
		if value != "" {
			env[name] = value
		}
	}
	return env
}
