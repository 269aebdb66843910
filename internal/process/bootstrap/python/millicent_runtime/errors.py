"""What went wrong, as a document for the caller and as an entry in the log.

Loaded only once something has gone wrong.
"""

from os.path import dirname
from time import gmtime, strftime

from .handler import Fault
from .output import ERROR, JSON

_HERE = dirname(__file__)
_ENTRY = dirname(_HERE)


def describe(error, request_id):
    """Return the error document of an exception.

    The keys' order is part of the protocol. request_id None leaves the key
    out, as the oldest runtimes do.
    """
    if isinstance(error, Fault):
        kind, message, trace = error.kind, str(error), error.trace
    else:
        kind, message, trace = type(error).__name__, _message(error), _trace(error.__traceback__)
    document = {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": trace}
    if request_id is None:
        del document["requestId"]
    return document


def log(document, output, encoder):
    """Write an error document to the log, as one entry."""
    if output.json:
        now = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime())
        entry = {"timestamp": now, "level": "ERROR", **document}
        output.write(encoder.document(entry).decode("utf-8"), ERROR, JSON)
        return
    lines = ["[ERROR] " + ": ".join(filter(None, (document["errorType"], document["errorMessage"])))]
    lines.append("Traceback (most recent call last):")
    for entry in document["stackTrace"]:
        lines.extend(_indent(line) for line in entry.splitlines())
    output.write("\n".join(lines), ERROR)


def header(kind):
    """Return an error type fit for a header."""
    return "".join(c for c in kind if " " <= c <= "~")


def _message(error):
    try:
        return str(error)
    except Exception:  # a __str__ of the function's own
        return ""


def _trace(tb):
    """Format a traceback from the function's first frame on."""
    try:
        import traceback
    except ImportError:  # the function has taken the library off sys.path
        return []
    frames = [(f.filename, f.lineno, f.name, f.line) for f in traceback.extract_tb(tb)]
    first = 0
    while first < len(frames) - 1 and _ours(frames[first][0]):
        first += 1
    if frames and _ours(frames[first][0]):
        return []
    return traceback.format_list(frames[first:])


def _ours(filename):
    return dirname(filename) in (_HERE, _ENTRY)


def _indent(line):
    """Replace leading spaces by ones that no log viewer strips."""
    text = line.lstrip(" ")
    return "\u00a0" * (len(line) - len(text)) + text
