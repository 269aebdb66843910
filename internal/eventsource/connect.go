package eventsource

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/millicent-run/millicent"
)

const (
	connectTimeout = 10 * time.Second // to be connected to a NATS server
	closeTimeout   = 2 * time.Second  // for what was sent to it to leave
	nameOfClient   = "millicent"
)

// connect connects to the NATS server of a source as the mapping's function:
// to where it may connect, with what its environment says.
func (r *run) connect(server string) (*nats.Conn, error) {
	m := r.mapping
	v, err := r.service.cfg.Store.Resolve(m.Tenant, m.Function, m.Qualifier, 0)
	if err != nil {
		return nil, err
	}
	f, err := r.service.cfg.Store.Function(m.Tenant, m.Function)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	d := &dialer{run: r, allow: f.Egress, tls: u.Scheme == "tls", host: u.Hostname()}
	options := []nats.Option{
		nats.Name(nameOfClient + " " + m.ID), nats.SetCustomDialer(d), nats.SkipHostLookup(), nats.Timeout(connectTimeout),
		nats.MaxReconnects(-1), nats.ReconnectWait(time.Second), nats.NoCallbacksAfterClientClose(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			r.service.cfg.Log.Debug("event source", "mapping", m.ID, "function", m.Function, "error", err)
		}),
	}
	for _, a := range m.Access {
		value := v.Environment[a.Variable]
		if value == "" {
			return nil, fmt.Errorf("the function has no environment variable %s", a.Variable)
		}
		switch a.Type {
		case millicent.AccessBasic:
			options = append(options, credentials(value))
		case millicent.AccessRootCA:
			if d.roots = x509.NewCertPool(); !d.roots.AppendCertsFromPEM([]byte(value)) {
				return nil, fmt.Errorf("the environment variable %s has no certificate", a.Variable)
			}
		}
	}
	port := u.Port()
	if port == "" {
		port = "4222"
	}
	// TLS is the dialer's, whatever the scheme.
	conn, err := nats.Connect("nats://"+net.JoinHostPort(u.Hostname(), port), options...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", server, err)
	}
	return conn, nil
}

// credentials returns the option that a text stands for: the content of a
// .creds file, USER:PASSWORD, or a token.
func credentials(text string) nats.Option {
	if strings.Contains(text, "-----BEGIN NATS USER JWT-----") {
		return nats.UserCredentialBytes([]byte(text))
	}
	if user, password, ok := strings.Cut(text, ":"); ok {
		return nats.UserInfo(user, password)
	}
	return nats.Token(text)
}

// A dialer makes a run's connections to NATS servers. nats.go sees them without
// TLS, and within bounds; see guard.
type dialer struct {
	run   *run
	allow []string // the function's egress
	tls   bool     // also if the server does not ask for it
	host  string   // of the first server
	roots *x509.CertPool
}

// SkipTLSHandshake tells nats.go that Dial has done it.
func (d *dialer) SkipTLSHandshake() bool { return true }

func (d *dialer) Dial(_, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.run.service.life, connectTimeout)
	defer cancel()
	raw, err := d.run.service.cfg.Dial(ctx, d.allow, address)
	if err != nil {
		return nil, err
	}
	conn, err := greet(ctx, raw, d)
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return conn, nil
}

// hangUp closes a connection when what was sent has left.
func hangUp(conn *nats.Conn) {
	if conn == nil {
		return
	}
	_ = conn.FlushTimeout(closeTimeout) // what does not arrive comes again
	conn.Close()
}
