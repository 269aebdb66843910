package escape

import "golang.org/x/sys/unix"

// archCalls are those of this architecture alone.
var archCalls = []attempt{
	call("iopl", perm, unix.SYS_IOPL, 3),
	call("ioperm", perm, unix.SYS_IOPERM, 0, 1, 1),
	call("modify_ldt", perm, unix.SYS_MODIFY_LDT, 1, page(16), 16),
	call("uselib", perm, unix.SYS_USELIB, "/usr/lib/x"),
	call("ustat", perm, unix.SYS_USTAT, 0, page(64)),
	call("sysfs", perm, unix.SYS_SYSFS, 3),
}
