package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent/internal/server"
)

// dataDir returns the data directory that `up` uses when none is given.
func dataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/millicent"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "millicent")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "millicent-data"
	}
	return filepath.Join(home, ".local", "share", "millicent")
}

func (c *cli) upCommand() *cobra.Command {
	var cfg server.Config
	var logFormat string
	var verbose, metering bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the platform, and run it until Ctrl-C",
		Long: `Start the platform, and run it until Ctrl-C or SIGTERM. Running invocations
are given time to end then; a second Ctrl-C gives them none.

Everything is kept in the data directory, which one server at a time uses. The
API is open to whoever can connect, so it listens on loopback only, unless
--auth sigv4 asks for calls signed with keys of ` + "`millicent keys create`" + `.`,
		Example: `  millicent up
  millicent up --data ./data --listen 127.0.0.1:4567
  millicent up --listen 0.0.0.0:4566 --auth sigv4
  millicent up --egress none          # functions reach nothing outside`,
		Args: wantArgs(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := newLog(c.err, logFormat, verbose)
			if err != nil {
				return &usageError{cmd: cmd.CommandPath(), message: err.Error()}
			}
			cfg.Log, cfg.Unmetered = log, !metering
			if cfg.Pool == 0 {
				cfg.Pool = -1 // the Config's none
			}
			cfg.Version = versionString()
			cfg.Ready = func(addr string) { c.ready(addr, cfg) }
			abort, stop := secondSignal(cmd.Context())
			defer stop()
			cfg.Abort = abort
			return server.Run(cmd.Context(), cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Data, "data", dataDir(), "data `directory`")
	f.StringVar(&cfg.Listen, "listen", server.DefaultListen, "`address` of the API")
	f.StringVar(&cfg.Account, "account", server.DefaultAccount, "account `id`, twelve digits")
	f.StringVar(&cfg.Region, "region", server.DefaultRegion, "`region` in resource names and URLs")
	f.StringVar(&cfg.Auth, "auth", server.AuthNone, "`mode`: none, or sigv4 to accept signed calls only")
	f.StringVar(&cfg.S3Endpoint, "s3-endpoint", "", "`URL` of the S3-compatible store that packages may come from")
	f.StringVar(&cfg.Egress, "egress", "public", "where functions may connect to, a `mode`: none, public or all")
	f.StringSliceVar(&cfg.Reach, "reach", nil, "`HOST:PORT`s that webhooks and event source mappings may connect to whatever --egress says")
	f.IntVar(&cfg.KeepUsage, "keep-usage", 400, "how many `days` the records of usage are kept; sums stay longer")
	f.BoolVar(&metering, "metering", true, "record what is used; with --metering=false there are no bills and no budgets")
	f.StringArrayVar(&cfg.Prices, "prices", nil, "price book, a `file`, or the name of one that is built in; several, each for its time")
	f.BoolVar(&cfg.StrictRuntimes, "strict-runtimes", false, "refuse a runtime whose exact version is not installed")
	f.IntVar(&cfg.MaxEnvironments, "max-environments", 0, "most execution environments at a time, `N` (default 500)")
	f.BoolVar(&cfg.WasmInProcess, "wasm-in-process", false, "run WebAssembly in the server's own process, and not in one for each tenant:\nfaster, and only for code that is trusted")
	f.IntVar(&cfg.MaxMemoryMB, "max-memory", 0, "most memory of all environments together, in `MB` (default the machine's, or the service's or container's limit, but for 512 or a tenth)")
	f.DurationVar(&cfg.KeepAlive, "keep-alive", 10*time.Minute, "how long an idle environment is kept")
	f.IntVar(&cfg.Pool, "pool", server.DefaultPool, "most sandboxes, `N`, that are prepared ahead for each runtime; 0 is none")
	f.StringVar(&logFormat, "log-format", "text", "`format` of the server's own log: text or json")
	f.BoolVarP(&verbose, "verbose", "v", false, "log more")
	return cmd
}

// ready tells how to use a server that has started.
func (c *cli) ready(addr string, cfg server.Config) {
	url := addr
	if !strings.Contains(url, "://") {
		url = "http://" + addr
	}
	fmt.Fprintf(c.out, "%s ready on %s (data in %s)\n", paint(c.out, bold, "millicent"), paint(c.out, green, url), cfg.Data)
	if isTerminal(c.out) {
		fmt.Fprintf(c.out, "\n  export AWS_ENDPOINT_URL=%[1]s\n  millicent deploy DIR\n\n  %[1]s/_console/\n\nCtrl-C stops it.\n", url)
	}
}

func newLog(w io.Writer, format string, verbose bool) (*slog.Logger, error) {
	opts := &slog.HandlerOptions{Level: slog.LevelInfo}
	if verbose {
		opts.Level = slog.LevelDebug
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, fmt.Errorf("log format %q: choose text or json", format)
}

// secondSignal returns a channel that is closed by the first signal after
// ctx has ended: the user will not wait for a clean stop.
func secondSignal(ctx context.Context) (<-chan struct{}, func()) {
	abort, over := make(chan struct{}), make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
		case <-over:
			return
		}
		again := make(chan os.Signal, 1)
		signal.Notify(again, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(again)
		select {
		case <-again:
			close(abort)
		case <-over:
		}
	}()
	return abort, func() { close(over) }
}
