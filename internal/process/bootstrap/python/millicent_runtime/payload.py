"""Events in, results out.

Results are JSON with two liberties that the field's functions rely upon: NaN
and the infinities pass as Python writes them, and a Decimal is a number with
all its digits. The second needs a detour, since json can't be told to write a
number's text: a Decimal is written as a string behind a mark that is new for
every result, and the quotes and the mark are taken away afterwards.
"""

import json
from json import JSONDecoder, JSONEncoder
from json.encoder import encode_basestring, encode_basestring_ascii
from os import urandom

try:
    from json.encoder import c_make_encoder
except ImportError:  # an interpreter that does it otherwise
    c_make_encoder = None

_loads = json.loads
_scan = JSONDecoder().scan_once


def decode(body):
    """Return the event of a body; raise ValueError for one that is not JSON."""
    text = body.decode("utf-8")
    try:
        event, end = _scan(text, 0)
        if end == len(text):
            return event
    except (StopIteration, ValueError):
        pass
    return _loads(text)  # with space around it, or not JSON: then the error is the library's


class Encoder:
    """Writes results; ascii_only escapes everything beyond ASCII."""

    def __init__(self, ascii_only):
        self._ascii_only = ascii_only
        self._marks = _Decimals()
        self._fast = None

    def encode(self, result):
        """Return the body and the content type of a result."""
        if isinstance(result, bytes):
            return result, "application/unknown"
        marks = self._marks
        marks.mark = None
        encoder = self._fast or self._make()
        self._fast = None  # one that has failed remembers what it was at
        if encoder is None:
            text = JSONEncoder(ensure_ascii=self._ascii_only, default=marks.default).encode(result)
        else:
            text = "".join(encoder(result, 0))
            self._fast = encoder
        if marks.mark is not None:
            text = marks.restore(text)
        return text.encode("utf-8"), "application/json"

    def _make(self):
        """Return what JSONEncoder makes for every call anew, None if it can't
        be made here."""
        escape = encode_basestring_ascii if self._ascii_only else encode_basestring
        try:
            return c_make_encoder({}, self._marks.default, escape, None, ": ", ", ", False, False, True)
        except TypeError:
            return None

    def document(self, members):
        """Return the body of an error document, come what may."""
        text = JSONEncoder(ensure_ascii=self._ascii_only).encode(members)
        return text.encode("utf-8", "backslashreplace")


class _Decimals:
    def __init__(self):
        self.mark = None  # of the result that is being written; None before its first Decimal

    def default(self, value):
        kind = type(value)
        if not any(c.__name__ == "Decimal" and c.__module__ == "decimal" for c in kind.__mro__):
            raise TypeError("Object of type %s is not JSON serializable" % kind.__name__)
        if value.is_nan():
            return float("nan")
        if self.mark is None:
            self.mark = "decimal:" + urandom(16).hex() + ":"
        return self.mark + str(value)

    def restore(self, text):
        first, *others = text.split('"' + self.mark)
        return first + "".join(other.replace('"', "", 1) for other in others)
