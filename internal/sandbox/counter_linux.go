package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A counter is a control file of one number that is read so often that it is
// kept open. The zero value is ready.
type counter struct {
	mu     sync.Mutex
	file   *os.File
	closed bool
}

// read returns the number in path, which is the same every time.
func (c *counter) read(path string) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, fs.ErrClosed
	}
	if c.file == nil {
		f, err := openControlFile(path, os.O_RDONLY)
		if err != nil {
			return 0, err
		}
		c.file = f
	}
	return numberIn(c.file)
}

// numberIn reads a control file of one number from its start.
func numberIn(f *os.File) (int64, error) {
	var buf [32]byte
	n, err := f.ReadAt(buf[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	v, err := strconv.ParseInt(strings.TrimSpace(string(buf[:n])), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return v, nil
}

// close closes the file for good.
func (c *counter) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.file != nil {
		c.file.Close() // only ever read
		c.file = nil
	}
}

// PeakMemory is the PeakMemory of Stats, for little more than one system call.
func (s *Sandbox) PeakMemory() (int64, error) {
	if s.group == nil {
		return 0, nil
	}
	return s.group.peakMemory()
}

func (g *group1) peakMemory() (int64, error) {
	dir := g.dirs["memory"]
	if dir == "" {
		return 0, nil
	}
	return g.peak.read(dir + "/memory.max_usage_in_bytes")
}

// CPU is the CPU of Stats, for little more than one system call; zero where
// nothing counts it.
func (s *Sandbox) CPU() (time.Duration, error) {
	if s.group == nil {
		return 0, nil
	}
	return s.group.cpu()
}

func (g *group1) cpu() (time.Duration, error) {
	dir := g.dirs["cpuacct"]
	if dir == "" {
		return 0, nil
	}
	ns, err := g.used.read(dir + "/cpuacct.usage")
	return time.Duration(ns), err
}

func (g *group2) cpu() (time.Duration, error) {
	us, err := field(g.path, "cpu.stat", "usage_usec")
	return time.Duration(us) * time.Microsecond, err
}

func (g *group2) peakMemory() (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.peak == nil {
		n, err := g.whole.read(g.path + "/memory.peak")
		if err == nil {
			return max(0, n-g.baseline), nil
		}
	}
	n, err := g.readPeak()
	return max(0, n-g.baseline), g.lacking(err)
}
