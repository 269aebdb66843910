"""The platform by two pipes that the process was given.

A message is four bytes of length of what follows, a byte that says which it
is, and its body. To the platform go N (ready for an invocation), R (response),
E (error), S, C and T (a response in parts), F (the function could not be
loaded) and D (what its code was compiled to is of no use); I, an invocation, comes back: four bytes of length,
so much JSON about it, the event. A stem, a process that is booted before it is
known for which function, gets W, tries what it can, says B and gets A, its
assignment: both are JSON. One that somebody waits for gets A at once.

A process whose initialised state is to be kept sends it in parts, P, before
its first N. A stem that is to become a copy of it gets S in place of A, says
G, and has got a byte with a descriptor by another way; the copy says O once it
has A, and then N.

Descriptor numbers are used as they are: nothing has to be imported for them.
"""

import os
from json import JSONDecoder
from struct import Struct
from sys import byteorder

from . import Unreachable

_HEADER = Struct(">IB")
_INVOKE = Struct(">IBI")  # of an invocation: with the length of what is known about it
_LENGTH = Struct(">I")
_FIRST = 8192  # bytes that most messages fit into
_JOIN = 65536  # bodies up to this size go out in one piece with their head
_PART = 65536 - 5  # of a response in parts: what a pipe takes at once
_MOST = 6291556 + 1  # of a payload: the platform wants to know that it is too large, not all of it
_ASIDE = 1000
_NEXT = _HEADER.pack(1, ord("N"))
_BOOTED = _HEADER.pack(1, ord("B"))
_GIVE = _HEADER.pack(1, ord("G"))
_RESTORED = _HEADER.pack(1, ord("O"))
_REFUSED = _HEADER.pack(1, ord("D"))
_INVOCATION = ord("I")

_scan = JSONDecoder().scan_once
_read = os.read
_write = os.write


