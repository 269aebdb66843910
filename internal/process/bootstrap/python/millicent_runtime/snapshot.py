"""A process that has initialised a function takes a snapshot of itself.

It forks; the child stops within a system call, and its parent reads the
child's memory and describes how to build it anew. What comes out is a stream
of bytes that only this bootstrap can read, in the processes that are to be
environments of the same version: see restore.py. No privilege is needed for
either, and nobody else looks inside.

The stream is a header, pages that lie at PLACE while memory is rebuilt, and
pages of memory.
"""

import ctypes
import os
import sys
from _signal import SIGKILL
from array import array

from . import machine
from .machine import (
    ANY, ENTRY, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, MMAP, PROT_EXEC, PROT_READ,
    PROT_WRITE, entry,
)

MAGIC = b"millisn1"
PLACE = 0x200000000000  # where no process of this platform has anything
SIZE_AT = 2048  # in the first page at PLACE: how much is mapped there
SPARE = 24  # entries for the process that restores
FIRST_FILE = 512  # descriptors from here on are those of mapped files, the first that of the snapshot
MOST_FILES = 400

_PAGE = 4096
_GAP = 16  # pages that are not worth a mapping of their own
_STACK = 8 << 20
_CHUNK = 1 << 20


class Refused(Exception):
    """There is something that no copy of this process could have."""


class Unsupported(Exception):
    """This machine has no way to take snapshots."""


def take(write, keep):
    """Take a snapshot and hand it to write, part by part; return False. In
    every process that is restored from it, return True.

    keep are the descriptors that such a process has already.
    """
    thread = _thread()
    files = _examine(keep)
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(told)
        return _pose(thread, tell)
    try:
        os.close(tell)
        message = os.read(told, 64)
        os.close(told)
        if len(message) != 64:
            raise Refused("the copy of the process ended")
        _Dump(child, message, files).write(write)
    finally:
        os.kill(child, SIGKILL)
        os.waitpid(child, 0)
    return False


def _thread():
    if machine.code is None:
        raise Unsupported("there are no snapshots on this architecture")
    try:
        return machine.Thread()
    except OSError as error:
        raise Unsupported("the kernel does not tell what a snapshot takes: %s" % error) from None


def _pose(thread, tell):
    """Wait to be looked at; return True once restored."""
    thread.leave_rseq()
    save = ctypes.c_uint64()
    about = ENTRY.pack(thread.base, ctypes.addressof(save), 0, 0, 0, 0, 0, 0)
    room = ctypes.create_string_buffer(about, len(about))
    calls = entry(machine.WRITE, tell, ctypes.addressof(room), 64) + entry(machine.PAUSE)
    calls = ctypes.create_string_buffer(calls, len(calls))
    at = machine.call(MMAP, 0, _PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ANY, 0)
    ctypes.memmove(at, machine.code, len(machine.code))
    first = ctypes.addressof(calls)
    if not machine.run(at, first, first + len(calls), save=save):
        os._exit(1)
    machine.call(machine.MUNMAP, PLACE, ctypes.c_uint64.from_address(PLACE + SIZE_AT).value)
    machine.call(machine.MUNMAP, at, _PAGE)
    thread.enter()
    return True


_HARMLESS = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_READ_ONLY = ("/var/task/", "/var/runtime/", "/opt/", "/usr/", "/etc/")


def _examine(keep):
    """Return the descriptors to be opened anew: number, path, flags and place.
    Refuse what cannot be."""
    threads = os.listdir("/proc/self/task")
    if len(threads) > 1:
        raise Refused("%d threads run, which a snapshot cannot hold" % len(threads))
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        raise Refused("the process has child processes")
    except ChildProcessError:
        pass
    found = []
    for fd in sorted(int(name) for name in os.listdir("/proc/self/fd")):
        if fd in keep:
            continue
        try:
            path = os.readlink("/proc/self/fd/%d" % fd)
        except FileNotFoundError:
            continue  # that of the list itself
        found.append((fd, path) + _opened(fd, path))
    return found


