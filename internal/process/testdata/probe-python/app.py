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
