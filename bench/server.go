package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// A server is a millicent of its own on a data directory of its own.
type server struct {
	*process
	binary string
	data   string
	args   []string
	http   *http.Client
}

// startServer starts "millicent up" with args. Limits on environments and
// memory are lifted: what is measured is not to run into them.
func (b *bench) startServer(ctx context.Context, args ...string) (*server, error) {
	data, err := os.MkdirTemp(b.tmp, "data-")
	if err != nil {
		return nil, err
	}
	s := &server{
		binary: b.binary,
		data:   data,
		args:   append([]string{"--max-environments", "4000", "--max-memory", "8000000"}, args...),
		http:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	return s, s.up(ctx)
}

// up starts the server on its data directory.
func (s *server) up(ctx context.Context) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	args := append([]string{"up", "--data", s.data, "--listen", addr}, s.args...)
	s.process, err = start(ctx, exec.Command(s.binary, args...), addr, answers("/_millicent/health", false))
	return err
}

// close stops the server and removes its data.
func (s *server) close() error {
	s.http.CloseIdleConnections()
	return errors.Join(s.stop(), os.RemoveAll(s.data))
}

// A function is what the bench deploys.
type function struct {
	name      string
	runtime   string
	handler   string
	zip       []byte
	memoryMB  int
	snapStart bool
}

// call sends a request to the API and decodes its answer.
func (s *server) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return &apiError{resp.StatusCode, fmt.Sprintf("%s %s: %s: %.300s", method, path, resp.Status, answer)}
	}
	return json.Unmarshal(answer, out)
}

type apiError struct {
	status  int
	message string
}

func (e *apiError) Error() string { return e.message }

const functionsPath = "/2015-03-31/functions"

// invokePath is where an invocation of a function is posted to.
func invokePath(name, qualifier string) string {
	path := functionsPath + "/" + name + "/invocations"
	if qualifier != "" {
		path += "?Qualifier=" + qualifier
	}
	return path
}

// event returns the request that invokes a function.
func (s *server) event(name, qualifier, payload string) []byte {
	return post(s.addr, invokePath(name, qualifier), payload)
}

// create makes a function, which need not be active yet afterwards.
func (s *server) create(ctx context.Context, f function) error {
	in := map[string]any{
		"FunctionName": f.name, "Runtime": f.runtime, "Handler": f.handler,
		"Role": "arn:aws:iam::000000000000:role/bench", "Timeout": 30, "MemorySize": f.memoryMB,
		"Code": map[string]any{"ZipFile": f.zip},
	}
	if f.snapStart {
		in["SnapStart"] = map[string]string{"ApplyOn": "PublishedVersions"}
	}
	var out struct{}
	return s.call(ctx, http.MethodPost, functionsPath, in, &out)
}

// A configuration is the part that the bench reads of a function's.
type configuration struct {
	Version     string
	State       string
	StateReason string
	SnapStart   struct{ OptimizationStatus string }
}

// activeTime is how long the deploy-time work for a function may take.
const activeTime = 2 * time.Minute

// awaitActive waits until a version can be invoked.
func (s *server) awaitActive(ctx context.Context, name, qualifier string) (c configuration, err error) {
	ctx, cancel := context.WithTimeout(ctx, activeTime)
	defer cancel()
	for {
		if err = s.call(ctx, http.MethodGet, functionsPath+"/"+name+"/configuration?Qualifier="+qualifier, nil, &c); err != nil {
			return c, err
		}
		switch c.State {
		case "Active":
			return c, nil
		case "Failed":
			return c, fmt.Errorf("%s is not to be used: %s", name, c.StateReason)
		}
		select {
		case <-ctx.Done():
			return c, fmt.Errorf("%s is still %s: %w", name, c.State, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// publish publishes a version of a function and waits until it can be invoked.
func (s *server) publish(ctx context.Context, name string) (c configuration, err error) {
	if err := s.call(ctx, http.MethodPost, functionsPath+"/"+name+"/versions", struct{}{}, &c); err != nil {
		return c, err
	}
	return s.awaitActive(ctx, name, c.Version)
}

// deployers is how many functions are deployed at a time.
const deployers = 16

// deploy makes n functions like f, named f.name-0 and so on, and waits until
// all are active.
func (s *server) deploy(ctx context.Context, f function, n int) ([]string, error) {
	all := make([]function, n)
	for i := range all {
		all[i] = f
		all[i].name = fmt.Sprintf("%s-%d", f.name, i)
	}
	return s.deployAll(ctx, all)
}

// deployAll makes functions, waits until all are active and returns their names.
func (s *server) deployAll(ctx context.Context, all []function) ([]string, error) {
	names := make([]string, len(all))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(deployers)
	for i, f := range all {
		names[i] = f.name
		group.Go(func() error {
			if err := s.create(inner, f); err != nil {
				return err
			}
			_, err := s.awaitActive(inner, f.name, "$LATEST")
			return err
		})
	}
	return names, group.Wait()
}

// A runtimeInfo is what a server says of a runtime.
type runtimeInfo struct {
	Name        string `json:"name"`
	Interpreter string `json:"interpreter"`
	Version     string `json:"version"`
	Exact       bool   `json:"exact"`
}

// runtimes returns the server's runtimes that are served exactly, by family.
func (s *server) runtimes(ctx context.Context) (map[string]runtimeInfo, error) {
	var list struct{ Runtimes []runtimeInfo }
	if err := s.call(ctx, http.MethodGet, "/_millicent/runtimes", nil, &list); err != nil {
		return nil, err
	}
	found := map[string]runtimeInfo{}
	for _, r := range list.Runtimes {
		for _, family := range []string{"python", "nodejs"} {
			if r.Exact && strings.HasPrefix(r.Name, family) {
				found[family] = r
			}
		}
	}
	return found, nil
}

// hasFlag reports whether "millicent up" knows a flag.
func hasFlag(ctx context.Context, binary, flag string) bool {
	out, err := exec.CommandContext(ctx, binary, "up", "--help").CombinedOutput()
	return err == nil && bytes.Contains(out, []byte("--"+flag+" "))
}

// versionOf returns what the binary says of itself.
func versionOf(ctx context.Context, binary string) (string, error) {
	out, err := exec.CommandContext(ctx, binary, "version").Output()
	if err != nil {
		return "", fmt.Errorf("%s version: %w", filepath.Base(binary), err)
	}
	return strings.TrimSpace(string(out)), nil
}
