package initproc

import (
	"encoding/binary"
	"errors"
)

// Bounds of the messages between server and pid 1.
const (
	MaxMessage = 128 << 10 // bytes of one packet
	MaxFiles   = 128       // descriptors passed with one packet
	MaxStrings = 4096      // arguments, or environment variables
	MaxPorts   = 16        // of a Config
)

// version is that of these messages: it changes with them, so that a server
// never talks to a pid 1 built from other sources.
const version = 8

// A Kind says what a Request asks, or what an Event tells.
type Kind byte

// Requests of the server.
const (
	Start   Kind = iota + 1 // run a process
	Signal                  // signal a process that Start started
	KillAll                 // end every process but pid 1
	Attach                  // add a mount
	Listen                  // make a listening socket
	Rules                   // make a Landlock ruleset for a process that enters
	Adopt                   // treat a process that entered as one that Start started
	Entrust                 // keep a freezer.state file, to thaw all when the server ends
)

// Events of pid 1.
const (
	Ready  Kind = iota + 64 // set up; the answer to the Config
	Answer                  // the answer to a Request
	Exited                  // a process that Start started has ended
)

// Networks of a Listen request.
const (
	TCP byte = iota + 1
	UDP
)

// ErrMessage means that a packet is not a message of this package.
var ErrMessage = errors.New("malformed sandbox message")

// A Port is what a listening socket listens on.
type Port struct {
	Net    byte // TCP or UDP
	IP     [4]byte
	Number uint16
}

// Config is the first packet. With it come, in this order, the descriptors of
// the root when HasRoot, of /tmp when HasTmp, of each of Targets unless there
// are Sources, and of Tasks files.
type Config struct {
	UID, GID uint32
	Rootless bool // pid 1 is not the machine's root: the ids are its own
	Hostname string
	HasRoot  bool     // a detached mount for the root is passed; else pid 1 builds one
	HasTmp   bool     // a detached mount for /tmp is passed
	TmpSize  int64    // else the size of the tmpfs to make
	Targets  []string // where the passed mounts go
	Sources  []string // instead of passed mounts, when Rootless: what pid 1 mounts there itself
	Tasks    int      // cgroup v1 "tasks" files for the spawner to enter
	Redirect uint16   // see sandbox.Spec
	Filter   []byte   // of system calls; see Filter
	Files    int      // descriptors that a process may have; zero means the default
	Ports    []Port   // whose sockets to pass with Ready, in this order
}

// A Request asks pid 1 for something; it answers with the same Seq.
type Request struct {
	Kind   Kind
	Seq    uint32
	Path   string   // Start
	Dir    string   // Start
	Args   []string // Start
	Env    []string // Start
	Std    byte     // Start: bit i is set when standard descriptor i is passed; further ones follow
	PID    int32    // Signal, Adopt
	Signal int32    // Signal
	Target string   // Attach; the mount's descriptor is passed
	Port   Port     // Listen
}

// An Event tells the server something.
type Event struct {
	Kind    Kind
	Seq     uint32   // Answer
	Errno   int32    // Ready, Answer: zero is success
	Op      string   // Ready, Answer: what failed
	PID     int32    // Answer to Start or Adopt; Exited
	Code    int32    // Exited
	Signal  int32    // Exited
	Missing []string // Ready: what this kernel could not enforce
}

// Marshal returns c's packet.
func (c *Config) Marshal() []byte {
	b := builder{p: []byte{version}}
	b.num(uint64(c.UID))
	b.num(uint64(c.GID))
	b.flag(c.Rootless)
	b.str(c.Hostname)
	b.flag(c.HasRoot)
	b.flag(c.HasTmp)
	b.num(uint64(c.TmpSize))
	b.strs(c.Targets)
	b.strs(c.Sources)
	b.num(uint64(c.Tasks))
	b.num(uint64(c.Redirect))
	b.str(string(c.Filter))
	b.num(uint64(c.Files))
	b.num(uint64(len(c.Ports)))
	for _, p := range c.Ports {
		b.port(p)
	}
	return b.p
}

// Unmarshal reads a Config's packet.
func (c *Config) Unmarshal(p []byte) error {
	d := parser{p: p}
	if d.byte() != version {
		d.bad = true
	}
	c.UID, c.GID = uint32(d.num(1<<32-1)), uint32(d.num(1<<32-1))
	c.Rootless = d.flag()
	c.Hostname = d.str()
	c.HasRoot = d.flag()
	c.HasTmp = d.flag()
	c.TmpSize = int64(d.num(1 << 62))
	c.Targets = d.strs()
	c.Sources = d.strs()
	if len(c.Sources) != 0 && len(c.Sources) != len(c.Targets) {
		d.bad = true
	}
	c.Tasks = int(d.num(MaxFiles))
	c.Redirect = uint16(d.num(1<<16 - 1))
	c.Filter = []byte(d.str())
	c.Files = int(d.num(1 << 20))
	for range d.num(MaxPorts) {
		c.Ports = append(c.Ports, d.port())
	}
	return d.end()
}

