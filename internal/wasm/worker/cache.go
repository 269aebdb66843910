package worker

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"github.com/millicent-run/millicent/internal/wasm/wire"
)

// A cache is the directory of a tenant's compiled code. The worker sees it, and
// the server alone writes it: what the worker hands over, under the names that
// the engine gives. To the server it is bytes that a stranger made.
type cache struct {
	dir  string
	size int64 // bytes that there may be

	mu      sync.Mutex // held while files are added or removed
	counted bool       // used is known
	used    int64      // bytes that there are at most: files that were replaced count
}

// maxCompiled is the largest file that is kept.
const maxCompiled = 512 << 20

// cached are names of files: what was compiled, by the engine's version and a
// key, what else is kept of modules, and the bundles of JavaScript.
var cached = regexp.MustCompile(`^(?:wazero-[A-Za-z0-9._+-]{1,100}/[0-9a-f]{64}|(?:javascript|module)-[0-9a-f]{32})$`)

// open makes the directory, which the worker's user may read.
func (c *cache) open() error {
	if err := shown(c.dir); err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	return nil
}

// shown makes a directory that everybody may read, if they get as far.
func shown(dir string) error {
	return errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)) //nolint:gosec // what is above it may not
}

// keep takes a file that begins with head. One that cannot be kept is left
// out: it is compiled again when it is wanted.
func (h *Host) keep(conn *wire.Conn, head []byte) error {
	var of wire.FileHead
	if err := of.Decode(head); err != nil {
		return err
	}
	if !cached.MatchString(of.Path) || of.Size > maxCompiled {
		return wire.ErrFrame
	}
	into, err := h.cache.begin(of.Size)
	if err != nil {
		h.log.Warn("compiled code is not kept", "err", err)
		into = nil
	}
	got, err := receive(conn, into, of.Size)
	if into == nil {
		return err
	}
	if got == nil {
		got = h.cache.add(into, of.Path)
	} else {
		got = errors.Join(got, into.Close(), os.Remove(into.Name()))
	}
	if got != nil && err == nil {
		h.log.Warn("compiled code is not kept", "err", got)
	}
	return err
}

// receive writes Parts of so many bytes to a file, unless there is none, or
// that has failed: the first error is the file's, the second the connection's.
func receive(conn *wire.Conn, into *os.File, size int64) (failed, err error) {
	for size > 0 {
		kind, body, err := conn.Next()
		if err != nil {
			return err, err
		}
		if kind != wire.Part || len(body) == 0 || int64(len(body)) > size {
			return wire.ErrFrame, wire.ErrFrame
		}
		size -= int64(len(body))
		if into != nil && failed == nil {
			_, failed = into.Write(body)
		}
	}
	return failed, nil
}

// begin makes a file for so many bytes, for which it makes room.
func (c *cache) begin(size int64) (*os.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.makeRoom(size); err != nil {
		return nil, err
	}
	return os.CreateTemp(c.dir, "new-*")
}

// add gives a file that is complete its name.
func (c *cache) add(f *os.File, name string) error {
	name = filepath.Join(c.dir, name)
	err := errors.Join(f.Chmod(0o644), f.Close())
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		err = shown(filepath.Dir(name))
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// An entry is a file of the cache.
type entry struct {
	path string
	size int64
	age  int64 // when it was written, Unix nanoseconds
}

// makeRoom removes the oldest files until there is room for so many bytes, which
// it takes. It looks at the files only when there may be none.
func (c *cache) makeRoom(size int64) error {
	if size > c.size {
		return fmt.Errorf("%d bytes are more than a tenant's may have", size)
	}
	if c.counted && c.used+size <= c.size {
		c.used += size
		return nil
	}
	entries, err := c.list()
	if err != nil {
		return err
	}
	c.counted, c.used = true, size
	for _, e := range entries {
		c.used += e.size
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.age, b.age) })
	for _, e := range entries {
		if c.used <= c.size {
			return nil
		}
		if err := os.Remove(e.path); err != nil {
			return err
		}
		c.used -= e.size
	}
	return nil
}

// list returns the files that there are, also those that are being written.
func (c *cache) list() (entries []entry, err error) {
	err = filepath.WalkDir(c.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			entries = append(entries, entry{path, info.Size(), info.ModTime().UnixNano()})
		}
		return err
	})
	return entries, err
}
