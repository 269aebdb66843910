// Command bench measures a millicent binary from outside: cold starts, warm
// latency, throughput, density; through the API of a real server on loopback,
// with real sandboxes. It prints every figure beside its target and beside
// what a bare net/http handler makes of the same, and writes a report. README.md
// says what each figure is.
//
//	go run ./bench                     # everything: about 15 minutes
//	go run ./bench --quick             # few samples, no results to keep
//	go run ./bench --only 'cold|warm'
//
// It must run as root, from within the module, on a machine that does nothing
// else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A command is what the command line asks for.
type command struct {
	binary, out, only        string
	unpooled                 string
	rie, workerd, ofWatchdog string
	quick, list              bool
	size                     sizes
	measured                 []scenario
	peers                    []peer
}

// errFailed is a run in which something could not be measured; a target that
// is missed is no failure of the run.
var errFailed = errors.New("not everything could be measured")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 2 && args[0] == "baseline" {
		return serveBare(ctx, args[1])
	}
	c, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if c.list {
		for _, s := range scenarios {
			fmt.Fprintf(stdout, "%-12s %s\n", s.name, s.about)
		}
		return nil
	}
	r, err := c.measure(ctx, stdout)
	if err != nil {
		return err
	}
	report, err := r.write(c.out)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nwritten to %s after %s\n", report, r.Took)
	for _, f := range r.Figures {
		if f.Verdict == failed {
			return errFailed
		}
	}
	return nil
}

// parse reads the command line. The environment's PEER_RIE, PEER_WORKERD and
// PEER_WATCHDOG are the defaults of the flags of the same names.
func parse(args []string, stderr io.Writer) (*command, error) {
	c := &command{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&c.binary, "binary", "bin/millicent", "the `file` to measure")
	f.StringVar(&c.out, "out", "", "`directory` of the report (default bench/results; bin/bench when --quick or --only)")
	f.StringVar(&c.only, "only", "", "measure only scenarios whose name matches a `regexp`")
	f.BoolVar(&c.quick, "quick", false, "few samples: to see that it works")
	f.BoolVar(&c.list, "list", false, "list the scenarios")
	f.StringVar(&c.unpooled, "unpooled", "--pool=0", "`arguments` of a server without a pool")
	f.StringVar(&c.rie, "peer-rie", os.Getenv("PEER_RIE"), "aws-lambda-rie `binary` to compare with")
	f.StringVar(&c.workerd, "peer-workerd", os.Getenv("PEER_WORKERD"), "workerd `binary` to compare with")
	f.StringVar(&c.ofWatchdog, "peer-watchdog", os.Getenv("PEER_WATCHDOG"), "of-watchdog `binary` to compare with")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	only, err := regexp.Compile("^(?:" + c.only + ")$")
	if err != nil {
		return nil, fmt.Errorf("--only: %w", err)
	}
	for _, s := range scenarios {
		if c.only == "" || only.MatchString(s.name) {
			c.measured = append(c.measured, s)
		}
	}
	if len(c.measured) == 0 {
		return nil, fmt.Errorf("--only %s: no scenario is named so; see --list", c.only)
	}
	if c.out == "" {
		c.out = filepath.Join("bench", "results")
		if c.quick || c.only != "" {
			c.out = filepath.Join("bin", "bench")
		}
	}
	c.size = full
	if c.quick {
		c.size = quick
	}
	c.peers, err = choosePeers(c.rie, c.workerd, c.ofWatchdog)
	return c, err
}

// measure runs the scenarios.
func (c *command) measure(ctx context.Context, stdout io.Writer) (_ *result, err error) {
	if os.Getuid() != 0 {
		return nil, errors.New("run it as root: sandboxes need it")
	}
	r := &result{Format: resultFormat, Began: time.Now(), Quick: c.quick, Only: c.only, Machine: describeMachine(ctx)}
	tmp, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	binary, err := copyBinary(c.binary, tmp)
	if err != nil {
		return nil, err
	}
	if r.Machine.Version, err = versionOf(ctx, binary); err != nil {
		return nil, err
	}
	b := &bench{
		binary: binary, unpooled: strings.Fields(c.unpooled), tmp: tmp, size: c.size, peers: c.peers,
		rec: &recorder{out: stdout},
	}
	if r.Machine.busy() {
		fmt.Fprintf(stdout, "the machine is in use: its load is %s, and the figures will be worse than it is\n", r.Machine.Load)
	}
	defer func() {
		if b.bare != nil {
			err = errors.Join(err, b.bare.stop())
		}
	}()
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	r.Machine.Python, r.Machine.Node = b.runtimes["python"].Version, b.runtimes["nodejs"].Version
	for _, s := range c.measured {
		b.rec.begin(s)
		err := s.run(b, ctx)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			b.rec.fail(s.name, nil, err)
		}
	}
	r.Figures, r.Curves = b.rec.figures, b.rec.curves
	r.Took = time.Since(r.Began).Round(time.Second).String()
	return r, nil
}

// copyBinary takes a copy of the binary: a build in the middle of a run must
// not change what is measured.
func copyBinary(file, dir string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%w; `make build` makes it", err)
	}
	to := filepath.Join(dir, "millicent")
	return to, os.WriteFile(to, data, 0o755)
}
