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
// writes, with links to what the server keeps. What the engine adds is handed
// over to the server, and found in the next worker.
type code struct {
	dir     string
	version string // the directory in it with what was compiled, named after the engine

	mu    sync.Mutex // held while files are handed over
	given map[string]bool
}

// newCode links what the server keeps into dir, where an engine has been.
func newCode(dir, kept string) (*code, error) {
	versions, err := filepath.Glob(filepath.Join(dir, "wazero-*"))
	if err != nil || len(versions) != 1 {
		return nil, errors.Join(errors.New("the engine keeps its code elsewhere than expected"), err)
	}
	c := &code{dir: dir, version: filepath.Base(versions[0]), given: map[string]bool{}}
	for _, sub := range []string{"", c.version} {
		entries, err := os.ReadDir(filepath.Join(kept, sub))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			name := path.Join(sub, e.Name())
			if !cached.MatchString(name) {
				continue
			}
			if err := os.Symlink(filepath.Join(kept, name), filepath.Join(dir, name)); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// handOver sends the files that are new. One that the engine has not finished
// is another session's to hand over.
func (c *code) handOver(conn *wire.Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, sub := range []string{"", c.version} {
		entries, err := os.ReadDir(filepath.Join(c.dir, sub))
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := path.Join(sub, e.Name())
			if !e.Type().IsRegular() || !cached.MatchString(name) || c.given[name] {
				continue
			}
			if err := c.send(conn, name); err != nil {
				return err
			}
			c.given[name] = true
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
