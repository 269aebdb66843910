package initproc

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system call filter. It is a list of what is allowed, and of what is
// refused with a particular error; a call in neither list does not exist
// (ENOSYS), so that what a later kernel brings is closed until it is listed.
// A call of another architecture's convention ends the process.
//
// The program is a binary search over ranges of call numbers, so that each
// call costs about ten instructions. See seccomp(2) and linux/filter.h.

// Offsets in struct seccomp_data. Both architectures are little-endian.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16 // eight bytes each
)

// Results of the filter.
const (
	retAllow = unix.SECCOMP_RET_ALLOW
	retErrno = unix.SECCOMP_RET_ERRNO
	retKill  = unix.SECCOMP_RET_KILL_PROCESS
	nothing  = retErrno // success, without the call being made
)

type insn = unix.SockFilter

func op(code uint16, k uint32) insn { return insn{Code: code, K: k} }

func loadArg(i uint32) insn { return op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offArgs+8*i) }

func ret(v uint32) insn { return op(unix.BPF_RET|unix.BPF_K, v) }

func refuse(errno unix.Errno) uint32 { return retErrno | uint32(errno) }

// oneOf ends with match when argument arg (its low half, which is all that
// the kernel takes of an int) is one of values, else with other.
func oneOf(arg uint32, values []uint32, match, other uint32) []insn {
	p := []insn{loadArg(arg)}
	for i, v := range values {
		p = append(p, insn{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(len(values) - i), K: v})
	}
	return append(p, ret(other), ret(match))
}

// without refuses a call when argument arg (its low half) has any of bits.
func without(arg, bits uint32) []insn {
	return []insn{
		loadArg(arg),
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jt: 1, K: bits},
		ret(retAllow),
		ret(refuse(unix.EPERM)),
	}
}

// shmHugeTLB is SHM_HUGETLB of shmget(2), which x/sys lacks.
const shmHugeTLB = 0o4000

// newNamespaces are the flags of clone(2) that make namespaces.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// checked are the calls whose arguments decide.
func checked() map[uintptr][]insn {
	return map[uintptr][]insn{
		unix.SYS_CLONE: without(0, newNamespaces),
		// Huge pages are the machine's, and count as nobody's memory.
		unix.SYS_MMAP:         without(3, unix.MAP_HUGETLB),
		unix.SYS_MEMFD_CREATE: without(1, unix.MFD_HUGETLB),
		unix.SYS_SHMGET:       without(2, shmHugeTLB),
		unix.SYS_SOCKET:       checkSocket(),
		unix.SYS_SOCKETPAIR:   oneOf(0, []uint32{unix.AF_UNIX}, retAllow, refuse(unix.EAFNOSUPPORT)),
		// Input pushed into a terminal, line disciplines.
		unix.SYS_IOCTL: oneOf(1, []uint32{unix.TIOCSTI, unix.TIOCLINUX, unix.TIOCSETD, unix.TIOCCONS},
			refuse(unix.EPERM), retAllow),
		// PER_LINUX, PER_LINUX32, each also with UNAME26; and the question.
		unix.SYS_PERSONALITY: oneOf(0, []uint32{0, 0x0008, 0x20000, 0x20008, 0xffffffff},
			retAllow, refuse(unix.EPERM)),
		// Success without effect: they would make the machine write out, the
		// one all of it, the other a disk that has more than the sandbox's files.
		unix.SYS_SYNC:   {ret(nothing)},
		unix.SYS_SYNCFS: {ret(nothing)},
		// The limit on core dumps stays as it is; see setLimits.
		unix.SYS_SETRLIMIT: oneOf(0, []uint32{unix.RLIMIT_CORE}, nothing, retAllow),
		unix.SYS_PRLIMIT64: checkPrlimit(),
	}
}

// checkPrlimit lets the limit on core dumps be read but not set.
func checkPrlimit() []insn {
	jeq := func(k uint32, jt, jf uint8) insn {
		return insn{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: jt, Jf: jf, K: k}
	}
	const newLimit = 2 // a pointer: both halves are zero when nothing is to be set
	high := loadArg(newLimit)
	high.K += 4
	return []insn{
		loadArg(1),
		jeq(unix.RLIMIT_CORE, 0, 5),
		loadArg(newLimit),
		jeq(0, 0, 2),
		high,
		jeq(0, 1, 0),
		ret(nothing),
		ret(retAllow),
	}
}

