package eventsource

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
)

// handed waits for records that were given to Event invocations.
func (w *world) handed(n int) (bodies []string, last *millicent.Invocation) {
	w.t.Helper()
	for len(bodies) < n {
		select {
		case last = <-w.events.enqueued:
			var e event
			must(w.t, json.Unmarshal(last.Event, &e))
			bodies = append(bodies, e.bodies()...)
		case <-time.After(time.Minute):
			w.t.Fatalf("handed over were %q, and nothing more", bodies)
		}
	}
	return bodies, last
}

// subscribed waits until a server knows somebody who wants a subject.
func subscribed(t *testing.T, conn *nats.Conn, subject string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := conn.Request(subject, nil, 10*time.Millisecond); err == nil || !strings.Contains(err.Error(), "no responders") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody subscribes to " + subject)
		}
	}
}

func TestSubjectToFunction(t *testing.T) {
	w, b := newWorld(t, ok), newBroker(t, nil)
	w.source(b.arn("orders.*"), millicent.Mapping{BatchSize: 5, Filters: []string{`{"subject":[{"anything-but":"orders.hello"}],"data":[{"prefix":"wanted"}]}`}})
	subscribed(t, b.conn, "orders.hello")
	var want []string
	for _, n := range numbers(20) {
		want = append(want, "wanted "+n)
		must(t, b.conn.Publish("orders.new", []byte("other "+n)))
		must(t, b.conn.Publish("orders.new", []byte("wanted "+n)))
	}
	must(t, b.conn.Publish("elsewhere.new", []byte("wanted")))
	got, last := w.handed(20)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var e event
	must(t, json.Unmarshal(last.Event, &e))
	if c := e.Records[0].NATS; c.Subject != "orders.new" || c.Stream != "" || time.Since(time.UnixMilli(c.Timestamp)) > time.Hour || last.Hops != 0 {
		t.Errorf("the record is %+v", c)
	}
}

