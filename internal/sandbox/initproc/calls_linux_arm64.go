package initproc

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// archPrologue: there is one convention only.
var archPrologue []insn

// archAllowed are the forms that only this architecture has.
var archAllowed = []uintptr{unix.SYS_FSTATAT, unix.SYS_RENAMEAT}

// archRefused belong to refused.
var archRefused []uintptr

// archComputing belong to computing.
var archComputing = []uintptr{unix.SYS_FSTATAT}
