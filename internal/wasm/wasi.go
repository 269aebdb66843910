package wasm

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// This file and those that begin with "wasi" are WASI preview 1, as far as a
// function needs it: no sockets, no links, and times of files that cannot be
// set. Numbers and layouts are those of the specification
// (wasi_snapshot_preview1.witx).

const wasiModule = "wasi_snapshot_preview1"

type errno uint32

// Errors of WASI.
const (
	success     errno = 0
	errBadFD    errno = 8
	errExist    errno = 20
	errFault    errno = 21
	errInvalid  errno = 28
	errIO       errno = 29
	errIsDir    errno = 31
	errTooMany  errno = 33 // EMFILE
	errTooLong  errno = 37 // ENAMETOOLONG
	errNoEntry  errno = 44
	errNoSpace  errno = 51
	errNoSystem errno = 52
	errNotDir   errno = 54
	errNotEmpty errno = 55
	errReadOnly errno = 69 // EROFS
	errSeek     errno = 70 // ESPIPE
)

// wasi is what a request has of descriptors and files. Nothing of it outlives
// the request.
type wasi struct {
	stdin []byte // what is left of it
	files fileTable
}

// A wasiFunction is one of the host's: the types of its parameters (i is 32
// bits, I is 64, and a ! at the end says that it returns nothing), and what it
// does. All others return an errno.
type wasiFunction struct {
	types string
	do    func(c *syscall) errno
}

// A syscall is a call of a wasiFunction: the guest, its memory, and the
// parameters.
type syscall struct {
	*guest
	mem []byte
	p   []uint64
}

// Call implements api.GoModuleFunction.
func (f wasiFunction) Call(ctx context.Context, _ api.Module, stack []uint64) {
	g := guestOf(ctx)
	c := &g.instance.called // a guest makes one call at a time
	*c = syscall{g, g.instance.mem.space[:g.instance.mem.size], stack}
	if e := f.do(c); len(stack) > 0 {
		stack[0] = uint64(e)
	}
}

func (f wasiFunction) params() []api.ValueType {
	types := i32s(len(strings.TrimSuffix(f.types, "!")))
	for i := range types {
		if f.types[i] == 'I' {
			types[i] = api.ValueTypeI64
		}
	}
	return types
}

func (f wasiFunction) results() []api.ValueType {
	if strings.HasSuffix(f.types, "!") {
		return nil
	}
	return i32s(1)
}

var wasiFunctions = map[string]wasiFunction{
	"args_get":                {"ii", func(c *syscall) errno { return c.strings(c.args()) }},
	"args_sizes_get":          {"ii", func(c *syscall) errno { return c.sizes(c.args()) }},
	"environ_get":             {"ii", func(c *syscall) errno { return c.strings(c.environ()) }},
	"environ_sizes_get":       {"ii", func(c *syscall) errno { return c.sizes(c.environ()) }},
	"clock_res_get":           {"ii", func(c *syscall) errno { return c.put64(1, 1) }},
	"clock_time_get":          {"iIi", clockTime},
	"random_get":              {"ii", random},
	"sched_yield":             {"", func(c *syscall) errno { yield(c.guest, nil, nil); return success }},
	"poll_oneoff":             {"iiii", poll},
	"proc_exit":               {"i!", exit},
	"proc_raise":              {"i", unsupported},
	"fd_advise":               {"iIIi", onFile(func(*syscall, *file) errno { return success })},
	"fd_allocate":             {"iII", unsupported},
	"fd_close":                {"i", closeFile},
	"fd_datasync":             {"i", onFile(func(*syscall, *file) errno { return success })},
	"fd_fdstat_get":           {"ii", onFile(statDescriptor)},
	"fd_fdstat_set_flags":     {"ii", onFile(func(c *syscall, f *file) errno { f.append = c.p[1]&flagAppend != 0; return success })},
	"fd_fdstat_set_rights":    {"iII", unsupported},
	"fd_filestat_get":         {"ii", onFile(func(c *syscall, f *file) errno { return c.putStat(1, f) })},
	"fd_filestat_set_size":    {"iI", onFile(truncate)},
	"fd_filestat_set_times":   {"iIIi", unsupported},
	"fd_pread":                {"iiiIi", onFile(readAt)},
	"fd_prestat_get":          {"ii", prestat},
	"fd_prestat_dir_name":     {"iii", prestatName},
	"fd_pwrite":               {"iiiIi", onFile(writeAt)},
	"fd_read":                 {"iiii", onFile(read)},
	"fd_readdir":              {"iiiIi", onFile(readDir)},
	"fd_renumber":             {"ii", renumber},
	"fd_seek":                 {"iIii", onFile(seek)},
	"fd_sync":                 {"i", onFile(func(*syscall, *file) errno { return success })},
	"fd_tell":                 {"ii", onFile(func(c *syscall, f *file) errno { return c.put64(1, uint64(f.at)) })},
	"fd_write":                {"iiii", onFile(write)},
	"path_create_directory":   {"iii", onPath(1, makeDirectory)},
	"path_filestat_get":       {"iiiii", onPath(2, statPath)},
	"path_filestat_set_times": {"iiiiIIi", unsupported},
	"path_link":               {"iiiiiii", unsupported},
	"path_open":               {"iiiiiIIii", onPath(2, open)},
	"path_readlink":           {"iiiiii", unsupported},
	"path_remove_directory":   {"iii", onPath(1, removeDirectory)},
	"path_rename":             {"iiiiii", onPath(1, rename)},
	"path_symlink":            {"iiiii", unsupported},
	"path_unlink_file":        {"iii", onPath(1, unlink)},
	"sock_accept":             {"iii", unsupported},
	"sock_recv":               {"iiiiii", unsupported},
	"sock_send":               {"iiiii", unsupported},
	"sock_shutdown":           {"ii", unsupported},
}

