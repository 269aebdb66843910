package server

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// Config says how to run a server. The zero value of each field but Data
// takes the default that its comment names.
type Config struct {
	Data    string // directory of everything that outlives the server; required
	Listen  string // address of the API; default 127.0.0.1:4566
	Account string // the tenant of calls that name none; default 000000000000
	Region  string // default us-east-1
	Auth    string // none (default; loopback only) or sigv4

	S3Endpoint string // URL of the S3-compatible store that packages may come from; default none
	Egress     string // none, public (default) or all: where functions may connect to

	Prices []string // price books: files, or names of embedded ones; default the embedded book default
	// Reach lists HOST:PORTs that webhooks and event source mappings may
	// connect to whatever Egress says, such as a NATS server on this machine.
	Reach []string

	KeepUsage       int           // days that usage records are kept; default 400
	Unmetered       bool          // keep no ledger of what is used, for measuring what that costs
	WasmInProcess   bool          // run WebAssembly in the server's own process, and not in one for each tenant: for trusted code
	StrictRuntimes  bool          // refuse a runtime whose exact version is not installed
	MaxEnvironments int           // execution environments at a time; default 500
	MaxMemoryMB     int           // sum of their configured memory; default what sandbox.Host.Memory says but for 512 or a tenth
	KeepAlive       time.Duration // how long an idle environment is kept; default 10 minutes
	Pool            int           // most sandboxes that are prepared ahead for each runtime; default 64, negative none

	Version string            // of the program, for info; default "dev"
	Log     *slog.Logger      // default slog.Default()
	Ready   func(addr string) // called once calls are served, with the address; default none

	// Abort ends a clean stop's wait for running invocations at once when it
	// is closed: the second Ctrl-C. Default: they get drainTime.
	Abort <-chan struct{}
}

// What a Config takes where it says nothing.
const (
	DefaultListen  = "127.0.0.1:4566"
	DefaultAccount = "000000000000"
	DefaultRegion  = "us-east-1"
	DefaultPool    = 64
)

// The values of Config.Auth.
const (
	AuthNone  = "none"
	AuthSigV4 = "sigv4"
)

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	regionForm  = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}$`)
)

// complete returns cfg with its defaults filled in and Data made absolute, or
// a sentence about the first thing that is wrong with it.
func (cfg Config) complete() (Config, error) {
	fill(&cfg.Listen, DefaultListen)
	fill(&cfg.Account, DefaultAccount)
	fill(&cfg.Region, DefaultRegion)
	fill(&cfg.Auth, AuthNone)
	fill(&cfg.Egress, "public")
	fill(&cfg.Version, "dev")
	if cfg.Pool == 0 {
		cfg.Pool = DefaultPool
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	for _, check := range []func(*Config) error{checkData, checkNames, checkListen, checkS3, checkReach, checkLimits} {
		if err := check(&cfg); err != nil {
			return cfg, err
		}
	}
	return cfg, nil
}

func fill(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

func checkData(cfg *Config) error {
	if cfg.Data == "" {
		return fmt.Errorf("no data directory given")
	}
	abs, err := filepath.Abs(cfg.Data)
	if err != nil {
		return fmt.Errorf("data directory %s: %w", cfg.Data, err)
	}
	cfg.Data = abs
	return nil
}

func checkNames(cfg *Config) error {
	if !accountForm.MatchString(cfg.Account) {
		return fmt.Errorf("account %q: an account id has twelve digits", cfg.Account)
	}
	if !regionForm.MatchString(cfg.Region) {
		return fmt.Errorf("region %q: a region is named like us-east-1", cfg.Region)
	}
	switch cfg.Auth {
	case AuthNone, AuthSigV4:
	default:
		return fmt.Errorf("auth %q: choose none or sigv4", cfg.Auth)
	}
	switch cfg.Egress {
	case "none", "public", "all":
	default:
		return fmt.Errorf("egress %q: choose none, public or all", cfg.Egress)
	}
	return nil
}

// checkListen wants host:port, and a loopback host unless calls are
// authenticated: whoever can reach an open API can run code on this machine.
func checkListen(cfg *Config) error {
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen address %q: want HOST:PORT, like %s", cfg.Listen, DefaultListen)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("listen address %q: a port is a number from 0 to 65535", cfg.Listen)
	}
	if cfg.Auth == AuthNone && !loopback(host) {
		return fmt.Errorf("listen address %q: anyone who reaches it could run code here; use a loopback address, or --auth sigv4", cfg.Listen)
	}
	return nil
}

// loopback reports whether host can only be reached from this machine. Of
// names only localhost is believed.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func checkS3(cfg *Config) error {
	if cfg.S3Endpoint == "" {
		return nil
	}
	u, err := url.Parse(cfg.S3Endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("S3 endpoint %q: want a URL like http://127.0.0.1:9000", cfg.S3Endpoint)
	}
	return nil
}

func checkReach(cfg *Config) error {
	for _, address := range cfg.Reach {
		host, port, err := net.SplitHostPort(address)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 || host == "" {
			return fmt.Errorf("reach %q: want HOST:PORT, like 127.0.0.1:4222", address)
		}
	}
	return nil
}

func checkLimits(cfg *Config) error {
	switch {
	case cfg.MaxEnvironments < 0:
		return fmt.Errorf("max environments %d: it cannot be negative", cfg.MaxEnvironments)
	case cfg.MaxMemoryMB < 0:
		return fmt.Errorf("max memory %d MB: it cannot be negative", cfg.MaxMemoryMB)
	case cfg.KeepUsage < 0 || cfg.KeepUsage > 100_000:
		return fmt.Errorf("keep usage for %d days: choose 1 to 100000, or 0 for 400", cfg.KeepUsage)
	case cfg.KeepAlive < 0:
		return fmt.Errorf("keep-alive %s: it cannot be negative", cfg.KeepAlive)
	}
	return nil
}
