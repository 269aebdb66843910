// Package bootstrap holds the programs that run functions written in Python
// and in Node.js: they load a handler and speak the Runtime API for it.
//
// Package process lays Files out below /var/runtime in every sandbox and
// starts
//
//	INTERPRETER PythonArgs... /var/runtime/python/bootstrap.py
//	INTERPRETER NodeArgs... /var/runtime/node/bootstrap.mjs
//
// with the environment of the Lambda runtimes. What a function may rely upon
// follows the runtime that was asked for (AWS_EXECUTION_ENV), not the version
// of the interpreter that serves it.
//
// Both programs need AWS_LAMBDA_RUNTIME_API as an IP address and a port, write
// log entries to the descriptor _LAMBDA_TELEMETRY_LOG_FD in frames when that
// is set (else to standard output, with \r within an entry), and have written
// every byte of an invocation's output before they post its response.
package bootstrap

import "embed"

// Files holds the folders python and node.
//
//go:embed python/*.py python/millicent_runtime/*.py node/*.mjs
var Files embed.FS

// Paths of the programs within Files.
const (
	Python = "python/bootstrap.py"
	Node   = "node/bootstrap.mjs"
)

// PythonCompile are the arguments that make an interpreter compile the
// Python files below a directory, which follows them. Where the files are
// mounted read-only every start compiles them anew otherwise.
var PythonCompile = []string{"-I", "-m", "compileall", "-q"}

// PythonArgs and NodeArgs go between interpreter and program.
var (
	PythonArgs []string
	NodeArgs   []string
)
