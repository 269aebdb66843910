"""Between an initialised function and its environments: the hooks, the
snapshot, and what must not be the same in two of them.
"""

import os
import sys

from . import snapshot
from .machine import libc
from .output import flush


class Failed(Exception):
    """A hook failed: the kind of error for the platform, and the error itself."""


def take(link, become):
    """Take a snapshot of the process and send it, and return: there is nothing
    left to do then but to wait. In environments that start from it, return the
    assignment when they are ready for invocations."""
    _call("Runtime.BeforeSnapshotError", _hooks("get_before_snapshot"), -1)
    from _signal import SIG_SETMASK, pthread_sigmask

    mask = pthread_sigmask(SIG_SETMASK, ())
    pthread_sigmask(SIG_SETMASK, mask)
    before = os.umask(0o022)
    os.umask(before)
    keep = {fd: os.get_inheritable(fd) for fd in (0, 1, 2, 3, *link.descriptors())}
    flush()
    if not snapshot.take(link.send_snapshot, keep):
        return None
    assignment = link.restored()
    become(assignment)
    os.umask(before)
    for fd, inheritable in keep.items():
        os.set_inheritable(fd, inheritable)
    _handle_again()
    pthread_sigmask(SIG_SETMASK, mask)
    _part()
    link.hooks()
    _call("Runtime.AfterRestoreError", _hooks("get_after_restore"), 0)
    return assignment


def _hooks(name):
    module = sys.modules.get("snapshot_restore_py")
    return getattr(module, name)() if module is not None else []


def _call(kind, hooks, which):
    try:
        while hooks:
            function, arguments, named = hooks.pop(which)
            function(*arguments, **named)
    except Exception as error:
        raise Failed(kind, error) from error


def _handle_again():
    """Have the signals handled that the function handles: the kernel knows it
    of no new process."""
    import _signal

    for number in _signal.valid_signals() - {_signal.SIGKILL, _signal.SIGSTOP}:
        handler = _signal.getsignal(number)
        if handler is not None and handler is not _signal.SIG_DFL:
            _signal.signal(number, handler)


def _part():
    """Draw lots anew, so that this process parts from the others that began as
    it did. What libraries do in the child of a fork is done as well."""
    libc.PyOS_BeforeFork()
    libc.PyOS_AfterFork_Child()
    loaded = sys.modules.get
    for name, attribute in (("tempfile", "_name_sequence"), ("uuid", "_last_timestamp")):
        if loaded(name) is not None:
            setattr(sys.modules[name], attribute, None)
    if loaded("_ssl") is not None:
        sys.modules["_ssl"].RAND_add(os.urandom(32), 32.0)
    numpy = loaded("numpy.random")
    if numpy is not None and hasattr(numpy, "seed"):
        numpy.seed()
