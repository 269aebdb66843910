"""Counts its calls, so that the first of an environment is known by its answer."""

import os

calls = 0


def handler(event, context):
    global calls
    calls += 1
    if "who" in event:
        return os.readlink("/proc/self/ns/pid")
    return {"n": calls}
