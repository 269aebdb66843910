"""Streams: the time right before its first write, then so many MB."""

import time

block = b"x" * (1 << 20)


def handler(event, context):
    yield "@%d\n" % time.monotonic_ns()
    for _ in range(event["mb"]):
        yield block