def _opened(fd, path):
    about = {}
    with open("/proc/self/fdinfo/%d" % fd) as file:
        for line in file:
            name, _, value = line.partition(":")
            about[name] = value.strip()
    flags = int(about["flags"], 8)
    if path in _HARMLESS:
        return flags, 0
    if path.startswith(_READ_ONLY) and flags & os.O_ACCMODE == os.O_RDONLY and fd < FIRST_FILE:
        return flags & ~os.O_CREAT, int(about["pos"])
    raise Refused("descriptor %d is open: %s" % (fd, path))


class _Area:
    """A mapping: a line of /proc/PID/smaps, and those that go with it."""

    def __init__(self, line):
        fields = line.split(None, 5)
        start, _, end = fields[0].partition("-")
        self.start, self.end = int(start, 16), int(end, 16)
        self.access, self.offset, self.inode = fields[1], int(fields[2], 16), int(fields[4])
        self.path = fields[5].rstrip("\n") if len(fields) > 5 else ""
        self.resident = 0
        self.flags = ()
        self.prot = sum(bit for i, bit in enumerate((PROT_READ, PROT_WRITE, PROT_EXEC)) if self.access[i] != "-")

    @property
    def of_file(self):
        return self.inode != 0 and self.path.startswith(_READ_ONLY) and not self.path.endswith(" (deleted)")


_SPECIAL = ("[vvar]", "[vvar_vclock]", "[vdso]")


def areas(lines):
    """Return the mappings that /proc/PID/smaps, or maps, tells of."""
    found = []
    for line in lines:
        name = line.split(None, 1)[0]
        if not name.endswith(":"):
            found.append(_Area(line))
        elif name == "Rss:":
            found[-1].resident = int(line.split()[1])
        elif name == "VmFlags:":
            found[-1].flags = line.split()[1:]
    return found


def specials(found):
    """Return the mappings that the kernel has made, which cannot be copied."""
    return [(a.path, a.start, a.end - a.start) for a in found if a.path in _SPECIAL]


