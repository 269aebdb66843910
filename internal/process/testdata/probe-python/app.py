"""The probe of the conformance suite in Python; see package launchertest."""

import os
import signal
import sys
import time

if os.environ.get("PROBE_INIT") == "exit":
    os._exit(3)

count = 0
kept = []


def handler(event, context):
    return globals()["do_" + event["do"]](event)


def do_echo(event):
    return event.get("value")


def do_log(event):
    print("\n".join(event["lines"]))


def do_sleep(event):
    time.sleep(event["ms"] / 1000)


def do_exit(event):
    sys.exit(event["code"])


def do_kill(event):
    os.kill(os.getpid(), signal.SIGKILL)


def do_allocate(event):
    for _ in range(event["mb"]):
        kept.append(b"x" * (1 << 20))


def do_write(event):
    with open(event["path"], "w") as f:
        f.write(event["value"])


def do_read(event):
    try:
        with open(event["path"]) as f:
            return f.read()
    except FileNotFoundError:
        return ""


def do_count(event):
    global count
    count += 1
    return count


def do_bytes(event):
    return "x" * (event["n"] - 2)


def do_getenv(event):
    return os.environ.get(event["name"], "")


def do_world(event):
    import world

    return world.world()


def do_namespaces(event):
    return {name: os.readlink("/proc/self/ns/" + name) for name in os.listdir("/proc/self/ns")}


def do_draw(event):
    import random
    import secrets
    import tempfile
    import uuid

    return [random.random(), random.Random().random(), secrets.token_hex(), str(uuid.uuid4()),
            tempfile.mktemp(), os.urandom(8).hex(), random.SystemRandom().random()]


def do_libraries(event):
    import asyncio, ctypes, decimal, hashlib, logging, multiprocessing, socket, sqlite3, ssl, struct, subprocess
    import threading, urllib.request

    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    numbers = (ctypes.c_int * 3)(3, 1, 2)
    ctypes.CDLL(None).qsort(numbers, 3, 4, compare(lambda a, b: a[0] - b[0]))
    class Pair(ctypes.Structure):
        _fields_ = [("a", ctypes.c_int), ("b", ctypes.c_double)]
    a, b = socket.socketpair()
    a.send(b"x")
    seen = []
    thread = threading.Thread(target=seen.append, args=(1,))
    thread.start()
    thread.join()
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=queue.put, args=(1,))
    process.start()
    got = queue.get()
    process.join()
    ssl.create_default_context()
    return [list(numbers), ctypes.sizeof(Pair), b.recv(1).decode(), seen, got, process.exitcode,
            subprocess.check_output(["/bin/echo", "sub"]).decode(), sqlite3.connect(":memory:").execute("select 1").fetchone(),
            asyncio.run(asyncio.sleep(0, 7)), hashlib.sha256(b"").hexdigest()[:8], str(decimal.Decimal(1) / 4)]
