package worker

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/millicent-run/millicent/internal/wasm/wire"
)

// keepPrograms is how long a worker keeps a program that has no session.
const keepPrograms = time.Minute

// packages are those that a worker has, unpacked: they come over the session
// that asks for one first. A package stays while a session has it, and for
// longer after that than its program stays loaded.
type packages struct {
	dir string

	mu    sync.Mutex
	next  int
	known map[string]*unpacked // by digest
}

// An unpacked is a package in a directory.
type unpacked struct {
	dir  string
	once sync.Once
	err  error

	// Guarded by the packages' mu.
	uses int
	drop *time.Timer // while there are none
}

func newPackages(dir string) *packages {
	return &packages{dir: dir, known: map[string]*unpacked{}}
}

// take returns the directory of a package, which it asks for by conn if nobody
// has done so before. It must be released.
func (p *packages) take(digest string, conn *wire.Conn) (dir string, release func(), err error) {
	for {
		u, mine := p.use(digest), false
		u.once.Do(func() { u.err, mine = receivePackage(conn, u.dir), true })
		if u.err == nil {
			return u.dir, func() { p.release(digest, u) }, nil
		}
		p.mu.Lock()
		if p.known[digest] == u {
			delete(p.known, digest) // whoever wants it next asks again
		}
		p.mu.Unlock()
		if mine {
			return "", nil, errors.Join(u.err, os.RemoveAll(u.dir))
		}
		if !errors.Is(u.err, errConn) { // else it was another's connection
			return "", nil, u.err
		}
	}
}

// use counts a use of a package.
func (p *packages) use(digest string) *unpacked {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.known[digest]
	if u == nil {
		p.next++
		u = &unpacked{dir: filepath.Join(p.dir, strconv.Itoa(p.next))}
		p.known[digest] = u
	}
	if u.uses++; u.drop != nil {
		u.drop.Stop()
		u.drop = nil
	}
	return u
}

// release counts a use less.
func (p *packages) release(digest string, u *unpacked) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u.uses--; u.uses == 0 {
		u.drop = time.AfterFunc(2*keepPrograms, func() { p.forget(digest, u) })
	}
}

// forget removes a package that nobody uses.
func (p *packages) forget(digest string, u *unpacked) {
	p.mu.Lock()
	if u.uses > 0 {
		p.mu.Unlock()
		return
	}
	delete(p.known, digest)
	p.mu.Unlock()
	_ = os.RemoveAll(u.dir) // what stays takes room until the worker ends
}

// receivePackage asks for a package and writes it to a directory. An error that
// is not errConn is the package's, or the directory's: the connection can be
// used further.
func receivePackage(conn *wire.Conn, dir string) error {
	if err := conn.Send(conn.Begin(wire.Need), nil); err != nil {
		return errors.Join(errConn, err)
	}
	failed := os.MkdirAll(dir, 0o700)
	for {
		kind, body, err := conn.Next()
		if err != nil {
			return errors.Join(errConn, err)
		}
		switch kind {
		case wire.Done:
			return failed
		case wire.Refuse:
			return fmt.Errorf("read the package: %s", body)
		case wire.File:
			var fileErr error
			if fileErr, err = receiveFile(conn, dir, body); failed == nil {
				failed = fileErr
			}
		default:
			err = wire.ErrFrame
		}
		if err != nil {
			return errors.Join(errConn, err)
		}
	}
}

// receiveFile writes a file that begins with head. The errors are those of
// receive.
func receiveFile(conn *wire.Conn, dir string, head []byte) (failed, err error) {
	var of wire.FileHead
	if err := of.Decode(head); err != nil || !filepath.IsLocal(of.Path) {
		return nil, wire.ErrFrame
	}
	name := filepath.Join(dir, of.Path)
	if failed = os.MkdirAll(path.Dir(name), 0o700); failed == nil {
		var f *os.File
		if f, failed = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); failed == nil {
			defer f.Close()
			return receive(conn, f, of.Size)
		}
	}
	_, err = receive(conn, nil, of.Size)
	return failed, err
}