// TestOwnSubjects: what functions send to subjects of the platform reaches
// mappings of the same tenant, with the chain that led to it; and a loop ends.
func TestOwnSubjects(t *testing.T) {
	w := newWorld(t, ok)
	w.source("arn:aws-millicent:nats:::orders.>", millicent.Mapping{})
	send := func(tenant, body string, l millicent.Lineage) {
		header, err := LineageHeader(l)
		must(t, err)
		must(t, w.conn.PublishMsg(&nats.Msg{Subject: millicent.DestinationSubject(tenant, "orders.new"), Header: header, Data: []byte(body)}))
	}
	subscribed(t, w.conn, millicent.DestinationSubject(testTenant, "orders.hello"))
	w.handed(1)
	send("111111111111", "another tenant's", millicent.Lineage{})
	chain := millicent.Lineage{Root: "root"}.Next(testTenant, "other", "id")
	send(testTenant, "ours", chain)
	got, inv := w.handed(1)
	if diff := cmp.Diff([]string{"ours"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(chain, inv.Lineage); diff != "" {
		t.Error(diff)
	}
	if text := string(inv.Event); strings.Contains(text, lineageHeader) || !strings.Contains(text, `"subject":"orders.new"`) {
		t.Errorf("the event is %s", text)
	}
	for range millicent.MaxVisits {
		chain = chain.Next(testTenant, "fn", "id")
	}
	send(testTenant, "round and round", chain)
	if a := <-w.events.abandoned; a.Condition != "RecursiveInvocation" || a.Target != "" {
		t.Errorf("of a loop: %+v", a)
	}
}

// TestAccess: servers that want a password, a token and TLS.
func TestAccess(t *testing.T) {
	cert, authority := certificate(t)
	w := newWorld(t, ok)
	_, err := w.store.Update(t.Context(), testTenant, "fn", func(f *millicent.Function) error {
		f.Draft.Environment = map[string]string{"USER": "me:secret", "TOKEN": "token", "WRONG": "me:guess", "CA": string(authority)}
		return nil
	})
	must(t, err)
	password := func(o *server.Options) { o.Username, o.Password = "me", "secret" }
	token := func(o *server.Options) { o.Authorization = "token" }
	secure := func(o *server.Options) {
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	basic := func(variable string) millicent.SourceAccess {
		return millicent.SourceAccess{Type: millicent.AccessBasic, Variable: variable}
	}
	trust := nats.Secure(&tls.Config{RootCAs: pool(authority), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12})
	for name, c := range map[string]struct {
		change  func(*server.Options)
		options []nats.Option
		access  []millicent.SourceAccess
		scheme  string
		want    string // part of the problem
	}{
		"password":          {password, []nats.Option{nats.UserInfo("me", "secret")}, []millicent.SourceAccess{basic("USER")}, "nats", ""},
		"wrong password":    {password, []nats.Option{nats.UserInfo("me", "secret")}, []millicent.SourceAccess{basic("WRONG")}, "nats", "Authorization Violation"},
		"token":             {token, []nats.Option{nats.Token("token")}, []millicent.SourceAccess{basic("TOKEN")}, "nats", ""},
		"TLS":               {secure, []nats.Option{trust}, []millicent.SourceAccess{{Type: millicent.AccessRootCA, Variable: "CA"}}, "nats", ""},
		"TLS is insisted":   {nil, nil, nil, "tls", "handshake"},
		"unknown authority": {secure, []nats.Option{trust}, nil, "tls", "certificate signed by unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t, c.change, c.options...)
			b.stream(jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
			b.publish("s", name)
			arn := strings.Replace(b.arn("stream/S"), "nats://", c.scheme+"://", 1)
			m := w.source(arn, millicent.Mapping{Stream: settings(), Access: c.access})
			if c.want == "" {
				if got := w.run(1); got[0] != name {
					t.Errorf("got %q", got)
				}
				return
			}
			for deadline := time.Now().Add(time.Minute); !strings.Contains(w.Result(m), c.want); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("it says %q", w.Result(m))
				}
			}
			_, err := w.Delete(t.Context(), testTenant, m.ID)
			must(t, err)
		})
	}
	for want, m := range map[string]millicent.Mapping{
		"is no environment variable": {Access: []millicent.SourceAccess{basic("ABSENT")}},
		"more than one":              {Access: []millicent.SourceAccess{basic("USER"), basic("TOKEN")}},
		"Unsupported":                {Access: []millicent.SourceAccess{{Type: "VPC_SUBNET", Variable: "USER"}}},
	} {
		m.Tenant, m.Function, m.Source, m.BatchSize, m.Stream = testTenant, "fn", "arn:aws-millicent:nats:::nats://h/stream/S", 1, settings()
		if _, err := w.Create(t.Context(), &m); millicent.ErrorCode(err) != millicent.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// certificate makes one for 127.0.0.1, which is its own authority.
func certificate(t *testing.T) (cert tls.Certificate, authority []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func pool(authority []byte) *x509.CertPool {
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(authority)
	return p
}

// TestServersAreWhereTheFunctionMayConnect: the connection is made by Dial
// alone, with the function's allow-list and the server's name.
func TestServersAreWhereTheFunctionMayConnect(t *testing.T) {
	w := newWorld(t, ok)
	dialled := make(chan string, 1)
	w.cfg.Dial = func(_ context.Context, allow []string, address string) (net.Conn, error) {
		select {
		case dialled <- strings.Join(allow, ",") + " " + address:
		default:
		}
		return nil, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
	}
	_, err := w.store.Update(t.Context(), testTenant, "fn", func(f *millicent.Function) error { f.Egress = []string{"nats.example.com:4222"}; return nil })
	must(t, err)
	w.source("arn:aws-millicent:nats:::nats://nats.example.com/subject", millicent.Mapping{})
	if got, want := <-dialled, "nats.example.com:4222 nats.example.com:4222"; got != want {
		t.Errorf("dialled %q, want %q", got, want)
	}
}
