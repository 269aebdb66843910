"""Breaks the protocol of the link, which the platform's own bootstrap speaks."""

import fcntl
import os
import stat
import struct
import time


def link():
    """The descriptor of the link to write to: the only pipe above the standard
    ones that is written to and moved aside."""
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            writable = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
            if fd > 3 and writable and stat.S_ISFIFO(os.fstat(fd).st_mode):
                return fd
        except OSError:
            pass
    raise LookupError("no link")


def message(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">IB", 1 + len(body), ord(kind)) + body


def short(text):
    return bytes([len(text)]) + text.encode()


def write(data):
    fd = link()
    while data:
        data = data[os.write(fd, data):]


def handler(event, context):
    mine = context.aws_request_id
    none = short("")
    do = event["do"]
    if do == "flood":  # a response without an end, by a process that stays when the runtime ends
        write(message("S", short(mine), none))
        if os.fork() == 0:  # but one: what several write at a time would be garbage
            fd, block = link(), message("C") * 40000
            while True:
                os.write(fd, block)
        time.sleep(0.5)
        os._exit(3)
    if do == "parts":  # the same, while the runtime goes on
        write(message("S", short(mine), none))
        block = message("C") * 10000
        while True:
            write(block)
    writes = {
        "foreign": message("R", short(event.get("id", "")), none, b'"forged"'),
        "twice": message("R", short(mine), none, b'"first"') + message("R", short(mine), none, b'"second"'),
        "ready": message("N"),
        "booted": message("B"),
        "trailer": message("T", none, b"x"),
        "chunk": message("C", b"x"),
        "init": message("F", none, b"{}"),
        "invoke": message("I", b"\x00\x00\x00\x02{}{}"),
        "unknown": message("?", b"x"),
        "empty": struct.pack(">I", 0),
        "huge": struct.pack(">IB", 0xFFFFFFFF, ord("R")) + b"x" * 65536,
        "larger": struct.pack(">IB", 8 << 20, ord("R")),
        "garbage": os.urandom(4096),
        "short": message("R", b"\xff"),
    }
    if do in writes:
        write(writes[do])
    elif do == "close":
        os.close(link())
    elif do == "deaf":  # answers, asks for the next event, and does not read it
        write(message("R", short(mine), none, b'"deaf"') + message("N"))
    time.sleep(60)
