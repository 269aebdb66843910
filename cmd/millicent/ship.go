package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/millicent-run/millicent/client"
)

// A shipment brings a package to a server.
type shipment struct {
	api    *client.Client
	d      deployment
	p      *project
	pack   []byte
	env    *client.Environment
	report func(done, total int64)
}

// ship creates the function, or updates what differs of it.
func (s *shipment) ship(ctx context.Context, old *client.Configuration) (cfg *client.Configuration, action string, err error) {
	if old == nil {
		if err := s.create(ctx); err != nil {
			return nil, "", err
		}
		cfg, err = s.ready(ctx)
		return cfg, "created", err
	}
	action = "unchanged"
	sum := sha256.Sum256(s.pack)
	if base64.StdEncoding.EncodeToString(sum[:]) != old.CodeSha256 {
		action = "updated"
		code := client.Code{ZipFile: s.pack}
		if s.p.build {
			code.Architectures = []string{goArch()}
		}
		if _, err := s.api.UpdateCode(ctx, s.d.name, code, s.report); err != nil {
			return nil, "", err
		}
	}
	// Also of a function that is unchanged: it may have failed or be pending.
	if cfg, err = s.ready(ctx); err != nil {
		return nil, "", err
	}
	change, differs, err := s.change(ctx, cfg)
	if err != nil || !differs {
		return cfg, action, err
	}
	if _, err := s.api.UpdateConfiguration(ctx, s.d.name, change); err != nil {
		return nil, "", err
	}
	cfg, err = s.ready(ctx)
	return cfg, "updated", err
}

// ready waits until the function can be invoked.
func (s *shipment) ready(ctx context.Context) (*client.Configuration, error) {
	ctx, cancel := context.WithTimeout(ctx, s.d.wait)
	defer cancel()
	cfg, err := s.api.WaitReady(ctx, s.d.name)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("function %s is not ready after %s", s.d.name, s.d.wait)
	}
	return cfg, err
}

func (s *shipment) create(ctx context.Context) error {
	runtime, err := s.newestRuntime(ctx)
	if err != nil {
		return err
	}
	role := s.d.role
	if role == "" {
		info, err := s.api.Info(ctx)
		if err != nil {
			return err
		}
		role = "arn:aws:iam::" + info.Account + ":role/millicent"
	}
	in := client.CreateFunction{
		FunctionName: s.d.name, Runtime: runtime, Role: role, Handler: s.p.handler,
		Code: client.Code{ZipFile: s.pack}, Timeout: s.d.timeout, MemorySize: s.d.memory, Environment: s.env,
	}
	if s.p.build {
		in.Architectures = []string{goArch()}
	}
	_, err = s.api.Create(ctx, in, s.report)
	return err
}

// change returns what to change of a function's configuration: what the
// user said, and what the folder says of language and handler.
func (s *shipment) change(ctx context.Context, old *client.Configuration) (in client.UpdateConfiguration, differs bool, err error) {
	runtime := old.Runtime
	same := familyOf(old.Runtime) == s.p.family || old.Runtime == "javascript" && s.p.family == "nodejs"
	if s.d.runtime != "" || !same {
		if runtime, err = s.newestRuntime(ctx); err != nil {
			return in, false, err
		}
	}
	if runtime != old.Runtime {
		in.Runtime, differs = runtime, true
	}
	if s.p.handler != old.Handler {
		in.Handler, differs = s.p.handler, true
	}
	if s.d.role != "" && s.d.role != old.Role {
		in.Role, differs = s.d.role, true
	}
	if s.d.memory != 0 && s.d.memory != old.MemorySize {
		in.MemorySize, differs = s.d.memory, true
	}
	if s.d.timeout != 0 && s.d.timeout != old.Timeout {
		in.Timeout, differs = s.d.timeout, true
	}
	if s.env != nil && !s.env.Equal(old.Environment) {
		in.Environment, differs = s.env, true
	}
	return in, differs, nil
}

// newestRuntime returns the runtime that the user named, else the newest of
// the family that is installed where the server runs.
func (s *shipment) newestRuntime(ctx context.Context) (string, error) {
	if s.d.runtime != "" {
		return s.d.runtime, nil
	}
	switch s.p.family {
	case "provided":
		return "provided.al2023", nil
	case "wasm", "javascript":
		return s.p.family, nil
	}
	runtimes, err := s.api.Runtimes(ctx)
	if err != nil {
		return "", err
	}
	best := pickRuntime(runtimes, s.p.family)
	if best == "" {
		return "", fmt.Errorf("%s is a %s function, and the server's machine has no interpreter for it (see `millicent runtimes`)", s.d.dir, s.p.family)
	}
	return best, nil
}

// pickRuntime returns the newest runtime of a family that is installed as
// its name says, else the newest that is served at all.
func pickRuntime(runtimes []client.Runtime, family string) string {
	var served, exact []string
	for _, r := range runtimes {
		if familyOf(r.Name) != family || r.Interpreter == "" {
			continue
		}
		served = append(served, r.Name)
		if r.Exact {
			exact = append(exact, r.Name)
		}
	}
	for _, names := range [][]string{exact, served} {
		if len(names) > 0 {
			return slices.MaxFunc(names, compareVersions)
		}
	}
	return ""
}

// compareVersions compares names by the numbers in them: python3.9 is before
// python3.13.
func compareVersions(a, b string) int {
	return slices.Compare(numbers(a), numbers(b))
}

func numbers(s string) []int {
	var out []int
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return r < '0' || r > '9' }) {
		n := 0
		for _, digit := range part {
			n = n*10 + int(digit-'0')
		}
		out = append(out, n)
	}
	return out
}