class Link:
    """Speaks to the platform: reads from a descriptor, and writes to the one
    behind it. For one thread."""

    def __init__(self, fd):
        self._in = _aside(fd, _ASIDE)
        self._out = _aside(fd + 1, _ASIDE + 1)
        self._asked = False
        self._side = fd + 2  # a stem has it, for the snapshot that it may be given
        self._assigned = None

    def rehearsal(self):
        """Wait for the assignment that a stem is sent only to try it. Return
        None where somebody waits for the stem: it has its own already."""
        kind, body = self._receive()
        if kind != ord("W"):
            self._assigned = kind, body
            return None
        return _expect(ord("W"), kind, body)

    def assignment(self, restore=None):
        """Say that a stem has booted; wait for what it is to be. Does not
        return where that is the copy of another process."""
        if self._assigned is not None:
            kind, body = self._assigned
        else:
            self._send(_BOOTED)
            kind, body = self._receive()
        if kind == ord("S"):
            self._restore(restore)
        os.close(self._side)
        return _expect(ord("A"), kind, body)

    def _restore(self, restore):
        from _socket import CMSG_LEN, socket

        try:
            side = socket(fileno=self._side)
            passed = side.recvmsg(1, CMSG_LEN(4))[1]
            side.close()
            self._send(_GIVE)
            restore(int.from_bytes(passed[0][2], byteorder), _scan)
        except Exception as error:
            self.fail_init("Runtime.SnapshotUnusable", repr(error).encode("utf-8", "replace"))
        os._exit(1)

    def descriptors(self):
        return self._in, self._out

    def send_snapshot(self, part):
        """Send a part of a snapshot."""
        self._send(_HEADER.pack(1 + len(part), ord("P")))
        self._send(part)

    def restored(self):
        """Return the assignment, in the copy of a process."""
        return _expect(ord("A"), *self._receive())

    def hooks(self):
        """Say that from now on the function's own hooks run."""
        self._send(_RESTORED)

    def refuse(self):
        """Say that what the function's code was compiled to is of no use."""
        self._send(_REFUSED)

    def next(self):
        """Wait for an invocation; return what is known about it, and its event."""
        if not self._asked:
            self._send(_NEXT)
        self._asked = False
        data = self._message()
        size, kind, end = _INVOKE.unpack_from(data)
        if kind != _INVOCATION:
            raise Unreachable("next invocation: message %r" % kind)
        end += 9
        return _scan(data[9:end].decode("utf-8"), 0)[0], data[end:]

    def respond(self, invocation, body, content_type):
        """Answer an invocation, and ask for the next one."""
        self._asked = True
        kind = _JSON if content_type == "application/json" else _short(content_type)
        self._post(b"R", _short(invocation) + kind, body, _NEXT)

    def fail(self, invocation, error_type, body):
        """Report the failure of an invocation, and ask for the next one."""
        self._asked = True
        self._post(b"E", _short(invocation) + _short(error_type), body, _NEXT)

    def begin(self, invocation, content_type):
        """Begin to answer an invocation in parts."""
        self._post(b"S", _short(invocation) + _short(content_type), b"", b"")

    def part(self, data):
        """Send a part of the answer. Wait while the platform takes no more."""
        if len(data) <= _PART:
            self._post(b"C", b"", data, b"")
            return
        view = memoryview(data)
        for at in range(0, len(data), _PART):
            self._post(b"C", b"", view[at:at + _PART], b"")

    def end(self, error_type, body):
        """End the answer, and ask for the next invocation. An error type says
        that the answer broke off."""
        self._asked = True
        self._post(b"T", _short(error_type), body, _NEXT)

    def fail_init(self, error_type, body):
        """Report that the function could not be loaded."""
        self._post(b"F", _short(error_type), body, b"")

    def _post(self, kind, head, body, after):
        if len(body) > _MOST:
            body = body[:_MOST]
        head = _LENGTH.pack(1 + len(head) + len(body)) + kind + head
        if len(body) <= _JOIN:
            self._send(head + body + after)
        else:
            self._send(head)
            self._send(body)
            self._send(after)

    def _send(self, data):
        try:
            size = len(data)
            done = _write(self._out, data) if size else 0
            if done < size:
                view = memoryview(data)
                while done < size:
                    done += _write(self._out, view[done:])
        except OSError as cause:
            raise Unreachable("link: %s" % cause) from None

    def _more(self, size):
        try:
            data = _read(self._in, size)
        except OSError as cause:
            raise Unreachable("link: %s" % cause) from None
        if not data:
            raise Unreachable("link: closed by the platform")
        return data

    def _receive(self):
        """Return the kind of the next message and its body."""
        data = self._message()
        return data[4], data[5:]

    def _message(self):
        data = self._more(_FIRST)
        have = len(data)
        while have < 5:
            data += self._more(_JOIN)
            have = len(data)
        size = _LENGTH.unpack_from(data)[0] + 4
        if have < size:  # nothing comes behind a message before it is answered
            parts = [data]
            while have < size:
                data = self._more(min(size - have, 1 << 20))
                parts.append(data)
                have += len(data)
            data = b"".join(parts)
        return data


def _expect(expected, kind, body):
    if kind != expected:
        raise Unreachable("message %r in place of %r" % (kind, expected))
    return _parse(body)


def _parse(body):
    return _scan(body.decode("utf-8"), 0)[0]


def _aside(fd, aside):
    """Move a descriptor to where functions that close what is not theirs don't
    come, nor does a file that they open next."""
    try:
        high = os.dup2(fd, aside, inheritable=False)
    except OSError:  # beyond the limit of descriptors
        os.set_inheritable(fd, False)
        return fd
    os.close(fd)
    return high


def _short(text):
    data = text.encode("utf-8", "replace")[:255]
    return _BYTES[len(data)] + data


_BYTES = tuple(bytes((n,)) for n in range(256))
_JSON = _short("application/json")