func unsupported(*syscall) errno { return errNoSystem }

// bytes returns n bytes of memory at a place; nil where they are not there.
func (c *syscall) bytes(place, n uint64) []byte {
	if place+n > uint64(len(c.mem)) { // both have 32 bits
		return nil
	}
	return c.mem[place : place+n : place+n]
}

// arg32 is a parameter of 32 bits.
func (c *syscall) arg(i int) uint64 { return uint64(uint32(c.p[i])) }

// put32 writes a number where a parameter says.
func (c *syscall) put32(i int, n uint32) errno {
	b := c.bytes(c.arg(i), 4)
	if b == nil {
		return errFault
	}
	binary.LittleEndian.PutUint32(b, n)
	return success
}

func (c *syscall) put64(i int, n uint64) errno {
	b := c.bytes(c.arg(i), 8)
	if b == nil {
		return errFault
	}
	binary.LittleEndian.PutUint64(b, n)
	return success
}

func (c *syscall) args() []string { return []string{"bootstrap"} }

func (c *syscall) environ() []string {
	p := c.instance.program.cfg.Environ
	return append(p[:len(p):len(p)], c.req.Environ...)
}

// sizes writes how many strings there are, and how many bytes of them with a
// zero after each.
func (c *syscall) sizes(all []string) errno {
	n := 0
	for _, s := range all {
		n += len(s) + 1
	}
	if e := c.put32(0, uint32(len(all))); e != success {
		return e
	}
	return c.put32(1, uint32(n))
}

// strings writes strings, and where each of them begins.
func (c *syscall) strings(all []string) errno {
	place, text := c.arg(0), c.arg(1)
	for _, s := range all {
		b, at := c.bytes(text, uint64(len(s))+1), c.bytes(place, 4)
		if b == nil || at == nil {
			return errFault
		}
		binary.LittleEndian.PutUint32(at, uint32(text))
		b[copy(b, s)] = 0
		place, text = place+4, text+uint64(len(s))+1
	}
	return success
}

// Clocks.
const (
	clockReal    = 0
	clockMono    = 1
	clockProcess = 2
	clockThread  = 3
)

// began is when the monotonic clock of guests was zero.
var began = time.Now()

func clockTime(c *syscall) errno {
	switch c.arg(0) {
	case clockReal:
		return c.put64(2, uint64(time.Now().UnixNano()))
	case clockMono:
		return c.put64(2, uint64(time.Since(began))+1) // Go's runtime refuses zero
	case clockProcess, clockThread:
		return c.put64(2, uint64(c.cpu+threadTime()-c.entered))
	}
	return errInvalid
}

func random(c *syscall) errno {
	b := c.bytes(c.arg(0), c.arg(1))
	if b == nil {
		return errFault
	}
	_, _ = rand.Read(b) // never fails
	return success
}

func exit(c *syscall) errno {
	panic(sys.NewExitError(uint32(c.arg(0))))
}

// Layouts of poll_oneoff.
const (
	subscriptionSize = 48
	eventSize        = 32
	maxSubscriptions = 1024
	eventClock       = 0
)

// poll waits for the first of the clocks, unless a descriptor is asked for:
// these are always ready.
func poll(c *syscall) errno {
	n := c.arg(2)
	if n == 0 || n > maxSubscriptions {
		return errInvalid
	}
	in, out := c.bytes(c.arg(0), n*subscriptionSize), c.bytes(c.arg(1), n*eventSize)
	if in == nil || out == nil {
		return errFault
	}
	wait := time.Duration(-1)
	for at := uint64(0); at < uint64(len(in)); at += subscriptionSize {
		wait = sooner(wait, due(in[at:at+subscriptionSize]))
	}
	if f := c.sleep(wait); f != nil {
		panic(f)
	}
	ready := uint64(0)
	for at := uint64(0); at < uint64(len(in)); at += subscriptionSize {
		s := in[at : at+subscriptionSize]
		if due(s) > wait {
			continue
		}
		e := out[ready*eventSize : (ready+1)*eventSize]
		clear(e)
		copy(e[:8], s[:8]) // what the guest knows it by
		e[10] = s[8]       // its kind
		ready++
	}
	return c.put32(3, uint32(ready))
}

// due is how long it takes until a subscription is ready.
func due(s []byte) time.Duration {
	if s[8] != eventClock {
		return 0
	}
	clock, at := binary.LittleEndian.Uint32(s[16:]), binary.LittleEndian.Uint64(s[24:])
	wait := time.Duration(min(at, 1<<62))
	if binary.LittleEndian.Uint16(s[40:])&1 != 0 { // a point in time
		now := uint64(time.Now().UnixNano())
		if clock != clockReal {
			now = uint64(time.Since(began))
		}
		wait = time.Duration(min(at-min(at, now), 1<<62))
	}
	return wait
}

func sooner(a, b time.Duration) time.Duration {
	if a < 0 || b < a {
		return b
	}
	return a
}

// sleep waits, not longer than the request may, off the thread.
func (g *guest) sleep(d time.Duration) *Failure {
	g.flush()
	g.leave()
	timer := time.NewTimer(min(d, max(time.Until(g.req.Deadline), 0)))
	select {
	case <-timer.C:
	case <-g.Done():
		timer.Stop()
	case <-g.instance.program.engine.ending:
		timer.Stop()
	}
	g.enter()
	return g.over()
}