class _Dump:
    def __init__(self, pid, message, descriptors):
        self._pid = pid
        self._descriptors = descriptors
        self._base, save = ENTRY.unpack(message)[:2]
        self._memory = os.open("/proc/%d/mem" % pid, os.O_RDONLY)
        self._pages = os.open("/proc/%d/pagemap" % pid, os.O_RDONLY)
        self._stack = int.from_bytes(os.pread(self._memory, 8, save), sys.byteorder)
        with open("/proc/%d/smaps" % pid) as file:
            self._areas = areas(file)
        self._files = {}
        self._runs = []  # of pages of memory: address and size
        self._entries = []
        self._size = 0  # of the runs before

    def write(self, write):
        heads = [self._describe(area) for area in self._areas if area.path not in _SPECIAL]
        calls = [call for head in heads for call in head]
        count = len(calls) + 3  # and those at the end
        bounds = self._bounds()
        place = _PAGE + (SPARE + count) * 64 + len(bounds)
        place = -place % _PAGE + place
        header = self._header(place, count)
        start = len(header) + place  # of memory, in the file
        out = bytearray(header)
        out += machine.code.ljust(SIZE_AT, b"\0")
        out += place.to_bytes(8, sys.byteorder).ljust(_PAGE - SIZE_AT, b"\0")
        out += entry(machine.GETPID) * SPARE
        for number, *arguments, result in calls:
            if number == machine.PREAD:
                arguments[3] += start
            elif arguments[4] == FIRST_FILE:
                arguments[5] += start
            out += entry(number, *arguments, result=result)
        out += entry(machine.PRCTL, machine.PR_SET_MM, machine.PR_SET_MM_MAP,
                     PLACE + _PAGE + (SPARE + count) * 64, len(bounds), result=0)
        out += entry(machine.CLOSE_RANGE, FIRST_FILE, FIRST_FILE + len(self._files), 0, result=0)
        out += entry(machine.ARCH_PRCTL, machine.ARCH_SET_FS, self._base, result=0)
        out += bounds
        out += bytes(start - len(out))
        write(out)
        for address, size in self._runs:
            while size:
                part = os.pread(self._memory, min(size, _CHUNK), address)
                write(part)
                address, size = address + len(part), size - len(part)

    def _header(self, place, calls):
        from json import dumps

        paths = sorted(self._files, key=self._files.get)
        text = dumps({
            "place": place, "calls": calls, "stack": self._stack, "special": specials(self._areas),
            "files": [[path, *_identity(os.stat(path))] for path in paths], "open": self._descriptors,
        }).encode("ascii")
        size = len(MAGIC) + 8 + len(text)
        return MAGIC + len(text).to_bytes(8, sys.byteorder) + text + bytes(-size % _PAGE)

    def _describe(self, area):
        """Return the mappings that make an area anew."""
        if area.path == "[vsyscall]":
            return []
        shared = area.access[3] == "s"
        if shared and (not area.of_file or area.access[1] == "w" or "mw" in area.flags):
            raise Refused("memory is shared: %s" % (area.path or "anonymous"))
        if "ss" in area.flags:
            raise Refused("there is a shadow stack")
        fd, offset, flags = ANY, 0, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE
        if area.of_file:
            fd, offset, flags = self._file(area.path), area.offset, (MAP_SHARED if shared else MAP_PRIVATE) | MAP_FIXED
        low, size = area.start, area.end - area.start
        runs = [] if shared or {"wf", "dp"} & set(area.flags) else self._held(area)
        stack = area.path == "[stack]"
        if stack:  # as much as it may become
            low = max([a.end for a in self._areas if a.end <= area.start] + [area.end - _STACK])
            size = area.end - low
        calls = [] if runs == [(low, size)] else [(MMAP, low, size, area.prot, flags, fd, offset, low)]
        for run in runs:
            calls.append(self._fill(stack, area.prot, *run))
        return calls

    def _fill(self, stack, prot, address, size):
        """Return what brings memory back. A copy of the stack, for the kernel
        shows a process's arguments only of memory that is no file's."""
        at = self._size
        self._runs.append((address, size))
        self._size += size
        if stack:
            return machine.PREAD, FIRST_FILE, address, size, at, size
        return MMAP, address, size, prot, MAP_PRIVATE | MAP_FIXED, FIRST_FILE, at, address

    def _held(self, area):
        """Return the runs of pages that are this process's own."""
        if not area.resident and not (area.inode and not area.of_file):
            return []
        if area.inode and not area.of_file:
            return [(area.start, area.end - area.start)]  # a file that the next process may not have
        count = (area.end - area.start) // _PAGE
        words = array("Q")
        words.frombytes(os.pread(self._pages, count * 8, area.start // _PAGE * 8))
        runs = []
        for i, word in enumerate(words):
            if word >> 61 != 4 and not word >> 62 & 1:  # in memory and not the file's, or swapped
                continue
            if runs and i - runs[-1][1] <= _GAP:
                runs[-1][1] = i + 1
            else:
                runs.append([i, i + 1])
        return [(area.start + i * _PAGE, (j - i) * _PAGE) for i, j in runs]

    def _file(self, path):
        if len(self._files) == MOST_FILES:
            raise Refused("more than %d files are mapped" % MOST_FILES)
        return self._files.setdefault(path, FIRST_FILE + 1 + len(self._files))

    def _bounds(self):
        """Return a struct prctl_mm_map: where the kernel is to believe what is."""
        with open("/proc/%d/stat" % self._pid) as file:
            fields = file.read().rpartition(")")[2].split()
        field = lambda number: int(fields[number - 3])
        brk = max([a.end for a in self._areas if a.path == "[heap]"], default=field(47))
        numbers = [
            field(26), field(27), field(45), field(46), field(47), brk, field(28),
            field(48), field(49), field(50), field(51), 0,
        ]
        return array("Q", numbers).tobytes() + array("I", [0, 0xFFFFFFFF]).tobytes()


def _identity(status):
    return status.st_size, status.st_mtime_ns, status.st_ino