// checkSocket allows local sockets, TCP, UDP and ICMP echo, and the netlink
// family that getaddrinfo asks about addresses.
func checkSocket() []insn {
	jeq := func(k uint32, jt, jf uint8) insn {
		return insn{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: jt, Jf: jf, K: k}
	}
	const kind = 0xf // what of a socket's type are no flags
	inet := append([]insn{
		loadArg(1),
		op(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, kind),
		jeq(unix.SOCK_STREAM, 2, 0),
		jeq(unix.SOCK_DGRAM, 1, 0),
		// Raw sockets; and SCTP and DCCP, which go by their type alone, too.
		ret(refuse(unix.ESOCKTNOSUPPORT)),
	}, oneOf(2, []uint32{0, unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6},
		retAllow, refuse(unix.EPROTONOSUPPORT))...)
	route := oneOf(2, []uint32{unix.NETLINK_ROUTE}, retAllow, refuse(unix.EPROTONOSUPPORT))
	p := []insn{
		loadArg(0),
		jeq(unix.AF_UNIX, 4, 0), // each jump is over what stands between it and its target
		jeq(unix.AF_INET, 4, 0),
		jeq(unix.AF_INET6, 3, 0),
		jeq(unix.AF_NETLINK, uint8(2+len(inet)), 0),
		ret(refuse(unix.EAFNOSUPPORT)),
		ret(retAllow),
	}
	return append(append(p, inet...), route...)
}

// span is a run of call numbers with the same outcome.
type span struct {
	first uint32
	code  []insn
}

// calls is beyond every number that is listed.
const calls = 512

// A layout says what becomes of each call.
type layout struct {
	codes [][]insn
	which [calls]uint8 // of codes
}

// newLayout returns one that ends every call with outcome.
func newLayout(outcome uint32) *layout { return &layout{codes: [][]insn{{ret(outcome)}}} }

// set has calls end with one instruction.
func (l *layout) set(outcome insn, nrs ...uintptr) { l.code([]insn{outcome}, nrs...) }

// code has a program decide on calls.
func (l *layout) code(c []insn, nrs ...uintptr) {
	l.codes = append(l.codes, c)
	for _, nr := range nrs {
		l.which[nr] = uint8(len(l.codes) - 1)
	}
}

// spans lays the calls out over all numbers, in order, without gaps.
func (l *layout) spans() []span {
	out := []span{{0, l.codes[l.which[0]]}}
	for nr := uint32(1); nr < calls; nr++ {
		if l.which[nr] != l.which[nr-1] {
			out = append(out, span{nr, l.codes[l.which[nr]]})
		}
	}
	return append(out, span{calls, l.codes[0]})
}

// search returns a program that finds a number's span by halving.
func search(s []span) []insn {
	if len(s) == 1 {
		return s[0].code
	}
	mid := len(s) / 2
	low, high := search(s[:mid]), search(s[mid:])
	jump := insn{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: s[mid].first}
	var p []insn
	if len(low) <= 255 {
		jump.Jt = uint8(len(low))
		p = append(p, jump)
	} else { // farther than a conditional jump reaches
		jump.Jf = 1
		p = append(p, jump, op(unix.BPF_JMP|unix.BPF_JA, uint32(len(low))))
	}
	return append(append(p, low...), high...)
}

// program returns the whole of one.
func program(s []span) []insn {
	p := []insn{
		op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offArch),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: auditArch},
		ret(retKill),
		op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offNumber),
	}
	p = append(p, archPrologue...)
	return append(p, search(s)...)
}

// filter returns that of sandboxes.
func filter() []insn {
	l := newLayout(refuse(unix.ENOSYS)) // whatever is not listed
	l.set(ret(retAllow), allowed...)
	l.set(ret(retAllow), archAllowed...)
	l.set(ret(refuse(unix.EPERM)), refused...)
	l.set(ret(refuse(unix.EPERM)), archRefused...)
	for nr, c := range checked() {
		l.code(c, nr)
	}
	return program(l.spans())
}

// Filter returns the filter as its program's bytes. The server makes it once,
// for all the sandboxes: laying it out would take each pid 1 a part of its start.
func Filter() []byte {
	p := filter()
	return slices.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&p[0])), len(p)*int(unsafe.Sizeof(p[0]))))
}

// applySeccomp installs a filter on the calling thread, which has
// no_new_privs set.
func applySeccomp(program []byte) error {
	size := int(unsafe.Sizeof(insn{}))
	if len(program) == 0 || len(program)%size != 0 {
		return unix.EINVAL
	}
	p := make([]insn, len(program)/size) // aligned
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&p[0])), len(program)), program)
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	return nil
}
