"""The life of the process, and of one invocation.

Load the handler; then ask for an event, call the handler, post what came of
it, and ask again. SystemExit and its like are not caught: a function that
ends its process has ended, and the platform says so to the caller.
"""

import os
import sys
from time import tzset

from . import compiled, forget, payload
from .context import LambdaContext
from .handler import Fault, load
from .output import Output, flush, unbuffer

_environ = os.environ
_generator = type(_ for _ in ())


class Settings:
    """The environment variables that matter here, as they were at the start."""

    def __init__(self, environ):
        self.handler = environ.get("_HANDLER", "")
        self.api = environ["AWS_LAMBDA_RUNTIME_API"]
        self.task_root = environ.get("LAMBDA_TASK_ROOT") or os.getcwd()
        self.runtime_dir = environ.get("LAMBDA_RUNTIME_DIR") or "/var/runtime"
        self.log_group_name = environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.version = _version(environ.get("AWS_EXECUTION_ENV", ""))


def _version(execution_env):
    """Return the requested version of Python, else the interpreter's own.

    The platform may serve python3.12 with another interpreter; what a result
    looks like follows the request.
    """
    _, found, version = execution_env.partition("_python")
    major, _, minor = version.partition(".")
    if found and major.isdigit() and minor.isdigit():
        return int(major), int(minor)
    return sys.version_info[:2]


class Current:
    """The running invocation, for log entries."""

    request_id = None
    tenant_id = None


def run():
    """Serve invocations until the process ends."""
    serve(_link())


def serve(link):
    """Serve the function that the environment names, by a link if not None."""
    keep = _environ.pop("_MILLICENT_SNAPSHOT", "")
    file = _environ.pop("_MILLICENT_COMPILED", "")
    settings = Settings(_environ)
    output = Output(_environ)
    current = Current()
    unbuffer()
    _lay_out_path(settings)
    _watch_logging(output, current)
    if file and link:
        compiled.install(file, settings.task_root)
    runtime = Runtime(settings, output, current, link)
    runtime.init()
    if compiled.refused:
        link.refuse()
    if keep:
        runtime.snapshot()
    while True:
        runtime.serve()


def _link():
    """Return the link to the platform, None if there is none. A stem has its
    assignment then, and is no different from a process that was started with
    it."""
    fd = _environ.pop("_MILLICENT_LINK_FD", "")
    stem = _environ.pop("_MILLICENT_STEM", "")
    if not fd.isdigit():
        return None
    from .link import Link

    restore = None
    if stem == "zygote":
        from .zygote import serve as fork

        restore = fork(3, 4)  # returns in children, which are stems
    link = Link(int(fd))
    if stem:
        restore = _rehearse(link, restore)
        become(link.assignment(restore))
    return link


def _rehearse(link, restore):
    trial = link.rehearsal()
    if trial is None:
        return restore
    from .warm import restorer, warm

    become(trial)
    warm(Settings({"AWS_LAMBDA_RUNTIME_API": ""}))
    return restore or restorer()


def become(assignment):
    """Make the process what an assignment says."""
    _environ.clear()
    for variable in assignment["environ"]:
        name, _, value = variable.partition("=")
        _environ[name] = value
    tzset()
    os.chdir(assignment["dir"])


