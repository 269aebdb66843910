package process

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/millicent-run/millicent/internal/egress"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// ports are the sockets in a sandbox's network that the platform listens on.
// They are opened before it is known for whom; until they are served nothing
// inside connects to them.
type ports struct {
	runtime *net.TCPListener // the Runtime API of the first run; nil once a run has it
	api     *net.TCPListener // the platform's own API; nil without
	egress  *egress.Port     // nil without
}

// redirectPort is where outbound connections arrive: at whichever address the
// kernel rewrote them to.
var redirectPort = netip.AddrPortFrom(netip.IPv4Unspecified(), portRedirect)

// tcpPorts lists what openPorts listens on.
func (c *Config) tcpPorts(runtimeAPI bool) []netip.AddrPort {
	var list []netip.AddrPort
	if runtimeAPI {
		list = append(list, inside(portRuntimeAPI))
	}
	if c.API != nil {
		list = append(list, inside(portPlatform))
	}
	if c.redirect() != 0 {
		list = append(list, redirectPort)
	}
	if c.Egress != nil {
		list = append(list, inside(portDNS))
	}
	return list
}

// udpPorts does so for UDP.
func (c *Config) udpPorts() []netip.AddrPort {
	if c.Egress == nil {
		return nil
	}
	return []netip.AddrPort{inside(portDNS)}
}

// openPorts opens a sandbox's ports; that of the Runtime API only for those who
// may speak it.
func openPorts(cfg *Config, box *sandbox.Sandbox, runtimeAPI bool) (_ *ports, err error) {
	p := &ports{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("listen in the sandbox: %w", err), p.close())
		}
	}()
	if runtimeAPI {
		if p.runtime, err = box.Listen(inside(portRuntimeAPI)); err != nil {
			return nil, err
		}
	}
	if cfg.API != nil {
		if p.api, err = box.Listen(inside(portPlatform)); err != nil {
			return nil, err
		}
	}
	if cfg.Egress == nil {
		return p, nil
	}
	// Without redirected connections there is still the name server, which
	// refuses at once where silence would cost a function seconds.
	p.egress = &egress.Port{OriginalDst: sandbox.OriginalDst, Traffic: new(egress.Traffic)}
	if cfg.redirect() != 0 {
		if p.egress.TCP, err = box.Listen(redirectPort); err != nil {
			return nil, err
		}
	}
	if p.egress.DNS, err = box.ListenUDP(inside(portDNS)); err != nil {
		return nil, err
	}
	if p.egress.DNSTCP, err = box.Listen(inside(portDNS)); err != nil {
		return nil, err
	}
	return p, nil
}

// close closes what nobody serves.
func (p *ports) close() error {
	var errs []error
	for _, l := range []*net.TCPListener{p.runtime, p.api} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	if e := p.egress; e != nil {
		for _, l := range []*net.TCPListener{e.TCP, e.DNSTCP} {
			if l != nil {
				errs = append(errs, l.Close())
			}
		}
		if e.DNS != nil {
			errs = append(errs, e.DNS.Close())
		}
	}
	return errors.Join(errs...)
}

// takeRuntime returns the listener of the first run's Runtime API, nil when it
// was taken before.
func (p *ports) takeRuntime() *net.TCPListener {
	l := p.runtime
	p.runtime = nil
	return l
}
