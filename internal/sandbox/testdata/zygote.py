"""A process that enters sandboxes, in the way that Entry describes: for each
request on descriptor 3 it forks a child, which goes in and runs a script."""

import array
import ctypes
import json
import os
import resource
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)
NEWPID, NEWCGROUP = 0x20000000, 0x02000000
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 4, 24, 38, 47
SECCOMP, LANDLOCK_RESTRICT_SELF = {"x86_64": (317, 446), "aarch64": (277, 446)}[os.uname().machine]


def call(f, *args):
    n = f(*args)
    if n < 0:
        raise OSError(ctypes.get_errno(), "%s%r" % (f.__name__, args))
    return n


class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def enter(entry, pid1, rules, groups, keep, tell):
    for g in groups:
        os.write(g, b"0")
    call(libc.unshare, NEWCGROUP)
    call(libc.setns, pid1, entry["namespaces"])
    with open("/proc/self/oom_score_adj", "w") as f:
        f.write(entry["oomScore"])
    for limit in entry["limits"]:
        resource.setrlimit(limit["Resource"], (limit["Value"], limit["Value"]))
    os.umask(0o022)
    null = os.open("/dev/null", os.O_RDWR)
    high = [os.dup2(fd, 100 + i) for i, fd in enumerate([null, keep, keep, rules, tell])]
    for to, fd in enumerate(high[:3]):
        os.dup2(fd, to)
    os.dup2(high[3], 3, inheritable=False)
    os.dup2(high[4], 4)
    os.closerange(5, 65536)
    for cap in range(64):
        if libc.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0:
            break
    call(libc.prctl, PR_CAP_AMBIENT, 4, 0, 0, 0)
    os.setgroups([])
    os.setresgid(entry["uid"], entry["uid"], entry["uid"])
    os.setresuid(entry["uid"], entry["uid"], entry["uid"])
    call(libc.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if entry["rules"]:
        call(libc.syscall, LANDLOCK_RESTRICT_SELF, 3, 0)
    os.close(3)
    call(libc.prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)
    program = bytes.fromhex(entry["filter"])
    call(libc.syscall, SECCOMP, 1, 0, ctypes.byref(Program(len(program) // 8, program)))
    pid = os.fork()
    if pid:
        os.write(4, str(pid).encode())
        os._exit(0)
    os.close(4)
    os.setsid()


def main():
    server = socket.socket(fileno=3)
    home = os.open("/proc/self/ns/pid", os.O_RDONLY)
    while True:
        data, fds, _, _ = socket.recv_fds(server, 65536, 20)
        if not data:
            return
        entry = json.loads(data)
        pid1, out, rules, *groups = fds
        call(libc.setns, pid1, NEWPID)
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                enter(entry, pid1, rules, groups, out, tell)
                os.environ.clear()
                os.chdir("/tmp")
                exec(compile(entry["script"], "script", "exec"), {})
                sys.stdout.flush()
                os._exit(0)
            except BaseException as e:
                os.write(2, repr(e).encode())
                os._exit(1)
        call(libc.setns, home, NEWPID)
        os.close(tell)
        os.waitpid(pid, 0)
        server.send(os.read(told, 100))
        for fd in fds + [told]:
            os.close(fd)


main()
