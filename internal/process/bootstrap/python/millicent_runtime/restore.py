"""A stem becomes what a snapshot holds: a process that has initialised its
function. Its own memory is given up for that of the snapshot, at the same
addresses; its number, its descriptors and its confinement stay.
"""

import ctypes
import os
import sys
from _signal import SIG_SETMASK, pthread_sigmask, valid_signals

from . import machine
from .machine import ANY, MAP_FIXED_NOREPLACE, MAP_PRIVATE, PROT_EXEC, PROT_READ, PROT_WRITE, entry
from .snapshot import FIRST_FILE, MAGIC, PLACE, SPARE, _identity, areas, specials

_PAGE = 4096
_END = 0x7FFFFFFFF000


class Unusable(Exception):
    """The snapshot does not fit this machine, or this process, any more."""


def restore(fd, decode):
    """Become what the file of a descriptor holds; does not return."""
    os.dup2(fd, FIRST_FILE, inheritable=False)
    if fd != FIRST_FILE:
        os.close(fd)
    about, start = _header(decode)
    _open(about)
    place = about["place"]
    machine.call(machine.MMAP, PLACE, place, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_FIXED_NOREPLACE,
                 FIRST_FILE, start)
    calls = _clear(about["special"], place)
    if len(calls) > SPARE:
        raise Unusable("%d calls to give up memory" % len(calls))
    calls = b"".join(calls)
    first = PLACE + _PAGE
    ctypes.memmove(first, calls, len(calls))
    pthread_sigmask(SIG_SETMASK, valid_signals())
    machine.Thread().leave_rseq()
    machine.run(PLACE, first, first + (SPARE + about["calls"]) * 64, stack=about["stack"])


def _header(decode):
    data = os.pread(FIRST_FILE, 1 << 16, 0)
    size = int.from_bytes(data[8:16], sys.byteorder)
    if data[:8] != MAGIC or size > 1 << 24:
        raise Unusable("it is no snapshot")
    if len(data) < 16 + size:
        data = os.pread(FIRST_FILE, 16 + size, 0)
    about = decode(data[16:16 + size].decode("ascii"), 0)[0]
    return about, 16 + size + -(16 + size) % _PAGE


def _open(about):
    for i, (path, *identity) in enumerate(about["files"]):
        fd = os.open(path, os.O_RDONLY)
        if [*_identity(os.fstat(fd))] != identity:
            raise Unusable("%s is another file" % path)
        os.dup2(fd, FIRST_FILE + 1 + i, inheritable=False)
        os.close(fd)
    for number, path, flags, place in about["open"]:
        fd = os.open(path, flags)
        if fd != number:
            os.dup2(fd, number, inheritable=not flags & os.O_CLOEXEC)
            os.close(fd)
        if place:
            os.lseek(number, place, os.SEEK_SET)


def _clear(wanted, place):
    """Return the calls that give up all memory, but bring what the kernel made
    to where the snapshot has it."""
    with open("/proc/self/maps") as file:
        have = specials(areas(line for line in file if "[v" in line))
    if [(name, size) for name, _, size in have] != [(name, size) for name, _, size in wanted]:
        raise Unusable("it is of another kernel")
    before, after, keep = [], [], []
    for (_, now, size), (_, then, _) in zip(have, wanted):
        if now == then:
            keep.append((now, now + size))
            continue
        before.append(entry(machine.MREMAP, now, size, size, machine.MREMAP_FIXED, PLACE + place, result=PLACE + place))
        after.append(entry(machine.MREMAP, PLACE + place, size, size, machine.MREMAP_FIXED, then, result=then))
        place += size
    keep.append((PLACE, PLACE + place))
    at = 0
    for low, high in sorted(keep) + [(_END, _END)]:
        if low > at:
            before.append(entry(machine.MUNMAP, at, low - at, result=0))
        at = high
    return before + after
