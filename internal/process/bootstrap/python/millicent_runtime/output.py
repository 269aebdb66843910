"""Standard output and the log channel.

Everything is written at once and completely: what a function said before it
died, or before its answer was posted, is never in a buffer of ours.
"""

import io
import os
import sys
import time
from _thread import RLock
from struct import Struct

TRACE, DEBUG, INFO, WARN, ERROR, FATAL = 4, 8, 12, 16, 20, 24
TEXT, JSON = 0xA55A0003, 0xA55A0002

_FRAME = Struct(">IIQ")
_write = os.write
_fstat = os.fstat
_sleep = time.sleep
_now = time.time_ns


class Output:
    """Where log entries go: to the log channel in frames, else to standard output."""

    def __init__(self, environ):
        self.json = environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
        self.level = environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
        self._framed = False
        self._lock = RLock()
        channel = environ.pop("_LAMBDA_TELEMETRY_LOG_FD", "")
        if channel.isdigit():
            self._fd = int(channel)
            try:
                os.set_inheritable(self._fd, False)
                self._framed = True
            except OSError:
                pass  # not open: standard output has to do
        if not self._framed:
            try:
                self._fd = os.dup(1)  # a function may close its own
            except OSError:
                self._fd = 1
        self._file = _identity(self._fd)
        os.register_at_fork(after_in_child=self._forked)

    def write(self, text, level=0, kind=TEXT):
        """Write one entry, of one or more lines. It never raises."""
        if text.endswith("\n"):
            text = text[:-1]
        if self._framed:
            message = text.encode("utf-8", "backslashreplace")
            data = _FRAME.pack(kind | level, len(message), _now() // 1000) + message
        else:
            data = (text.replace("\n", "\r") + "\n").encode("utf-8", "backslashreplace")
        try:
            with self._lock:
                # A function that closes what is not its own may have a file
                # of its own at this number now.
                if _identity(self._fd) == self._file:
                    write_all(self._fd, data)
        except OSError:
            pass  # nobody reads the log; the function goes on

    def _forked(self):
        self._lock = RLock()


def _identity(fd):
    try:
        stat = _fstat(fd)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


class _Unbuffered(io.FileIO):
    """A descriptor that takes everything at once, whoever shares it."""

    def write(self, data):
        return write_all(self.fileno(), data)


def write_all(fd, data):
    """Write all of data, also where the descriptor does not block."""
    size = len(data)
    done = 0
    while done < size:
        try:
            done += _write(fd, data[done:] if done else data)
        except BlockingIOError:
            _sleep(0.001)
    return size


def unbuffer():
    """Make print write through, so that no output is lost or late."""
    for fd, name in ((1, "stdout"), (2, "stderr")):
        old = getattr(sys, name)
        if old is None:
            continue
        raw = _Unbuffered(fd, "w", closefd=False)
        new = io.TextIOWrapper(raw, old.encoding, old.errors, newline="\n", write_through=True)
        new.mode = "w"
        setattr(sys, name, new)
        setattr(sys, "__%s__" % name, new)
        _ours[fd - 1] = new


_ours = [None, None]  # streams that unbuffer made


def flush():
    """Flush what a function may have put in the place of the streams."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if (stream is _ours[0] or stream is _ours[1]) and stream.write_through:
                continue  # it holds nothing
            stream.flush()
        except Exception:
            pass  # closed, or not a stream at all
