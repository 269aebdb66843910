"""The process that the stems of an interpreter are forked from.

It runs with the server's privileges among the files of a sandbox of its own,
has loaded what every stem needs, and has never run a function's code. For each
request it forks a child into a sandbox, which gives up every privilege and
waits for its assignment as a stem that was started there would. What the child
does, and in which order, package sandbox says with its Entry.

A step that fails ends the child before it is told to the server, and at the
end the child looks at what it is: what can't be confined does not run.

What only this module needs leaves sys.modules again, since functions see that.
"""

import sys

_before = set(sys.modules) - {__name__}
_paths = set(sys.path_importer_cache)

import ctypes
import gc
import os
from _socket import CMSG_LEN, SCM_RIGHTS, SOL_SOCKET, socket
from json import JSONDecoder

from . import forget
from .orphan import Forker
from .restore import restore

_NEWPID, _NEWCGROUP = 0x20000000, 0x02000000
_SET_DUMPABLE, _CAPBSET_DROP, _SET_NO_NEW_PRIVS, _CAP_AMBIENT, _AMBIENT_CLEAR_ALL = 4, 24, 38, 47, 4
_KEPT = (6, 7, 18, 19, 21)  # CAP_SETGID, CAP_SETUID, CAP_SYS_CHROOT, CAP_SYS_PTRACE, CAP_SYS_ADMIN
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_LANDLOCK_RESTRICT_SELF, _CLOSE_RANGE = 446, 436
_MOST_FILES = 64
_PRACTICE = 20
_ASIDE = 512  # descriptors from here on are free for a moment
_TELL = 7  # the descriptor by which a child tells of itself, behind those of a stem

_libc = ctypes.CDLL(None, use_errno=True)
_scan = JSONDecoder().scan_once


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def _call(function, *arguments):
    result = function(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "%s%r" % (function.__name__, arguments))
    return result


def _system_call(number, *arguments):
    return _call(_libc.syscall, ctypes.c_long(number), *arguments)


def serve(requests, home):
    """Serve requests; return only in the children, as stems to be, what makes
    a stem the copy of another process.

    requests is the descriptor of the server's socket, home that of the pid
    namespace that this process is in.
    """
    number = _SECCOMP[os.uname().machine]
    server = socket(fileno=requests)
    _restrict_itself()
    _practise()
    fork = Forker().fork if Forker.possible() else _fork_twice
    forget(_before, _paths)
    gc.collect()
    gc.freeze()  # a collection would write to what all children share
    server.send(b"ready")
    while True:
        data, passed, _, _ = server.recvmsg(1 << 16, CMSG_LEN(_MOST_FILES * 4))
        if not data:
            os._exit(0)  # the server is gone
        files = _descriptors(passed)
        request = _scan(data.decode("utf-8"), 0)[0]
        pid1, tell = files[0], files[1]
        _call(_libc.setns, pid1, _NEWPID)
        child = fork()
        if child == 0:
            server.detach()  # its number will be another's
            try:
                _enter(request, files, number)
                tell = _TELL
                _check(request["uid"])
                os.write(_TELL, b"%d" % os.getpid())
                os.close(_TELL)
                return restore
            except BaseException as error:
                _fail(error, tell)
        _call(_libc.setns, home, _NEWPID)
        # The server hears the end of what the child tells when nobody holds
        # it any more: not before the stem is pid 1's to wait for.
        os.waitpid(child, 0)
        for fd in files:
            os.close(fd)


def _fork_twice():
    """Do what Forker does where that is not possible."""
    child = os.fork()
    if child == 0:
        try:
            child = os.fork()
        except OSError:
            os._exit(1)
        if child:
            os._exit(0)
        os.setsid()
    return child


def _practise():
    """Do what every child does, until the interpreter has adapted its code to
    it: what is adapted here is not written to in each of them."""
    from .loop import Settings, become

    environ = ["%s=%s" % pair for pair in os.environ.items()]
    for _ in range(_PRACTICE):
        from .warm import warm

        become({"environ": environ, "dir": os.getcwd()})
        warm(Settings({"AWS_LAMBDA_RUNTIME_API": ""}))


def _fail(error, tell):
    for fd in (tell, _TELL):  # the error may be of before or after it was placed
        try:
            os.write(fd, repr(error).encode("utf-8", "replace"))
            break
        except OSError:
            pass
    os._exit(1)


def _descriptors(passed):
    found = []
    for level, kind, data in passed:
        if level == SOL_SOCKET and kind == SCM_RIGHTS:
            found += [int.from_bytes(data[i:i + 4], sys.byteorder) for i in range(0, len(data), 4)]
    return found


def _restrict_itself():
    """Keep what entering sandboxes takes, and no more."""
    for capability in range(64):
        if _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break  # one beyond the kernel's last
    _call(_libc.prctl, _CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
    kept = sum(1 << capability for capability in _KEPT)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _call(_libc.capset, header, (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0))
    _call(_libc.prctl, _SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o022)


def _enter(request, files, seccomp):
    pid1, tell, output, frames, told, say, side, *rest = files
    rules = rest.pop(0) if request["rules"] else -1
    for group in rest:
        os.write(group, b"0")
    _call(_libc.unshare, _NEWCGROUP)
    _call(_libc.setns, pid1, request["namespaces"])
    adjustment = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    os.write(adjustment, request["oomScore"].encode("ascii"))
    for limit in request["limits"]:
        _limit(limit["Resource"], limit["Value"])
    null = os.open("/dev/null", os.O_RDWR)
    _place([null, output, output, frames, told, say, side, tell, rules])
    _drop(request["uid"])
    if request["rules"]:
        _system_call(_LANDLOCK_RESTRICT_SELF, _TELL + 1, 0)
        os.close(_TELL + 1)
    _call(_libc.prctl, _SET_DUMPABLE, 1, 0, 0, 0)
    program = bytes.fromhex(request["filter"])
    _system_call(seccomp, 1, 0, ctypes.byref(_Program(len(program) // 8, program)))


def _limit(resource, value):
    pair = (ctypes.c_ulong * 2)()
    _call(_libc.getrlimit, resource, ctypes.byref(pair))
    value = min(value, pair[1])
    pair[:] = [value, value]
    _call(_libc.setrlimit, resource, ctypes.byref(pair))


def _place(files):
    """Make files the descriptors from 0 on, and close all others."""
    for i, fd in enumerate(files):
        if fd >= 0:
            os.dup2(fd, _ASIDE + i, inheritable=False)
    for i, fd in enumerate(files):
        if fd >= 0:
            os.dup2(_ASIDE + i, i, inheritable=i < _TELL)
    _system_call(_CLOSE_RANGE, sum(fd >= 0 for fd in files), 0x7FFFFFFF, 0)


def _drop(uid):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _check(uid):
    """Raise unless this process is held to all that it should be."""
    missing = _missing(uid)
    if missing:
        raise PermissionError("not in effect: %r" % missing)


def _missing(uid):
    file = os.open("/proc/self/status", os.O_RDONLY)
    status = os.read(file, 1 << 13)
    os.close(file)
    own = b"\t%d" % uid * 4
    none = b":\t0000000000000000"
    return [
        line
        for line in (
            b"Uid:" + own, b"Gid:" + own, b"Groups:\t ", b"NoNewPrivs:\t1", b"Seccomp:\t2",
            b"CapInh" + none, b"CapPrm" + none, b"CapEff" + none, b"CapBnd" + none, b"CapAmb" + none,
        )
        if b"\n" + line + b"\n" not in status
    ]
