package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent/internal/api"
	"github.com/millicent-run/millicent/internal/api/native"
	"github.com/millicent-run/millicent/internal/billing"
	"github.com/millicent-run/millicent/internal/ledger"
	"github.com/millicent-run/millicent/internal/meter"
	"github.com/millicent-run/millicent/internal/natsd"
)

// keepAll keeps all records: what is kept is for the server to say.
const keepAll = 200 * 365 * 24 * time.Hour

// A Stopped answers about the usage in the data directory of a server that does
// not run, as that server's admin socket would: bills, exports, receipts and
// the ledger. It has the directory's lock meanwhile, and brings into the ledger
// what a server that was killed has left in the journal, as the next start
// would. Close it.
type Stopped struct {
	Socket string // where it answers, in HTTP

	server server
	dir    string // of the socket
	http   http.Server
	served chan struct{} // closed when it answers no more
}

// OpenStopped opens the usage in a data directory. ctx bounds the opening
// alone.
func OpenStopped(ctx context.Context, data string) (_ *Stopped, err error) {
	if data, err = filepath.Abs(data); err != nil {
		return nil, err
	}
	for _, needed := range []string{"standalone", usageDir} {
		if _, err := os.Stat(filepath.Join(data, needed)); err != nil {
			return nil, fmt.Errorf("%s is not the data directory of a server that records usage: %w", data, err)
		}
	}
	o := &Stopped{served: make(chan struct{})}
	s := &o.server
	s.cfg, s.log, s.begin = Config{Data: data, Account: DefaultAccount, Region: DefaultRegion}, slog.New(slog.DiscardHandler), time.Now()
	for _, step := range []func(context.Context) error{s.startStopped, s.openLedger, s.soleAccount, o.serve} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, o.Close())
		}
	}
	return o, nil
}

// startStopped opens the books and the ledger.
func (s *server) startStopped(ctx context.Context) (err error) {
	if s.nats, err = natsd.Start(filepath.Join(s.cfg.Data, "standalone"), s.log); err != nil {
		return err
	}
	s.built.push("state engine", func(context.Context) error { return s.nats.Close() })
	if s.conn, err = s.nats.Connect(); err != nil {
		return err
	}
	if s.js, err = jetstream.New(s.conn); err != nil {
		return err
	}
	if s.books, err = booksOf(filepath.Join(s.cfg.Data, "prices")); err != nil {
		return err
	}
	s.meter, err = meter.Open(ctx, s.js, meter.Config{Dir: filepath.Join(s.cfg.Data, usageDir), Keep: keepAll, Log: s.log})
	if err != nil {
		return err
	}
	s.built.push("ledger", s.meter.Close)
	return nil
}

// booksOf returns the books of which a directory has copies. The one that came
// into force last stands for what the server would choose.
func booksOf(dir string) (*billing.Books, error) {
	kept, err := keptBooks(dir)
	if err != nil {
		return nil, err
	}
	chosen, at := *billing.Default(), time.Time{}
	others := []*billing.Book{billing.Default(), billing.Hardware()}
	for id, b := range kept {
		others = append(others, b)
		info, err := os.Stat(filepath.Join(dir, id+".yaml"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil && info.ModTime().After(at) {
			chosen, at = *b, info.ModTime()
		}
	}
	chosen.From, chosen.Until = time.Time{}, time.Time{}
	return billing.NewBooks([]*billing.Book{&chosen}, others)
}

// soleAccount makes the account that has usage the one that is meant where none
// is named, if there is no other.
func (s *server) soleAccount(ctx context.Context) error {
	if err := s.count(ctx); err != nil {
		return nil // whoever asks is told
	}
	rows, err := s.ledger.Series(ctx, ledger.Query{From: time.Unix(0, 0), To: time.Now().AddDate(0, 0, 1), By: []ledger.Dimension{ledger.ByTenant}})
	if len(rows) == 1 {
		s.cfg.Account = rows[0].Names[0]
	}
	return err
}

// serve answers, on a socket in a directory of its own.
func (o *Stopped) serve(ctx context.Context) (err error) {
	s := &o.server
	if o.dir, err = os.MkdirTemp("", "millicent-"); err != nil {
		return err
	}
	o.Socket = filepath.Join(o.dir, "socket")
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", o.Socket)
	if err != nil {
		return err
	}
	all := api.New(api.Config{
		Region: s.cfg.Region, Auth: api.NewAuth(api.AuthConfig{Account: s.cfg.Account, Region: s.cfg.Region}), Log: s.log,
		Native: native.New(native.Config{
			Info:  native.Info{Account: s.cfg.Account, Region: s.cfg.Region},
			Usage: latestUsage{s}, Books: s.books, Ledger: s.ledgerAPI(), Log: s.log, Links: &native.Links{},
		}),
	}).Operator()
	o.http.ReadHeaderTimeout = headerTime
	o.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ofUsage(r.URL.Path) {
			http.Error(w, "the server does not run", http.StatusServiceUnavailable)
			return
		}
		all.ServeHTTP(w, r)
	})
	go func() { // ends with Close
		defer close(o.served)
		_ = o.http.Serve(l) // that it was closed
	}()
	return nil
}

// ofUsage reports whether an endpoint needs nothing but the usage.
func ofUsage(path string) bool {
	for _, part := range []string{"usage", "invoices/", "export/", "prices", "rightsize", "ledger/", "receipts/"} {
		if strings.HasPrefix(path, native.Prefix+part) {
			return true
		}
	}
	return false
}

// Close ends it, and gives the directory free.
func (o *Stopped) Close() error {
	var errs []error
	if o.http.Handler != nil {
		errs = append(errs, o.http.Close())
		<-o.served
	}
	if o.dir != "" {
		errs = append(errs, os.RemoveAll(o.dir))
	}
	return errors.Join(append(errs, o.server.built.close(context.Background(), o.server.log))...)
}