class Runtime:
    """Serves one handler."""

    def __init__(self, settings, output, current, link):
        self._settings = settings
        self._output = output
        self._current = current
        self._api = link or _client(settings)
        self._encoder = payload.Encoder(ascii_only=settings.version < (3, 12))
        self._handler = None
        self._traced = False
        self._forked = False  # this process is a child that the function forked
        os.register_at_fork(after_in_child=self._fork)

    def _fork(self):
        self._forked = True

    def init(self):
        """Load the handler, or report why it can't be loaded and exit."""
        try:
            self._handler = load(self._settings.handler)
            return
        except Exception as error:
            kind, document = self._explain(error, "")
        flush()
        self._api.fail_init(kind, document)
        sys.exit(1)

    def snapshot(self):
        """Have the process kept as it is. Environments that start from it
        return, and so does the process itself, to wait for its end."""
        before = set(sys.modules), set(sys.path_importer_cache)
        from . import snapstart

        forget(*before)
        try:
            if snapstart.take(self._api, become) is None:
                return
        except (snapstart.snapshot.Refused, snapstart.snapshot.Unsupported) as error:
            kind = "Runtime.Snapshot" + type(error).__name__
            document = self._encoder.document({"errorMessage": str(error), "errorType": kind})
        except snapstart.Failed as failed:
            kind, error = failed.args
            document = self._explain(error, "")[1]
        else:
            for name in ("_LAMBDA_TELEMETRY_LOG_FD", "_MILLICENT_COMPILED"):  # as it was before
                _environ.pop(name, None)
            self._settings = Settings(_environ)
            self._forked = False
            return
        flush()
        self._api.fail_init(kind, document)
        sys.exit(1)

    def serve(self):
        """Wait for one invocation and settle it."""
        about, body = self._api.next()
        request_id = about.get("requestId", "")
        self._current.request_id = request_id
        self._current.tenant_id = about.get("tenantId")
        trace_id = about.get("traceId")
        if trace_id or self._traced:
            self._traced = bool(trace_id)
            _trace(trace_id)
        try:
            result, content_type = self._call(about, body)
        except Exception as error:
            if self._forked:
                raise
            kind, document = self._explain(error, request_id)
            flush()
            self._api.fail(request_id, kind, document)
            return
        if content_type is None:
            from . import stream

            stream.respond(self._api, request_id, result, self._encoder, self._explain)
            return
        flush()
        if self._forked:
            os._exit(0)  # a child that a handler forked and forgot
        self._api.respond(request_id, result, content_type)

    def _call(self, about, body):
        try:
            context = LambdaContext(self._settings, about, self._output.write)
        except ValueError as cause:
            raise Fault(
                "Runtime.LambdaContextUnmarshalError", "Unable to parse Client Context JSON: %s" % cause
            ) from None
        try:
            event = payload.decode(body)
        except Exception as cause:
            raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % cause) from None
        result = self._handler(event, context)
        if type(result) is _generator:
            return result, None
        try:
            return self._encoder.encode(result)
        except Exception as cause:
            raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % cause) from None

    def _explain(self, error, request_id):
        """Log an error; return its type and its document for the caller."""
        from . import errors

        if self._settings.version < (3, 9):
            request_id = None
        document = errors.describe(error, request_id)
        errors.log(document, self._output, self._encoder)
        return errors.header(document["errorType"]), self._encoder.document(document)


def _client(settings):
    from .api import Client

    return Client(settings.api)


def _trace(trace_id):
    """Give the function the trace header of its invocation, or none."""
    if trace_id:
        _environ["_X_AMZN_TRACE_ID"] = trace_id
    else:
        _environ.pop("_X_AMZN_TRACE_ID", None)


def _lay_out_path(settings):
    """Order sys.path: the function, its layers, the runtime, the library."""
    own = os.path.dirname(os.path.dirname(__file__))
    first = [
        settings.task_root,
        "/opt/python/lib/python%d.%d/site-packages" % settings.version,
        "/opt/python",
        settings.runtime_dir,
    ]
    sys.path[:] = first + [p for p in sys.path if p not in first and p != own]


class _Watch:
    """Configures logging as soon as somebody imports it."""

    def __init__(self, configure):
        self._configure = configure

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        from . import loghandler

        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        spec = loghandler.find(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = loghandler.loader(spec.loader, self._configure)
        return spec


def _watch_logging(output, current):
    def configure(logging):
        from . import loghandler

        loghandler.build(logging, output, current)

    if "logging" in sys.modules:
        configure(sys.modules["logging"])
    else:
        sys.meta_path.insert(0, _Watch(configure))
