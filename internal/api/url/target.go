package url

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
)

// PathPrefix is where function URLs are by path.
const PathPrefix = "/_url/"

// A Target is the function URL that a request is for.
type Target struct {
	ID     string
	Region string // as the host name says; "" by path
	Domain string // host name without port; "" by path
	Path   string // as it came, still escaped, without PathPrefix and ID
}

// Match returns the function URL that a request is for; ok is false when the
// request is for none by its form. Whether the URL exists is not looked up.
func Match(r *http.Request) (t Target, ok bool) {
	if t, ok := matchHost(r); ok {
		return t, true
	}
	if !strings.HasPrefix(r.URL.Path, PathPrefix) { // most are for none
		return Target{}, false
	}
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), PathPrefix)
	if !ok {
		return Target{}, false
	}
	id, rest, _ := strings.Cut(rest, "/")
	return Target{ID: strings.ToLower(id), Path: "/" + rest}, true
}

// matchHost is Match by the host name.
func matchHost(r *http.Request) (t Target, ok bool) {
	const service = "lambda-url"
	_, rest, _ := strings.Cut(r.Host, ".")
	if len(rest) < len(service) || !strings.EqualFold(rest[:len(service)], service) { // most are no such names
		return Target{}, false
	}
	host := strings.ToLower(r.Host)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	labels := strings.Split(host, ".")
	if len(labels) < 4 || labels[1] != service {
		return Target{}, false
	}
	path := r.URL.EscapedPath()
	if path == "" || path == "*" {
		path = "/"
	}
	return Target{ID: labels[0], Region: labels[2], Domain: host, Path: path}, true
}

// Host returns the host name of a URL id on this machine.
func Host(id, region string) string { return id + ".lambda-url." + region + ".localhost" }

// tlsVersion names a version as AWS does: TLSv1.3.
func tlsVersion(s *tls.ConnectionState) string {
	return strings.Replace(tls.VersionName(s.Version), "TLS ", "TLSv", 1)
}

func tlsCipher(s *tls.ConnectionState) string { return tls.CipherSuiteName(s.CipherSuite) }
