package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox"
	"github.com/millicent-run/millicent/internal/wasm/wire"
)

// Limits of a worker, beside those of its Config.
const (
	maxThreads = 512
	maxFiles   = 1 << 16     // three for each live instance, and some
	startLimit = time.Minute // how long a start may take
)

// cacheMount is where a worker sees its tenant's compiled code.
const cacheMount = "/opt"

// A process is a worker as the server sees it.
type process struct {
	sandbox *sandbox.Sandbox
	program *sandbox.Process
	control *net.UnixConn
	killed  chan struct{}
	once    sync.Once
	said    sync.WaitGroup // what it says on its standard error is read
	deep    bool           // it said that its stack has overflowed; to be read after said
}

// startProcess starts a host's worker.
func startProcess(h *Host) (_ *process, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if err := h.cache.open(); err != nil {
		return nil, err
	}
	self, err := h.cfg.Sandboxes.Self()
	if err != nil {
		return nil, err
	}
	p := &process{killed: make(chan struct{})}
	p.sandbox, err = h.cfg.Sandboxes.New(ctx, sandbox.Spec{
		Memory: h.cfg.Memory, CPU: h.cfg.CPU, Pids: maxThreads, Files: maxFiles, Tmp: h.cfg.Tmp, Hostname: "worker",
		Mounts: []sandbox.Mount{self, {Source: h.cache.dir, Target: cacheMount}},
	})
	if err != nil {
		return nil, fmt.Errorf("make a worker's sandbox: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.free())
		}
	}()
	control, theirs, err := controlPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	p.control = control
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	p.said.Go(func() { p.listen(h.log, r) })
	cmd := sandbox.Cmd{
		Path: sandbox.Program, Args: []string{Name, strconv.FormatInt(h.cfg.Memory, 10)},
		Env:    []string{"GOMAXPROCS=" + strconv.Itoa(runtime.GOMAXPROCS(0)), "TMPDIR=/tmp"},
		Stderr: w, ExtraFiles: []*os.File{theirs},
	}
	if h.compiler == nil {
		cmd.Args[0] = compilerName
		cmd.Env = append(cmd.Env, "GOTRACEBACK=none") // what ends it is the code that it compiles
	}
	p.program, err = p.sandbox.Start(cmd)
	return p, err
}

// maxSaid is how much of what a worker says on its standard error is logged.
const maxSaid = 32 << 10

// listen logs what a worker says: of its engine's end, if it comes to that.
func (p *process) listen(log *slog.Logger, r *os.File) {
	defer r.Close()
	lines := bufio.NewScanner(io.LimitReader(r, maxSaid))
	for lines.Scan() {
		p.deep = p.deep || lines.Text() == "fatal error: stack overflow"
		log.Warn("worker for WebAssembly", "says", lines.Text())
	}
	_, _ = io.Copy(io.Discard, r) // until its end; nobody wants the rest
}

// kill ends the worker, without waiting for it. It is idempotent.
func (p *process) kill() { p.once.Do(func() { close(p.killed) }) }

// notice is how long the news of a worker's end may take, when its pipes have
// told of it already.
const notice = 50 * time.Millisecond

// wait returns when the worker has ended, or is to be ended, and says why.
func (p *process) wait() string {
	select {
	case <-p.program.Done():
	case <-p.sandbox.Done():
	case <-p.killed:
		select {
		case <-p.program.Done():
		case <-time.After(notice):
			return "the server ended it"
		}
	}
	if stats, err := p.sandbox.Stats(); err == nil && stats.OOMKills > 0 {
		return "it had no memory left"
	}
	switch status := p.program.Status(); {
	case status.Signal != 0:
		return status.Signal.String()
	default:
		return fmt.Sprintf("exit status %d", status.Code)
	}
}

// free ends what is left and frees it all, once wait has returned.
func (p *process) free() error {
	p.kill()
	err := p.sandbox.Close()
	if p.control != nil {
		err = errors.Join(err, p.control.Close())
	}
	p.said.Wait()
	return err
}

// tell sends a control packet, and files with it if there are some.
func (p *process) tell(c wire.Control, files ...*os.File) error {
	var oob []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		oob = unix.UnixRights(fds...)
	}
	_, _, err := p.control.WriteMsgUnix(c.Append(make([]byte, 0, wire.ControlSize)), oob, nil)
	return err
}

// controlPair returns the two ends of a control connection, the server's as a
// connection.
func controlPair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "worker"), os.NewFile(uintptr(fds[1]), "server")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make a pair of sockets: %w", err), theirs.Close())
	}
	return conn.(*net.UnixConn), theirs, nil //nolint:forcetypeassert // that is what it is
}
