package api

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/millicent-run/millicent"
)

// foreign refuses what a web page asks of an open server through a browser on
// this machine: being on this machine is the only permission there is, and a
// page from elsewhere must not borrow it. A page that has its own name point
// to this machine is known by that name.
type foreign struct{ cross *http.CrossOriginProtection }

func newForeign() foreign { return foreign{http.NewCrossOriginProtection()} }

func (f foreign) check(r *http.Request) error {
	if !localName(r.Host) {
		return millicent.Errorf(millicent.CodeAccessDenied,
			"This server is open to its own machine, as localhost or by address; it is not %.100q", r.Host)
	}
	if err := f.cross.Check(r); err != nil {
		return &millicent.Error{
			Code: millicent.CodeAccessDenied, Err: err,
			Message: "This server is open to its own machine and not to web pages of other origins",
		}
	}
	return nil
}

// localName reports whether a Host header names a machine in a way that no
// stranger's name server can.
func localName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}
