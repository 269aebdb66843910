"""A fork whose child belongs to pid 1 at once, for the price of one fork.

To be pid 1's, a child must have lost its parent: somebody between has to fork
it and end. That one shares the memory of this process, as after vfork(2), so
that nothing is copied for it, and does no more than call daemon(3), on a stack
of its own. The child goes on where this process stands still meanwhile:

    here -> clone -------------------> here    the caller
              `-> daemon -> exit               the one between
                     `---------------> here    the child
"""

import ctypes
import os
from _signal import SIGCHLD, SIGKILL

from . import machine

_VM, _VFORK, _PARENT_SETTID, _CHILD_CLEARTID, _CHILD_SETTID = 0x100, 0x4000, 0x100000, 0x200000, 0x1000000
_STACK = 1 << 16
_api = ctypes.pythonapi


class _Context(ctypes.Structure):
    """A ucontext_t: the beginning, and more room than the rest takes."""

    _fields_ = [("flags", ctypes.c_ulong), ("link", ctypes.c_void_p), ("stack", ctypes.c_void_p),
                ("stack_flags", ctypes.c_int), ("stack_size", ctypes.c_size_t), ("rest", ctypes.c_char * 4096)]


class Forker:
    """Forks for a process of one thread."""

    def __init__(self):
        self._here, self._cloning, self._between = _Context(), _Context(), _Context()
        self._stacks = [ctypes.create_string_buffer(_STACK) for _ in range(3)]
        self._marks = (ctypes.c_int * 2)()
        self._thread = machine.Thread()
        self._thread.leave_rseq()  # one with another's memory has none, nor has who is forked from it

    @staticmethod
    def possible():
        """Report whether there is all that it takes."""
        return machine.code is not None and all(
            hasattr(machine.libc, name) for name in ("clone", "daemon", "getcontext", "makecontext", "swapcontext")
        )

    def fork(self):
        """Return 0 in the child, which leads a session, and else the number of
        the one between, to be waited for."""
        libc, marks = machine.libc, self._marks
        pid, alive = ctypes.addressof(marks), ctypes.addressof(marks) + ctypes.sizeof(ctypes.c_int)
        marks[:] = 0, 0
        self._prepare(self._between, libc.daemon, 0, 1, 1)
        self._prepare(
            self._cloning, libc.clone, 1, ctypes.cast(libc.setcontext, ctypes.c_void_p).value,
            ctypes.addressof(self._stacks[2]) + _STACK - 64,
            _VM | _VFORK | _PARENT_SETTID | _CHILD_CLEARTID | _CHILD_SETTID | SIGCHLD,
            ctypes.addressof(self._between), pid, 0, alive,
        )
        _api.PyOS_BeforeFork()
        libc.swapcontext(ctypes.byref(self._here), ctypes.byref(self._cloning))
        if marks[1]:  # cleared, when the one between ends, where it shared the memory
            if os.getppid() == 0:  # that one, and it could not fork: the caller's stack is lost
                os.kill(0, SIGKILL)
            _api.PyOS_AfterFork_Child()
            self._thread.enter_rseq()
            return 0
        _api.PyOS_AfterFork_Parent()
        if not marks[0]:
            raise OSError("clone")
        return marks[0]

    def _prepare(self, context, function, stack, *arguments):
        machine.libc.getcontext(ctypes.byref(context))
        context.link = ctypes.addressof(self._here)
        context.stack, context.stack_size = ctypes.addressof(self._stacks[stack]), _STACK
        machine.libc.makecontext(
            ctypes.byref(context), function, len(arguments), *(ctypes.c_ulong(a) for a in arguments)
        )
