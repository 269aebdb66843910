"""System calls in a list, made by a few instructions that need no memory of
the interpreter's: while they run, all of it can be replaced.
"""

import ctypes
import os
from struct import Struct

# run(list, end, save, stack) for x86-64:
#
#	push rbp; push rbx; push r12; push r13; push r14; push r15
#	mov [rdx], rsp                 save: where this stack is
#	mov r12, rdi; mov r13, rsi; mov r14, rcx
#  1:	cmp r12, r13; jae 3f
#	mov rax, [r12]; mov rdi, [r12+8]; mov rsi, [r12+16]; mov rdx, [r12+24]
#	mov r10, [r12+32]; mov r8, [r12+40]; mov r9, [r12+48]
#	syscall
#	mov rcx, [r12+56]              the result that it must have; -1: any
#	add r12, 64
#	cmp rcx, -1; je 1b
#	cmp rax, rcx; je 1b
#	mov edi, 111; mov eax, 231; syscall     exit_group(111)
#  3:	xor eax, eax
#	test r14, r14; jz 4f           stack: another one to return on
#	mov rsp, r14; inc eax
#  4:	pop r15; pop r14; pop r13; pop r12; pop rbx; pop rbp; ret
_CODE = {
    "x86_64": bytes.fromhex(
        "555341544155415641574889224989fc4989f54989ce4d39ec7344498b0424498b7c2408498b742410498b542418"
        "4d8b5424204d8b4424284d8b4c24300f05498b4c24384983c4404883f9ff74c84839c874c3bf6f000000b8e70000"
        "000f0531c04d85f674054c89f4ffc0415f415e415d415c5b5dc3"
    ),
}

code = _CODE.get(os.uname().machine)  # None where there is none

ANY = (1 << 64) - 1
ENTRY = Struct("=8Q")

# Numbers of system calls, and what goes with them.
MMAP, MUNMAP, MREMAP, PAUSE, GETPID, WRITE, PREAD, CLOSE_RANGE = 9, 11, 25, 34, 39, 1, 17, 436
ARCH_PRCTL, PRCTL, SET_TID_ADDRESS, SET_ROBUST_LIST, GET_ROBUST_LIST, RSEQ = 158, 157, 218, 273, 274, 334
ARCH_SET_FS, ARCH_GET_FS = 0x1002, 0x1003
PR_SET_MM, PR_SET_MM_MAP, PR_GET_TID_ADDRESS = 35, 14, 40
PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS, MAP_NORESERVE, MAP_FIXED_NOREPLACE = 1, 2, 16, 32, 0x4000, 0x100000
MREMAP_FIXED = 1 | 2  # and that it may move
_RSEQ_UNREGISTER, _RSEQ_SIGNATURE = 1, 0x53053053

libc = ctypes.PyDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(number, *arguments):
    """Make a system call; raise OSError when it fails."""
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_ulong(a) for a in arguments))
    if result == -1:
        raise OSError(ctypes.get_errno(), "system call %d" % number)
    return result


def entry(number, *arguments, result=ANY):
    return ENTRY.pack(number, *arguments, *(0,) * (6 - len(arguments)), result)


def run(at, first, end, stack=0, save=None):
    """Run the instructions that lie at an address; 1 in who returns on stack."""
    if save is None:
        save = ctypes.c_uint64()
    function = ctypes.PYFUNCTYPE(ctypes.c_long, *(ctypes.c_uint64,) * 4)(at)
    return function(first, end, ctypes.addressof(save), stack)


class Thread:
    """What the kernel and the C library know of the thread by its addresses."""

    def __init__(self):
        value = ctypes.c_uint64()
        call(ARCH_PRCTL, ARCH_GET_FS, ctypes.addressof(value))
        self.base = value.value
        call(PRCTL, PR_GET_TID_ADDRESS, ctypes.addressof(value), 0, 0, 0)
        self.tid = value.value
        size = ctypes.c_uint64()
        call(GET_ROBUST_LIST, 0, ctypes.addressof(value), ctypes.addressof(size))
        self.robust = value.value, size.value
        self.rseq = None

    def leave_rseq(self):
        """Have the kernel forget where it tells the thread its processor."""
        try:
            offset = ctypes.c_ssize_t.in_dll(libc, "__rseq_offset").value
            if not ctypes.c_uint.in_dll(libc, "__rseq_size").value:
                return
        except ValueError:
            return  # a library that does not use it
        for size in range(32, 1024, 32):
            try:
                call(RSEQ, self.base + offset, size, _RSEQ_UNREGISTER, _RSEQ_SIGNATURE)
            except OSError:
                continue
            self.rseq = self.base + offset, size
            return

    def enter(self):
        """Tell them both of the new thread that bears this one's memory."""
        ctypes.c_int32.from_address(self.tid).value = call(SET_TID_ADDRESS, self.tid)
        if self.robust[0]:
            call(SET_ROBUST_LIST, *self.robust)
        self.enter_rseq()

    def enter_rseq(self):
        """Undo leave_rseq."""
        if self.rseq:
            call(RSEQ, *self.rseq, 0, _RSEQ_SIGNATURE)
