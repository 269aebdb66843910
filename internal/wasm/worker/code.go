package worker

import (
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"sync"

	"github.com/millicent-run/millicent/internal/wasm/wire"
)

// code is the engine's cache inside the worker: a directory that the engine
// writes, beside the one that the server keeps. What the engine adds is handed
// over to the server, and found in the next worker.
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

// link makes what was compiled and is kept known to the engine, which looks for
// it in dir alone.
func link(dir, kept string) error {
	versions, err := filepath.Glob(filepath.Join(dir, "wazero-*"))
	if err != nil || len(versions) != 1 {
		return errors.Join(errors.New("the engine keeps its code elsewhere than expected"), err)
	}
	version := filepath.Base(versions[0])
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
		if err := c.send(conn, name); err != nil {
			c.new.put(names[i:]...)
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
		return nil
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
