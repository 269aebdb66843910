package worker

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox"
	"github.com/millicent-run/millicent/internal/wasm"
	"github.com/millicent-run/millicent/internal/wasm/wire"
)

// The zeroth argument makes a program with Main in it a worker: one that runs
// programs, or one that compiles them.
const (
	Name         = "millicent-wasm"
	compilerName = "millicent-compile"
)

// maxStack is how deep a worker that compiles may get, in bytes of a goroutine's
// stack. What is nested deeper than that ends it.
const maxStack = 64 << 20

// controlFD is the worker's end of the control connection.
const controlFD = 3

// Main is a worker when this program was started as one, and never returns
// then; otherwise it returns at once. A program that has a Pool calls it first
// thing in main (tests: in TestMain).
func Main() {
	if len(os.Args) != 2 || os.Args[0] != Name && os.Args[0] != compilerName {
		return
	}
	if err := serve(os.Args[1], os.Args[0] == compilerName); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Directories in the worker's /tmp.
const (
	codeDir    = "/tmp/code"
	packageDir = "/tmp/packages"
)

// serve is the worker, until the server closes the control connection.
func serve(memory string, compiles bool) error {
	w, control, err := setUp(memory, compiles)
	if err != nil {
		return err
	}
	return w.listen(control)
}

// setUp makes what a worker needs, and gives up all that it does not need any
// more.
func setUp(memory string, compiles bool) (*server, *net.UnixConn, error) {
	bytes, err := strconv.ParseInt(memory, 10, 64)
	if err != nil {
		return nil, nil, fmt.Errorf("memory limit: %w", err)
	}
	debug.SetMemoryLimit(bytes / 2)
	unix.CloseOnExec(controlFD)
	control, err := connection(controlFD)
	if err != nil {
		return nil, nil, err
	}
	w := &server{packages: newPackages(packageDir), sessions: map[uint64]*served{}}
	engine := wasm.EngineConfig{CacheDir: codeDir, KeptDir: cacheMount, OnlyKept: !compiles, Memory: bytes / 8 * 7}
	if compiles {
		debug.SetMaxStack(maxStack)
		w.code = &code{dir: codeDir}
		engine.Added = func(name string) { w.code.new.put(name) }
	}
	w.local, err = wasm.NewLocal(wasm.LocalConfig{EngineConfig: engine, Keep: keepPrograms, Rested: debug.FreeOSMemory})
	if err != nil {
		return nil, nil, err
	}
	linked := linkAll
	if compiles {
		linked = link
	}
	if err := linked(codeDir, cacheMount); err != nil {
		return nil, nil, err
	}
	if err := sandbox.Narrow(); err != nil {
		return nil, nil, err
	}
	if !compiles {
		w.local.Expect()
	}
	return w, control, nil
}

// connection returns a socket that the server gave this process.
func connection(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("the server's socket: %w", err)
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("the server's socket is a %T", conn)
	}
	return u, nil
}

// listen takes control packets until the server closes the connection.
func (w *server) listen(control *net.UnixConn) error {
	buf := make([]byte, wire.ControlSize+1)
	oob := make([]byte, unix.CmsgSpace(2*4))
	for {
		n, oobn, _, _, err := control.ReadMsgUnix(buf, oob)
		if err != nil || n == 0 {
			return nil //nolint:nilerr // the server has no use for this process any more
		}
		var c wire.Control
		if err := c.Decode(buf[:n]); err != nil {
			return err
		}
		if c.Cancel != 0 {
			w.cancel(c.Session, c.Cancel)
			continue
		}
		fds, err := passed(oob[:oobn])
		if err != nil {
			return err
		}
		pipes, err := newInner(fds)
		if err != nil {
			return err
		}
		go w.serve(context.Background(), c.Session, pipes) // ends with the pipes, or this process
	}
}

// passed returns the descriptors that came with a packet.
func passed(oob []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("a session without its pipes: %w", wire.ErrFrame)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 2 {
		return nil, fmt.Errorf("a session without its pipes: %w", wire.ErrFrame)
	}
	return fds, nil
}
