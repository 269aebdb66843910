"""What a stem does while nobody waits for it: what happens between its
assignment and its first answer, once, with a function of our own.

A stem that was forked gets its own copy of what it writes to, and to use an
object is to write to it. Nothing is left that a function could see.
"""

import sys

from . import forget
from .context import LambdaContext
from .handler import load
from .payload import Encoder, decode


def warm(settings):
    before = set(sys.modules)
    handler = load(__package__ + ".example.handler")
    about = {"requestId": "", "deadlineMs": 0, "arn": ""}
    context = LambdaContext(settings, about, print)
    context.get_remaining_time_in_millis()
    for body in (b"{}", b'{"key": ["value", 1, null]}'):
        Encoder(ascii_only=True).encode(handler(decode(body), context))
    forget(before - {__name__}, set(sys.path_importer_cache))


def restorer():
    """Return what makes a stem the copy of another process; None where there
    is no such thing."""
    before = set(sys.modules), set(sys.path_importer_cache)
    try:
        from .restore import restore
    except Exception:
        restore = None
    forget(*before)
    return restore
