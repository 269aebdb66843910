package lambda

import (
	"slices"
	"strings"
)

// runtimes are those that functions may be created with, in the order in
// which AWS was recorded to list them.
var runtimes = []string{
	"nodejs20.x", "python3.14", "provided.al2023", "python3.12", "python3.13", "nodejs24.x", "nodejs22.x", "java25",
	"python3.10", "python3.11", "java21", "ruby3.3", "ruby3.4", "ruby3.2", "python3.8", "python3.9", "java17",
	"nodejs16.x", "dotnet10", "dotnet8", "java11", "dotnet6", "nodejs18.x", "provided.al2", "java8.al2",
}

// newerRuntimes came after that list was recorded.
var newerRuntimes = []string{
	"nodejs26.x", "python3.15", "ruby4.0", "java8.al2023", "java11.al2023", "java17.al2023",
}

// retiredRuntimes are known and no longer taken.
var retiredRuntimes = []string{
	"nodejs", "nodejs4.3", "nodejs4.3-edge", "nodejs6.10", "nodejs8.10", "nodejs10.x", "nodejs12.x", "nodejs14.x",
	"java8", "python2.7", "python3.6", "python3.7", "dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1", "dotnetcore3.1",
	"go1.x", "ruby2.5", "ruby2.7", "provided",
}

// ownRuntimes are this platform's.
var ownRuntimes = []string{"wasm", "javascript"}

// checkRuntime refuses a runtime that is unknown, retired, or not to be had
// on this machine, and notes what the machine has to say of any other.
func (h *Handler) checkRuntime(req *request, name string) error {
	switch {
	case slices.Contains(retiredRuntimes, name):
		return invalid("The runtime parameter of %s is no longer supported for creating or updating AWS Lambda functions. "+
			"We recommend you use a supported runtime while creating or updating functions.", name)
	case !slices.Contains(runtimes, name) && !slices.Contains(newerRuntimes, name) && !slices.Contains(ownRuntimes, name):
		return invalid("Value %s at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [%s] or be a valid ARN",
			name, strings.Join(runtimes, ", "))
	}
	note, err := h.cfg.Runtime(name)
	req.warn(note)
	return err
}