// Marshal returns r's packet.
func (r *Request) Marshal() []byte {
	b := builder{p: []byte{byte(r.Kind)}}
	b.num(uint64(r.Seq))
	b.str(r.Path)
	b.str(r.Dir)
	b.strs(r.Args)
	b.strs(r.Env)
	b.num(uint64(r.Std))
	b.num(uint64(r.PID))
	b.num(uint64(r.Signal))
	b.str(r.Target)
	b.port(r.Port)
	return b.p
}

// Unmarshal reads a Request's packet.
func (r *Request) Unmarshal(p []byte) error {
	d := parser{p: p}
	r.Kind = Kind(d.byte())
	r.Seq = uint32(d.num(1<<32 - 1))
	r.Path, r.Dir = d.str(), d.str()
	r.Args, r.Env = d.strs(), d.strs()
	r.Std = byte(d.num(7))
	r.PID = int32(d.num(1<<31 - 1))
	r.Signal = int32(d.num(64))
	r.Target = d.str()
	r.Port = d.port()
	if r.Kind < Start || r.Kind > Entrust {
		d.bad = true
	}
	return d.end()
}

// Marshal returns e's packet.
func (e *Event) Marshal() []byte {
	b := builder{p: []byte{byte(e.Kind)}}
	b.num(uint64(e.Seq))
	b.num(uint64(e.Errno))
	b.str(e.Op)
	b.num(uint64(e.PID))
	b.num(uint64(e.Code))
	b.num(uint64(e.Signal))
	b.strs(e.Missing)
	return b.p
}

// Unmarshal reads an Event's packet.
func (e *Event) Unmarshal(p []byte) error {
	d := parser{p: p}
	e.Kind = Kind(d.byte())
	e.Seq = uint32(d.num(1<<32 - 1))
	e.Errno = int32(d.num(4095))
	e.Op = d.str()
	e.PID = int32(d.num(1<<31 - 1))
	e.Code = int32(d.num(255))
	e.Signal = int32(d.num(127))
	e.Missing = d.strs()
	if e.Kind < Ready || e.Kind > Exited {
		d.bad = true
	}
	return d.end()
}

// builder appends fields to a packet: numbers as uvarints, strings with their
// length first, lists with their count first.
type builder struct{ p []byte }

func (b *builder) num(n uint64) { b.p = binary.AppendUvarint(b.p, n) }

func (b *builder) flag(f bool) {
	var v byte
	if f {
		v = 1
	}
	b.p = append(b.p, v)
}

func (b *builder) str(s string) {
	b.num(uint64(len(s)))
	b.p = append(b.p, s...)
}

func (b *builder) strs(l []string) {
	b.num(uint64(len(l)))
	for _, s := range l {
		b.str(s)
	}
}

func (b *builder) port(p Port) {
	b.num(uint64(p.Net))
	b.p = append(b.p, p.IP[:]...)
	b.num(uint64(p.Number))
}

// parser takes fields off a packet. After the first wrong one it returns
// zeroes and end reports it.
type parser struct {
	p   []byte
	bad bool
}

func (d *parser) byte() byte {
	if d.bad || len(d.p) == 0 {
		d.bad = true
		return 0
	}
	v := d.p[0]
	d.p = d.p[1:]
	return v
}

func (d *parser) num(limit uint64) uint64 {
	if d.bad {
		return 0
	}
	v, n := binary.Uvarint(d.p)
	if n <= 0 || v > limit {
		d.bad = true
		return 0
	}
	d.p = d.p[n:]
	return v
}

func (d *parser) flag() bool { return d.num(1) == 1 }

func (d *parser) str() string {
	n := d.num(MaxMessage)
	if d.bad || n > uint64(len(d.p)) {
		d.bad = true
		return ""
	}
	s := string(d.p[:n])
	d.p = d.p[n:]
	return s
}

func (d *parser) strs() []string {
	n := d.num(MaxStrings)
	if d.bad || n > uint64(len(d.p)) { // each string takes a byte at least
		d.bad = true
		return nil
	}
	var l []string
	for range n {
		l = append(l, d.str())
	}
	return l
}

func (d *parser) port() (p Port) {
	p.Net = byte(d.num(uint64(UDP)))
	for i := range p.IP {
		p.IP[i] = d.byte()
	}
	p.Number = uint16(d.num(1<<16 - 1))
	return p
}

func (d *parser) end() error {
	if d.bad || len(d.p) != 0 {
		return ErrMessage
	}
	return nil
}
