"""All that a Python function can see of where it runs."""

import sys

MODULES = sorted(sys.modules)

import gc
import glob
import locale
import os
import resource
import signal
import time

STATUS = (
    "Name", "Umask", "PPid", "TracerPid", "Groups", "Threads", "SigQ", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt",
    "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters",
    "Speculation_Store_Bypass", "SpeculationIndirectBranch", "Cpus_allowed", "Mems_allowed",
)


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError as e:
        return str(e)


def status():
    lines = dict(line.split(":", 1) for line in read("/proc/self/status").splitlines())
    return [name + lines.get(name, "") for name in STATUS]


def descriptors():
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            kind = os.readlink("/proc/self/fd/" + fd).split(":[")[0]
            found.append("%s %s %s" % (fd, kind, os.get_inheritable(int(fd))))
        except OSError:
            pass  # that of the listing itself
    return sorted(found)


def mounts():
    found = []
    for line in read("/proc/self/mountinfo").splitlines():
        fields = line.split()
        found.append(" ".join([fields[4], fields[5], line.split(" - ")[1].split()[0]]))
    return sorted(found)


def world():
    own = "%d " % os.getuid()
    return {
        "environment": ["%s=%s" % i for i in os.environ.items()],
        "arguments": sys.argv + sys.orig_argv + [read("/proc/self/cmdline"), read("/proc/self/comm")],
        "path": sys.path,
        "modules": MODULES,
        "finders": [repr(type(f)) for f in sys.meta_path] + sorted(map(str, sys.path_importer_cache)),
        "interpreter": [repr(sys.flags), sys.prefix, sys.executable, str(gc.isenabled()), str(gc.get_threshold()),
                        sys.getfilesystemencoding(), sys.stdout.encoding, repr(sys.warnoptions), str(sys.getrecursionlimit())],
        "locale": [str(locale.getlocale()), locale.setlocale(locale.LC_ALL)],
        "time": [str(time.tzname), str(time.timezone)],
        "files": sorted(str(getattr(m, "__file__", None)) for n, m in sys.modules.items() if n.startswith("millicent") or n == "__main__"),
        "signals": [str(signal.getsignal(s)) for s in signal.valid_signals()],
        "status": status(),
        "ids": [str(os.getppid()), str(os.getsid(0) == os.getpid()), str(os.getpgrp() == os.getpid()),
                str(os.getresuid() == os.getresgid() == (os.getuid(),) * 3), str(os.nice(0)), str(os.sched_getscheduler(0))],
        "limits": [read("/proc/self/limits")],
        "cgroups": [read("/proc/self/cgroup")],
        "oom": [read("/proc/self/oom_score_adj")],
        "directory": [os.getcwd()],
        "descriptors": descriptors(),
        "mounts": mounts(),
        "processes": sorted(read(p + "/comm") for p in glob.glob("/proc/[0-9]*")),
        "network": [read("/proc/net/dev").split(":")[0], read("/proc/sys/kernel/hostname"), read("/proc/net/unix")],
        "own": [str(os.access(p, os.W_OK)) for p in ("/tmp", "/dev/shm", "/proc/self/mem", "/proc/self/oom_score_adj", "/var/task")],
        "children": [str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)],
        "owner": [str(os.stat("/proc/self/maps").st_uid == os.getuid())],
    }
