package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"sync"

	"github.com/millicent-run/millicent/internal/wasm/wire"
)

// code is the engine's cache inside a worker that compiles: a directory that the
// engine writes, beside the one that the server keeps. What the engine adds is
// handed over to the server, for all workers of the tenant.
type code struct {
	dir string

	mu  sync.Mutex // held while files are handed over
	new added
}

// added are names of files that are to be handed over.
type added struct {
	mu    sync.Mutex
	names []string
}

func (a *added) put(names ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.names = append(a.names, names...)
}

// take returns all of them, which are the caller's now.
func (a *added) take() (names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	names, a.names = a.names, nil
	return names
}

// engineDir returns the name of the directory in dir that the engine keeps its
// code in.
func engineDir(dir string) (string, error) {
	versions, err := filepath.Glob(filepath.Join(dir, "wazero-*"))
	if err != nil || len(versions) != 1 {
		return "", errors.Join(errors.New("the engine keeps its code elsewhere than expected"), err)
	}
	return filepath.Base(versions[0]), nil
}

// linkAll puts what is kept in place of what the engine has in dir, which is
// nothing: also what will be kept. It can add nothing then.
func linkAll(dir, kept string) error {
	version, err := engineDir(dir)
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, version)); err != nil {
		return err
	}
	return os.Symlink(filepath.Join(kept, version), filepath.Join(dir, version))
}

// link makes what was compiled and is kept known to the engine, which looks for
// it in dir alone.
func link(dir, kept string) error {
	version, err := engineDir(dir)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(kept, version))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		name := path.Join(version, e.Name())
		if !cached.MatchString(name) {
			continue
		}
		if err := os.Symlink(filepath.Join(kept, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// handOver sends the files that are new.
func (c *code) handOver(conn *wire.Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := c.new.take()
	for i, name := range names {
		if !cached.MatchString(name) {
			continue
		}
		err := c.send(conn, name)
		if errors.Is(err, errConn) {
			c.new.put(names[i]) // another connection may do
		}
		if err != nil {
			c.new.put(names[i+1:]...)
			return err
		}
	}
	return nil
}

func (c *code) send(conn *wire.Conn, name string) error {
	f, err := os.Open(filepath.Join(c.dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > maxCompiled {
		return fmt.Errorf("its compiled code has %d bytes, at most %d are kept", info.Size(), maxCompiled)
	}
	head := wire.FileHead{Path: name, Size: info.Size(), Modified: info.ModTime()}
	if err := conn.Send(head.Append(conn.Begin(wire.Compiled)), nil); err != nil {
		return errors.Join(errConn, err)
	}
	buf := make([]byte, wire.MaxPart)
	for left := head.Size; left > 0; {
		n, err := io.ReadFull(f, buf[:min(left, int64(len(buf)))])
		if err != nil {
			return errors.Join(errConn, err) // in the middle of a file
		}
		if err := conn.Send(conn.Begin(wire.Part), buf[:n]); err != nil {
			return errors.Join(errConn, err)
		}
		left -= int64(n)
	}
	return nil
}
