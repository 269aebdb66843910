// Package process runs functions as Linux processes in sandboxes: it speaks
// the Runtime API to them, ships the Python and Node.js bootstraps, and keeps
// their logs.
package process

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/egress"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// Config gives a Launcher what it needs of the rest of the platform.
type Config struct {
	Host   *sandbox.Host
	Egress *egress.Gateway
	Region string
	Dir    string // where the bootstraps are laid out for mounting

	// Code returns the directory of a version's unpacked package.
	Code func(ctx context.Context, v *millicent.Version) (string, error)

	// Allow returns a function's egress allow-list.
	Allow func(v *millicent.Version) []string

	// Credentials returns the access key that a function's environment carries.
	Credentials func(v *millicent.Version) (id, secret, token string)

	// API serves calls that functions make to the platform from inside; their
	// context carries a millicent.Caller.
	API http.Handler

	Runtimes *Runtimes
	Strict   bool // refuse a runtime whose exact version is not installed
	Logs     millicent.LogSink
	Log      *slog.Logger
}

// Launcher implements millicent.Launcher for Linux processes.
type Launcher struct{}

// NewLauncher returns a Launcher.
func NewLauncher(cfg Config) (*Launcher, error) { panic("not built") }

// Launch implements millicent.Launcher.
func (l *Launcher) Launch(ctx context.Context, v *millicent.Version) (millicent.Environment, error) {
	panic("not built")
}

// Close removes what the Launcher laid out.
func (l *Launcher) Close() error { panic("not built") }

// A Runtime is a language runtime that the platform knows.
type Runtime struct {
	Name        string `json:"name"`        // python3.13
	Interpreter string `json:"interpreter"` // path of the interpreter that serves it; empty when none does
	Version     string `json:"version"`     // the interpreter's own version
	Exact       bool   `json:"exact"`       // the interpreter has the requested version
	Note        string `json:"note,omitempty"`
}

// Runtimes is what was found on this machine.
type Runtimes struct{}

// FindRuntimes looks for interpreters on this machine.
func FindRuntimes(ctx context.Context) (*Runtimes, error) { panic("not built") }

// List returns every runtime that the platform knows, served or not.
func (r *Runtimes) List() []Runtime { panic("not built") }

// Lookup returns the runtime of a name; ok is false when the platform does
// not know it or no interpreter serves it.
func (r *Runtimes) Lookup(name string) (rt Runtime, ok bool) { panic("not built") }
