package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/console"
	"github.com/millicent-run/millicent/internal/api"
	"github.com/millicent-run/millicent/internal/api/lambda"
	"github.com/millicent-run/millicent/internal/api/native"
	schedulerapi "github.com/millicent-run/millicent/internal/api/scheduler"
	sqsapi "github.com/millicent-run/millicent/internal/api/sqs"
	"github.com/millicent-run/millicent/internal/api/url"
	"github.com/millicent-run/millicent/internal/egress"
	"github.com/millicent-run/millicent/internal/process"
	"github.com/millicent-run/millicent/internal/wasm/launcher"
)

func (s *server) newAPI(context.Context) error {
	auth := api.NewAuth(api.AuthConfig{
		Verified: s.cfg.Auth == AuthSigV4,
		Account:  s.cfg.Account,
		Region:   s.cfg.Region,
		Key: func(id string) (secret, tenant string, ok bool) {
			k, ok := s.store.Key(id)
			return k.Secret, k.Tenant, ok
		},
		FunctionKeys: s.keys,
		HasFunction: func(tenant, name string) bool {
			_, err := s.store.Function(tenant, name)
			return err == nil
		},
	})
	links := &native.Links{Secret: s.secret}
	packages, err := s.packageSource()
	if err != nil {
		return err
	}
	lambdaAPI := lambda.New(lambda.Config{
		Region:     s.cfg.Region,
		Store:      s.store,
		Invoker:    invokers{s.invoker, s.events},
		HasQueue:   s.hasQueue,
		Tenant:     tenantOf,
		URL:        s.functionURL,
		PackageURL: func(_ string, p millicent.Package) string { return s.packageURL(links, p) },
		Runtime:    s.runtimeNote,
		Allocation: s.scheduler.Allocation,
		Mappings:   s.mappings,
		Packages:   packages,
		Log:        s.log,
	})
	s.handler = api.New(api.Config{
		Region:    s.cfg.Region,
		Auth:      auth,
		Lambda:    lambdaAPI,
		SQS:       sqsapi.New(sqsapi.Config{Region: s.cfg.Region, Queues: s.sqs, Count: s.standing.count}),
		Scheduler: schedulerapi.New(schedulerapi.Config{Region: s.cfg.Region, Schedules: s.schedules}),
		URL: url.New(url.Config{
			Region: s.cfg.Region, Functions: s.store, Invoker: discreet{s.invoker}, Verifier: auth, Log: s.log,
		}),
		Native:  native.New(s.nativeConfig(links, lambdaAPI)),
		Console: console.New(),
		Metrics: s.metrics.Handler(),
		Log:     s.log,
	})
	return nil
}

func (s *server) nativeConfig(links *native.Links, lambdaAPI *lambda.Handler) native.Config {
	limitations := s.host.Limitations()
	if limitations == nil {
		limitations = []string{}
	}
	return native.Config{
		Info: native.Info{
			Version: s.cfg.Version, Account: s.cfg.Account, Region: s.cfg.Region, Auth: s.cfg.Auth,
			Egress: s.cfg.Egress, Listen: s.listeners.address(), Started: s.begin.UTC(), Limitations: limitations,
		},
		Runtimes: func() []native.Runtime {
			list := []native.Runtime{}
			for _, rt := range s.runtimes.List() {
				list = append(list, native.Runtime(rt))
			}
			for _, name := range []string{launcher.RuntimeWasm, launcher.RuntimeJavaScript} {
				list = append(list, native.Runtime{Name: name, Exact: true})
			}
			return list
		},
		Provisioned: func(tenant string) []native.Provisioned {
			list := []native.Provisioned{}
			for _, st := range lambdaAPI.ProvisionedStates(tenant) {
				list = append(list, native.Provisioned(st))
			}
			return list
		},
		Schedule:    s.scheduleStatus,
		Store:       s.store,
		Logs:        s.logs,
		Recent:      &s.recent,
		Rates:       &s.rates,
		URL:         s.functionURL,
		Links:       links,
		Events:      s.events,
		Usage:       latestUsage{s},
		Books:       s.books,
		Queues:      s.sqs,
		Budgets:     s.budgets,
		Ledger:      s.ledgerAPI(),
		CheckEgress: egress.CheckAllow,
		Stopping:    s.listeners.stopping,
		Log:         s.log,
	}
}

// hasQueue reports whether a tenant has a standard queue of a name.
func (s *server) hasQueue(tenant, name string) bool {
	q, err := s.sqs.Queue(tenant, name)
	return err == nil && !q.FIFO()
}

// packageSource returns the S3-compatible store of the configuration, with
// the credentials of the server's environment; none when there is no store.
func (s *server) packageSource() (lambda.PackageSource, error) {
	if s.cfg.S3Endpoint == "" {
		return nil, nil
	}
	env, err := config.NewEnvConfig()
	if err != nil {
		return nil, fmt.Errorf("credentials of the S3 store: %w", err)
	}
	var provider aws.CredentialsProvider = aws.AnonymousCredentials{}
	if env.Credentials.HasKeys() {
		provider = credentials.StaticCredentialsProvider{Value: env.Credentials}
	}
	return lambda.NewS3(lambda.S3Config{Endpoint: s.cfg.S3Endpoint, Region: s.cfg.Region, Credentials: provider}), nil
}

// functionURL returns the address of a function URL.
func (s *server) functionURL(id string) string {
	_, port, _ := net.SplitHostPort(s.listeners.address()) // a listener's address has both
	return "http://" + net.JoinHostPort(url.Host(id, s.cfg.Region), port) + "/"
}

// packageURL returns a link to a package.
func (s *server) packageURL(links *native.Links, p millicent.Package) string {
	path, err := links.Path(p)
	if err != nil {
		s.log.Error("package link not made", "error", err)
		return ""
	}
	return "http://" + reachable(s.listeners.address()) + path
}

// reachable replaces the address that stands for all of a machine's by one of
// them.
func reachable(addr string) string {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil || !ap.Addr().IsUnspecified() {
		return addr
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ap.Port()).String()
}

// runtimeNote says whether this machine can run a runtime.
func (s *server) runtimeNote(name string) (note string, err error) {
	return runtimeNote(s.runtimes, name, s.cfg.StrictRuntimes)
}

// lookup finds a runtime; *process.Runtimes does.
type lookup interface {
	Lookup(name string) (process.Runtime, bool)
}

func runtimeNote(runtimes lookup, name string, strict bool) (note string, err error) {
	if wasmRuntime(name) {
		return "", nil
	}
	rt, ok := runtimes.Lookup(name)
	switch {
	case !ok && rt.Note == "":
		return "", millicent.Errorf(millicent.CodeNotImplemented,
			"The runtime %s is not built yet: this server runs python3.x, nodejsN.x, provided.al2, provided.al2023, wasm and javascript.", name)
	case !ok:
		return "", millicent.Errorf(millicent.CodeInvalid, "The runtime %s cannot run on this machine. %s", name, rt.Note)
	case rt.Exact:
		return "", nil
	case strict:
		return "", millicent.Errorf(millicent.CodeInvalid, "The runtime %s is not installed on this machine, which has %s, "+
			"and the server runs with --strict-runtimes.", name, rt.Version)
	}
	return rt.Note, nil
}
