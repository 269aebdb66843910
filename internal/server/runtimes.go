package server

import (
	"context"
	"net/http"
	"strings"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/process"
)

// search looks for the machine's runtimes while the server starts.
type search struct {
	done     chan struct{}
	runtimes *process.Runtimes
	err      error
}

func findRuntimes(ctx context.Context) *search {
	s := &search{done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.runtimes, s.err = process.FindRuntimes(ctx)
	}()
	return s
}

func (s *search) wait() { <-s.done }

func (s *search) get() (*process.Runtimes, error) {
	s.wait()
	return s.runtimes, s.err
}

// tenantOf returns whom the listener found a request to come from.
func tenantOf(r *http.Request) string { return millicent.IdentityFrom(r.Context()).Tenant }

// installed names the runtimes that this machine has, each with the version
// of its interpreter.
func installed(list []process.Runtime) string {
	var names []string
	for _, rt := range list {
		switch {
		case !rt.Exact:
		case rt.Version == "":
			names = append(names, rt.Name)
		default:
			names = append(names, rt.Name+" ("+rt.Version+")")
		}
	}
	return strings.Join(names, ", ")
}
