package initproc

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// System V objects outlive the processes that made them: segments of shared
// memory, semaphores and queues of messages. They count as the sandbox's
// memory, and so would be missing to the processes that come next.

// Commands of shmctl(2), semctl(2) and msgctl(2), and the room that the
// answers to each take.
var objects = []struct {
	call, info, stat uintptr
}{
	{unix.SYS_SHMCTL, 14, 13},
	{unix.SYS_SEMCTL, 19, 18},
	{unix.SYS_MSGCTL, 12, 11},
}

const objectAnswer = 256

// removeObjects removes all of them. It is a saving only: what cannot be
// removed stays until the sandbox ends.
func removeObjects() {
	var answer [objectAnswer]byte
	into := unsafe.Pointer(&answer)
	for _, o := range objects {
		// The answer to "info" is the highest index in use; of none it is 0.
		last, errno := objectCall(o.call, 0, o.info, into)
		for index := uintptr(0); errno == 0 && index <= last; index++ {
			if id, errno := objectCall(o.call, index, o.stat, into); errno == 0 {
				_, _ = objectCall(o.call, id, unix.IPC_RMID, nil) // see above
			}
		}
	}
}

// objectCall makes a call with its arguments in place: semctl has one more,
// which is of no consequence here.
func objectCall(call, id, command uintptr, answer unsafe.Pointer) (uintptr, unix.Errno) {
	if call == unix.SYS_SEMCTL {
		r, _, errno := unix.Syscall6(call, id, 0, command, uintptr(answer), 0, 0)
		return r, errno
	}
	r, _, errno := unix.Syscall(call, id, command, uintptr(answer))
	return r, errno
}
