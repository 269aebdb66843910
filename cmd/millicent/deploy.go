package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent/client"
)

// A deployment is what the flags of deploy say; zero values say nothing.
type deployment struct {
	dir     string
	name    string
	runtime string
	handler string
	role    string
	memory  int
	timeout int
	env     []string
	auth    string
	noURL   bool
	wait    time.Duration
}

func (c *cli) deployCommand() *cobra.Command {
	var d deployment
	cmd := &cobra.Command{
		Use:   "deploy DIR",
		Short: "Deploy a folder or a module as a function, and print its URL",
		Long: `Deploy a folder, or a file that is a WebAssembly module, as a function: create
it, or update it when it exists, wait until it is ready, give it a URL, and
print that.

What the folder holds says what the function is:
  index.mjs, index.js, index.cjs                      Node.js, handler index.handler
  app.py, lambda_function.py, main.py, handler.py     Python, its lambda_handler or handler
  bootstrap                                           a compiled program or a script
  main.go                                             Go, built here to a bootstrap
  bootstrap.wasm, main.wasm, or the only .wasm        WebAssembly
With --runtime javascript, JavaScript and TypeScript (index.ts) run as
WebAssembly, too: each request in an instance of its own.

The newest installed version of the language serves a new function; an update
keeps the one it has. What stays out of the package: .git, __pycache__, .venv,
node_modules/.cache, and what a .millicentignore says, in the syntax of
.gitignore. Settings that are not given stay as they are.`,
		Example: `  millicent deploy ./hello
  millicent deploy ./api --name orders --memory 512 --timeout 30 --env STAGE=test
  millicent deploy ./hello.wasm
  millicent deploy ./api --runtime python3.12 --handler service.entry
  curl $(millicent deploy ./hello --json | jq -r .pathUrl)`,
		Args: wantArgs(1, 1, "one DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.dir = args[0]
			return c.deploy(cmd.Context(), d)
		},
	}
	f := cmd.Flags()
	f.StringVar(&d.name, "name", "", "function `name` (default the folder's)")
	f.StringVar(&d.runtime, "runtime", "", "`runtime`, like python3.13, nodejs22.x or provided.al2023")
	f.StringVar(&d.handler, "handler", "", "`handler`, like app.handler")
	f.StringVar(&d.role, "role", "", "`ARN` of the function's role")
	f.IntVar(&d.memory, "memory", 0, "memory in `MB`, 128 to 10240; CPU comes in proportion (default 128)")
	f.IntVar(&d.timeout, "timeout", 0, "most `seconds` for one invocation, 1 to 900 (default 3)")
	f.StringArrayVar(&d.env, "env", nil, "environment variable `K=V`, more than once for more; replaces all")
	f.StringVar(&d.auth, "auth", "", "`type`: NONE for a URL that everyone may call, AWS_IAM for signed calls\n(default NONE on an open server, else AWS_IAM)")
	f.BoolVar(&d.noURL, "no-url", false, "give it no URL")
	f.DurationVar(&d.wait, "wait", time.Minute, "how long to wait until the function is ready")
	c.jsonFlag(cmd)
	return cmd
}

// A deployed function, for --json.
type deployed struct {
	Function string `json:"function"`
	ARN      string `json:"arn"`
	Action   string `json:"action"` // created, updated or unchanged
	Runtime  string `json:"runtime"`
	Handler  string `json:"handler"`
	Size     int64  `json:"size"`
	URL      string `json:"url,omitempty"`
	PathURL  string `json:"pathUrl,omitempty"`
}

func (c *cli) deploy(ctx context.Context, d deployment) error {
	variables, err := parseEnv(d.env)
	if err != nil {
		return &usageError{cmd: "millicent deploy", message: err.Error()}
	}
	p, err := findProject(d.dir, d.runtime, d.handler)
	if err != nil {
		return err
	}
	if d.name == "" {
		if d.name, err = functionName(d.dir); err != nil {
			return err
		}
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	old, err := api.Function(ctx, d.name) // also tells early that there is no server
	if err != nil && !client.IsNotFound(err) {
		return err
	}
	pack, err := c.pack(ctx, p)
	if err != nil {
		return err
	}
	s := &shipment{api: api, d: d, p: p, pack: pack, env: variables}
	bar := c.newBar("Uploading")
	s.report = bar.show
	cfg, action, err := s.ship(ctx, old)
	bar.clear()
	if err != nil {
		return err
	}
	out := deployed{
		Function: cfg.FunctionName, ARN: cfg.FunctionArn, Action: action,
		Runtime: cfg.Runtime, Handler: cfg.Handler, Size: cfg.CodeSize,
	}
	if !d.noURL {
		u, err := ensureURL(ctx, api, d.name, d.auth)
		if err != nil {
			return err
		}
		out.URL, out.PathURL = u.FunctionURL, api.PathURL(u)
	}
	return c.printDeployed(ctx, api, out)
}

// pack makes the package of a project.
func (c *cli) pack(ctx context.Context, p *project) ([]byte, error) {
	switch {
	case p.build:
		return buildGo(ctx, p.dir, c.err)
	case p.bare:
		return readModule(p.dir)
	}
	bar := c.newBar("Packing")
	defer bar.clear()
	return packDir(p.dir, bar.show)
}

func (c *cli) printDeployed(ctx context.Context, api *client.Client, d deployed) error {
	if c.json {
		return printJSON(c.out, d)
	}
	fmt.Fprintf(c.out, "%s %s (%s, %s, %s)\n", paint(c.out, bold, d.Function), paint(c.out, green, d.Action), d.Runtime, d.Handler, size(d.Size))
	if note := runtimeNote(ctx, api, d.Runtime); note != "" {
		fmt.Fprintf(c.err, "%s %s\n", paint(c.err, yellow, "note:"), note)
	}
	if d.URL != "" {
		fmt.Fprintf(c.out, "%s\n%s\n", d.URL, d.PathURL)
	}
	return nil
}

// runtimeNote tells when another version of a language serves a function than
// the one it asks for. Not being able to tell is no reason to fail a
// deployment that is over.
func runtimeNote(ctx context.Context, api *client.Client, name string) string {
	runtimes, err := api.Runtimes(ctx)
	if err != nil {
		return ""
	}
	for _, r := range runtimes {
		if r.Name != name || r.Interpreter == "" || r.Exact {
			continue
		}
		if r.Note == "" {
			return fmt.Sprintf("%s is not installed; %s (%s) serves it", name, r.Interpreter, r.Version)
		}
		return r.Note
	}
	return ""
}

// parseEnv reads K=V pairs; nil when there are none.
func parseEnv(pairs []string) (*client.Environment, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	env := &client.Environment{Variables: make(map[string]string, len(pairs))}
	for _, pair := range pairs {
		k, v, ok := strings.Cut(pair, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("--env %q: want K=V", pair)
		}
		env.Variables[k] = v
	}
	return env, nil
}
