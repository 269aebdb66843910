package powerloss

import (
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A Disk is a file system that can lose its power. It is safe for concurrent
// use.
type Disk struct {
	fuse.RawFileSystem // answers what is not here with ENOSYS

	cfg Config

	mu      sync.Mutex
	nodes   map[uint64]*node
	next    uint64 // number of the latest node
	handles map[uint64]*handle
	handle  uint64 // number of the latest handle
	off     bool
	failed  chan struct{}
}

// A handle is a file or a directory that someone has opened.
type handle struct {
	node   *node
	names  []string // of a directory, when it was opened
	synced bool     // each write is synced
}

// A Config configures a Disk. Without a name, no directory is of its kind.
type Config struct {
	Lenient string // name of directories below which to sync a file is to sync the names that lead to it
	Scratch string // name of directories of which nothing is kept
	Dir     string // directory on a real disk, for the content of what is below those
}

// New returns an empty disk.
func New(cfg Config) *Disk {
	root := &node{id: fuse.FUSE_ROOT_ID, links: 1, mode: unix.S_IFDIR | 0o755, changed: time.Now(), names: map[string]*node{}, kept: map[string]*node{}}
	return disk(cfg, map[uint64]*node{root.id: root}, root.id)
}

func disk(cfg Config, nodes map[uint64]*node, next uint64) *Disk {
	return &Disk{RawFileSystem: fuse.NewDefaultRawFileSystem(), cfg: cfg, nodes: nodes, next: next,
		handles: map[uint64]*handle{}, failed: make(chan struct{})}
}

// Cut cuts the power and returns the disk as it is when the power is back.
// Until Fail, nobody gets an answer from the old one: who waits for one must
// be killed first, as a power cut would.
func (d *Disk) Cut(random *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	c := &cutter{random: random, made: map[*node]*node{}, nodes: map[uint64]*node{}}
	c.survivor(d.nodes[fuse.FUSE_ROOT_ID]).links++
	return disk(d.cfg, c.nodes, c.next)
}

// Fail has all who use a disk after its cut get errors.
func (d *Disk) Fail() { close(d.failed) }

// enter takes the lock, or returns an error after a cut.
func (d *Disk) enter() fuse.Status {
	d.mu.Lock()
	if !d.off {
		return fuse.OK
	}
	d.mu.Unlock()
	<-d.failed
	return fuse.EIO
}

// scratch returns a file for the content of one of which nothing is kept.
func (d *Disk) scratch() (*os.File, error) {
	f, err := os.CreateTemp(d.cfg.Dir, "scratch-")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// close lets go of a file that has a node's content.
func (n *node) close() {
	if n.file != nil {
		n.file.Close() // it has no name: nothing is lost
	}
}

// A Mount is a disk that is mounted.
type Mount struct {
	dir    string
	disk   *Disk
	server *fuse.Server
	served chan struct{}
}

// Mount mounts a disk on a directory.
func (d *Disk) Mount(dir string) (*Mount, error) {
	server, err := fuse.NewServer(d, dir, &fuse.MountOptions{
		AllowOther: true, Options: []string{"default_permissions"}, FsName: "powerloss", Name: "powerloss",
		DirectMountStrict: true, DirectMountFlags: unix.MS_NOATIME, DisableXAttrs: true, Logger: log.New(io.Discard, "", 0), DisableReadDirPlus: true, MaxWrite: 1 << 20,
	})
	if err != nil {
		return nil, fmt.Errorf("mount a disk on %s: %w", dir, err)
	}
	m := &Mount{dir: dir, disk: d, server: server, served: make(chan struct{})}
	go func() {
		defer close(m.served)
		server.Serve()
	}()
	return m, server.WaitMount()
}

// unmountTime is how long a disk may be in use after it was unmounted: Linux
// may take half a minute to write back the pages of mapped files.
const unmountTime = 2 * time.Minute

// Unmount unmounts the disk and returns when nobody uses it any more.
func (m *Mount) Unmount() error {
	if err := unix.Unmount(m.dir, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", m.dir, err)
	}
	select {
	case <-m.served:
		for _, n := range m.disk.nodes {
			n.close()
		}
		return nil
	case <-time.After(unmountTime):
		return errors.New("a disk is still in use after it was unmounted")
	}
}
