package wasm

import (
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// threadTime is what the calling thread has used so far. Go's scheduler is not
// told of the call, which never waits: to be told wakes its monitor, which is
// another thread.
func threadTime() time.Duration {
	var ts unix.Timespec
	_, _, _ = unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_THREAD_CPUTIME_ID, uintptr(unsafe.Pointer(&ts)), 0) // fails for no clock of this kind
	runtime.KeepAlive(&ts)
	return time.Duration(ts.Nano())
}
