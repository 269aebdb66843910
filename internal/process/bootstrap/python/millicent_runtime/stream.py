"""Invocations whose handler returns a generator: the response is streamed.

Lambda's own Python runtimes cannot answer with a generator, so whatever runs
there means the same here. What is yielded is bytes, or str as UTF-8. A dict
that is yielded first says how the response begins as HTTP: its statusCode, its
headers and its cookies.

The response begins with the first part. A failure before that is an ordinary
error; one after it ends what was begun.
"""

import os

from .handler import Fault
from .output import flush

_MEDIA_TYPE = "application/octet-stream"
_INTEGRATION = "application/vnd.awslambda.http-integration-response"
_END = object()


def respond(api, request_id, parts, encoder, explain):
    """Answer an invocation with what parts yields."""
    pid = os.getpid()
    begun = False
    kind, document = "", b""
    while True:
        try:
            part = next(parts, _END)
            if part is not _END:
                data, media_type = _bytes(part, begun, encoder)
        except Exception as error:
            if os.getpid() != pid:
                raise
            kind, document = explain(_closed(parts, error), request_id)
            part = _END
        if os.getpid() != pid:
            os._exit(0)  # a child that a handler forked and forgot
        if part is _END and kind and not begun:
            flush()
            api.fail(request_id, kind, document)
            return
        if not begun:
            api.begin(request_id, _MEDIA_TYPE if part is _END else media_type)
            begun = True
        if part is _END:
            break
        if data:  # an empty part would be the last
            api.part(data)
    flush()
    api.end(kind, document)


def _closed(parts, error):
    """End a generator, and return the error that its end leaves standing."""
    try:
        parts.close()
    except Exception as other:
        return other
    return error


def _bytes(part, begun, encoder):
    """Return the bytes of a part, and the media type if it is the first."""
    if isinstance(part, bytes):
        return part, _MEDIA_TYPE
    if isinstance(part, str):
        return part.encode("utf-8"), _MEDIA_TYPE
    if isinstance(part, (bytearray, memoryview)):
        return bytes(part), _MEDIA_TYPE
    if isinstance(part, dict) and not begun:
        return encoder.encode(part)[0] + bytes(8), _INTEGRATION
    kind = type(part).__name__
    raise Fault("Runtime.MarshalError", "Unable to stream what is neither bytes nor str: %s" % kind)
