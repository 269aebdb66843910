package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Peers are programs of others that a user has, and points the bench at. Each
// serves the same hello function, without isolation, on this machine.

// A peer is one of them with one function.
type peer struct {
	name  string
	path  string // that events are posted to
	alone bool   // two of its kind cannot run at a time
	start func(ctx context.Context, b *bench) (*process, error)
}

// startPeer starts a peer's server.
func startPeer(ctx context.Context, cmd *exec.Cmd, addr string, ok check) (*process, error) {
	p, err := start(ctx, cmd, addr, ok)
	if p != nil {
		p.brood = true
	}
	return p, err
}

// emulator is AWS's Runtime Interface Emulator with the Go function, which
// brings its own client of the Runtime API.
func emulator(binary string) peer {
	const path = "/2015-03-31/functions/function/invocations"
	return peer{name: "RIE, Go", path: path, start: func(ctx context.Context, b *bench) (*process, error) {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		inner, err := freeAddr()
		if err != nil {
			return nil, err
		}
		cmd := exec.Command(binary, "--log-level", "error", "--runtime-interface-emulator-address", addr,
			"--runtime-api-address", inner, b.goProgram)
		return startPeer(ctx, cmd, addr, invokes(path))
	}}
}

// watchdog is OpenFaaS's of-watchdog before an HTTP server. It serves metrics on
// a port that cannot be chosen, so there is one at a time.
func watchdog(binary, language, interpreter, file string) peer {
	return peer{name: "of-watchdog, " + language, path: "/", alone: true, start: func(ctx context.Context, b *bench) (*process, error) {
		var ports []string
		for range 2 {
			addr, err := freeAddr()
			if err != nil {
				return nil, err
			}
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			ports = append(ports, port)
		}
		program := filepath.Join(b.tmp, file)
		if err := os.WriteFile(program, []byte(source("peers/"+file)), 0o644); err != nil {
			return nil, err
		}
		cmd := exec.Command(binary)
		cmd.Env = append(os.Environ(), "mode=http", "fprocess="+interpreter+" "+program, "port="+ports[0],
			"upstream_url=http://127.0.0.1:"+ports[1], "PORT="+ports[1], "prefix_logs=false")
		return startPeer(ctx, cmd, net.JoinHostPort("127.0.0.1", ports[0]), invokes("/"))
	}}
}

// worker is Cloudflare's workerd, whose isolates share a process.
func worker(binary string) peer {
	return peer{name: "workerd, JavaScript", path: "/", start: func(ctx context.Context, b *bench) (*process, error) {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		config := `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .hello)],
  sockets = [(name = "http", address = "` + addr + `", http = (), service = "main")],
);
const hello :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "2024-09-01",
);
`
		err = errors.Join(
			os.WriteFile(filepath.Join(b.tmp, "worker.js"), []byte(source("peers/worker.js")), 0o644),
			os.WriteFile(filepath.Join(b.tmp, "worker.capnp"), []byte(config), 0o644),
		)
		if err != nil {
			return nil, err
		}
		return startPeer(ctx, exec.Command(binary, "serve", filepath.Join(b.tmp, "worker.capnp")), addr, invokes("/"))
	}}
}

// peerStarts measures how long a peer's process takes from its start to its
// first answer: what a cold start costs where each function is a process.
func (b *bench) peerStarts(ctx context.Context) error {
	if len(b.peers) == 0 {
		b.rec.add(figure{
			Name: "peers", Value: unknown, Spread: unknown, Bare: unknown, Verdict: skipped,
			Note: "none given: see --peer-rie, --peer-workerd, --peer-watchdog",
		})
		return nil
	}
	for _, p := range b.peers {
		ms, err := b.startsOf(ctx, p)
		if err != nil {
			b.rec.peerFailed(p.name+": from start to answer", err)
			continue
		}
		s := summarise(ms)
		b.rec.add(figure{
			Name: p.name + ": from start to answer", Unit: "ms", Value: number(s.p50), Spread: number(s.mad), N: s.n,
			Bare: number(milliseconds(b.bare.ready)), Note: fmt.Sprintf("p99 %s", digits(s.p99)),
		})
	}
	return nil
}

func (b *bench) startsOf(ctx context.Context, p peer) (ms []float64, err error) {
	for range b.size.peerStarts {
		one, err := p.start(ctx, b)
		if err != nil {
			return nil, err
		}
		ms = append(ms, milliseconds(one.ready))
		if err := one.stop(); err != nil {
			return nil, err
		}
	}
	return ms, nil
}

// choosePeers returns the peers for the binaries given; empty ones are left
// out. One that is not there is an error.
func choosePeers(rie, workerd, dog string) (peers []peer, err error) {
	for _, file := range []string{rie, workerd, dog} {
		if file == "" {
			continue
		}
		if info, err := os.Stat(file); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return nil, fmt.Errorf("peer %s is not an executable", strings.TrimSpace(file))
		}
	}
	if rie != "" {
		peers = append(peers, emulator(rie))
	}
	if workerd != "" {
		peers = append(peers, worker(workerd))
	}
	if dog != "" {
		peers = append(peers, watchdog(dog, "Python", "python3", "server.py"), watchdog(dog, "Node", "node", "server.js"))
	}
	return peers, nil
}
