"""The Runtime API over one keep-alive connection.

A plain socket costs less to import than http.client, works when a function
has patched the socket module, and lets signals reach the main thread while it
waits for the next event.
"""

try:
    from _socket import AF_INET, AF_INET6, IPPROTO_TCP, SOCK_STREAM, TCP_NODELAY, socket
except ImportError:  # an interpreter without the C module's name
    from socket import AF_INET, AF_INET6, IPPROTO_TCP, SOCK_STREAM, TCP_NODELAY, socket

from . import Unreachable

_BASE = "/2018-06-01/runtime/"
_JOIN = 65536  # bodies up to this size go out in one piece with their head


# What is known about an invocation, by the names that the link uses.
_ABOUT = (
    ("lambda-runtime-aws-request-id", "requestId"),
    ("lambda-runtime-deadline-ms", "deadlineMs"),
    ("lambda-runtime-invoked-function-arn", "arn"),
    ("lambda-runtime-trace-id", "traceId"),
    ("lambda-runtime-client-context", "clientContext"),
    ("lambda-runtime-cognito-identity", "identity"),
    ("lambda-runtime-aws-tenant-id", "tenantId"),
)


class _Closed(OSError):
    """The connection ended before an answer began."""


class Client:
    """Speaks to the Runtime API at host:port. For one thread."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self._family = AF_INET6 if ":" in host else AF_INET
        self._peer = (host.strip("[]"), int(port))
        self._host = address.encode("latin-1")
        self._socket = None
        self._refused = False  # the rest of an answer in parts
        self._connect()

    def next(self):
        """Wait for an invocation; return what is known about it, and its event."""
        status, headers, body = self._exchange(b"GET", "invocation/next", b"", ())
        if status != 200:
            raise Unreachable("next invocation: status %d: %r" % (status, body[:200]))
        return {name: headers[header] for header, name in _ABOUT if header in headers}, body

    def respond(self, invocation, body, content_type):
        """Answer an invocation."""
        path = "invocation/" + invocation + "/response"
        return self._post(path, body, (("Content-Type", content_type),))

    def fail(self, invocation, error_type, body):
        """Report the failure of an invocation."""
        return self._error("invocation/" + invocation + "/error", error_type, body)

    def begin(self, invocation, content_type):
        """Begin to answer an invocation in parts."""
        head = (
            "POST " + _BASE + "invocation/" + invocation + "/response HTTP/1.1\r\nContent-Type: " + content_type
            + "\r\nLambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n"
            "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\nHost: "
        )
        head = head.encode("latin-1") + self._host + b"\r\n\r\n"
        self._refused = False
        try:
            self._send(head)
        except OSError:  # as in _exchange
            self._connect()
            self._send(head)

    def part(self, data):
        """Send a part of the answer. Wait while the platform takes no more."""
        self._continue(b"%x\r\n" % len(data), data, b"\r\n")

    def end(self, error_type, body):
        """End the answer. An error type says that it broke off."""
        trailers = b""
        if error_type:
            from base64 import b64encode

            trailers = b"Lambda-Runtime-Function-Error-Type: %s\r\nLambda-Runtime-Function-Error-Body: %s\r\n" % (
                error_type.encode("latin-1", "replace"), b64encode(body)
            )
        self._continue(b"0\r\n", trailers, b"\r\n")
        if not self._refused:
            try:
                self._receive()
            except _Closed:
                self._drop()

    def _continue(self, *data):
        # A platform that does not want the answer to its end has made up its
        # mind about it: the next invocation is not affected.
        if not self._refused:
            try:
                self._send(b"".join(data))
            except OSError:
                self._refused = True
                self._drop()

    def _send(self, data):
        if self._socket is None:
            self._connect()
        self._socket.sendall(data)

    def fail_init(self, error_type, body):
        """Report that the function could not be loaded."""
        return self._error("init/error", error_type, body)

    def _error(self, path, error_type, body):
        return self._post(path, body, (
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Function-Error-Type", error_type),
        ))

    def _post(self, path, body, headers):
        # Whatever the status, the platform has made up its mind about this
        # invocation (too large, unknown): the next one is not affected.
        try:
            return self._exchange(b"POST", path, body, headers)[0]
        except _Closed:
            return 0

    def _exchange(self, method, path, body, headers):
        head = [method, b" ", (_BASE + path).encode("latin-1"), b" HTTP/1.1\r\nHost: ", self._host]
        for name, value in headers:
            head.append(("\r\n%s: %s" % (name, value)).encode("latin-1", "replace"))
        if method == b"POST":
            head.append(b"\r\nContent-Length: %d" % len(body))
        head.append(b"\r\n\r\n")
        head = b"".join(head)
        try:
            return self._attempt(head, body)
        except OSError:
            # A connection may have died while nobody looked, and a function
            # may close descriptors that are not its own. A repeated post is
            # refused by its id, so once more does no harm.
            self._connect()
            try:
                return self._attempt(head, body)
            except OSError as cause:
                raise _Closed(str(cause)) from None

    def _attempt(self, head, body):
        if self._socket is None:
            self._connect()
        try:
            if len(body) <= _JOIN:
                self._socket.sendall(head + body)
            else:
                self._socket.sendall(head)
                self._socket.sendall(body)
        except OSError:
            if len(body) <= _JOIN:
                raise
            # The answer to a body that is too large comes before its end.
            answer = self._receive()
            self._drop()
            return answer
        return self._receive()

    def _connect(self):
        self._drop()
        try:
            connection = socket(self._family, SOCK_STREAM)
            connection.settimeout(None)  # whatever socket.setdefaulttimeout says
            connection.connect(self._peer)
            connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        except OSError as cause:
            raise Unreachable("connect to %s:%d: %s" % (self._peer + (cause,))) from None
        self._socket = connection

    def _drop(self):
        if self._socket is not None:
            try:
                self._socket.close()
            except OSError:
                pass  # the function closed it already
            self._socket = None

    def _more(self):
        data = self._socket.recv(65536)
        if not data:
            raise _Closed("connection closed by the Runtime API")
        return data

    def _receive(self):
        data = self._more()
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                data += self._more()
                continue
            status = int(data[9:12])
            if status >= 200:
                break
            data = data[end + 4:] or self._more()  # an interim answer
        headers = {}
        for line in data[:end].split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            headers[name.lower().decode("latin-1")] = _text(value.strip())
        body = self._body(headers, data[end + 4:])
        if headers.get("connection", "").lower() == "close":
            self._drop()
        return status, headers, body

    def _body(self, headers, data):
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks(data)
        size = int(headers.get("content-length", "0"))
        if len(data) >= size:
            return data[:size]
        body = bytearray(size)
        body[:len(data)] = data
        view = memoryview(body)
        have = len(data)
        while have < size:
            n = self._socket.recv_into(view[have:])
            if n == 0:
                raise _Closed("connection closed by the Runtime API")
            have += n
        view.release()
        return bytes(body)

    def _chunks(self, data):
        parts = []
        while True:
            end = data.find(b"\r\n")
            if end < 0:
                data += self._more()
                continue
            size = int(data[:end].partition(b";")[0], 16)
            data = data[end + 2:]
            while len(data) < size + 2:
                data += self._more()
            if size == 0:
                while data[:2] != b"\r\n" and not data.endswith(b"\r\n\r\n"):  # trailers
                    data += self._more()
                return b"".join(parts)
            parts.append(data[:size])
            data = data[size + 2:]


def _text(value):
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
