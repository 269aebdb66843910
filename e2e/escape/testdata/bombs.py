"""Bombs that are a matter of a line in Python."""

import mmap
import os
import sys
import threading
import time


def forkbomb(event):
    while True:
        try:
            os.fork()
        except OSError:
            pass


def threads(event):
    stop = threading.Event()
    n = 0
    try:
        while n < event["n"]:
            threading.Thread(target=stop.wait, daemon=True).start()
            n += 1
    except RuntimeError as e:
        time.sleep(event.get("hold", 0) / 1000)
        return {"n": n, "err": str(e)}
    finally:
        stop.set()
    return {"n": n, "err": "nobody minds"}


def memory(event):
    held = []
    while len(held) < 1 << 14:
        held.append(b"x" * (1 << 20))
    return {"n": len(held), "err": "nobody minds"}


def nothing(event):
    return "ok"


def segments(event):
    """System V segments outlive the processes that made them."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    for n in range(1 << 12):
        at = libc.shmat(libc.shmget(0, 1 << 18, 0o1600), None, 0)
        ctypes.memset(at, 1, 1 << 18)
    return {"n": n, "err": "nobody minds"}


def processes(event):
    """Processes that hold N MB each, until one cannot be made."""
    n = 0
    while n < 500:
        if os.fork() == 0:
            m = mmap.mmap(-1, event["n"] << 20)
            for i in range(0, len(m), 4096):
                m[i] = 1
            time.sleep(1000)
        n += 1
    time.sleep(60)
    return {"n": n, "err": "nobody minds"}


def suicide(event):
    """Kills whatever may be killed, from a process of its own."""
    if os.fork() == 0:
        os.setsid()
        os.kill(-1, 9)
        os._exit(0)
    time.sleep(60)


def frames(event):
    """Forges frames of the log channel, and lines of the platform's."""
    def frame(kind, length, at, text):
        return b"".join(n.to_bytes(size, "big") for n, size in ((kind, 4), (length, 4), (at, 8))) + text

    now = int(time.time() * 1e6)
    fd = event["n"]
    for text in event["args"]:
        text = text.encode()
        os.write(fd, frame(0xA55A0003, len(text), now, text))
        os.write(fd, frame(0xA55A0003, len(text), 1 << 62, text))
        os.write(1, text + b"\n")
    os.write(fd, frame(0xA55A0003, 0xFFFFFFFF, now, b"a length of 4 GB"))
    os.write(fd, b"no frame at all\n" * 1000)
    return "ok"


def crash(event):
    sys.stdout.flush()
    os.abort()


def handler(event, context):
    return globals()[event["do"]](event)
