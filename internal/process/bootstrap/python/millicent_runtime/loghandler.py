"""The root logger's handler, in the text and the JSON format.

install puts it in place when the function imports logging, and not before:
most of logging's cost is its own imports.
"""

import sys

from . import output as levels

_TEXT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"


def build(logging, output, current):
    """Configure logging's root: its handler, its format, its level.

    current has the request_id and the tenant_id of the running invocation.
    """
    from json import dumps
    from time import gmtime

    blank = set(vars(logging.LogRecord("", 0, "", 0, "", (), None)))
    known = blank | {"message", "asctime", "aws_request_id", "tenant_id", "taskName"}

    class Request(logging.Filter):
        def filter(self, record):
            record.aws_request_id = current.request_id or ""
            record.tenant_id = current.tenant_id
            return True

    class JsonFormatter(logging.Formatter):
        converter = staticmethod(gmtime)

        def format(self, record):
            entry = {
                "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
                "level": record.levelname,
                "message": record.getMessage(),
                "logger": record.name,
                **self._failure(record.exc_info),
                "requestId": current.request_id or None,
                "location": self._location(record),
                "tenantId": current.tenant_id,
            }
            for name, value in vars(record).items():
                if name not in known:
                    entry.setdefault(name, value)
            entry = {name: value for name, value in entry.items() if value is not None}
            return dumps(entry, ensure_ascii=False, default=str)

        def _failure(self, exc_info):
            if not exc_info or exc_info[0] is None:
                return {}
            from traceback import format_tb

            return {
                "stackTrace": format_tb(exc_info[2]),
                "errorType": exc_info[0].__name__,
                "errorMessage": str(exc_info[1]),
            }

        def _location(self, record):
            if not record.exc_info or record.exc_info[0] is None:
                return None
            return "%s:%s:%s" % (record.pathname, record.funcName, record.lineno)

    class LambdaLoggerHandler(logging.Handler):
        def emit(self, record):
            try:
                kind = levels.JSON if output.json else levels.TEXT
                output.write(self.format(record), _level(record.levelno), kind)
            except Exception:
                self.handleError(record)

    if output.json:
        formatter = JsonFormatter()
    else:
        formatter = logging.Formatter(_TEXT, "%Y-%m-%dT%H:%M:%S")
        formatter.converter = gmtime
    handler = LambdaLoggerHandler()
    handler.setFormatter(formatter)
    handler.addFilter(Request())
    logging.root.addHandler(handler)
    if output.json and output.level in _LEVELS:
        logging.root.setLevel(_LEVELS[output.level])


_LEVELS = {"TRACE": 5, "DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40, "FATAL": 50}


def _level(number):
    for bound, level in (
        (50, levels.FATAL), (40, levels.ERROR), (30, levels.WARN), (20, levels.INFO), (10, levels.DEBUG),
    ):
        if number >= bound:
            return level
    return levels.TRACE


def loader(real, configure):
    """Return a loader that does what real does, then configures the module."""

    class Loader:
        def create_module(self, spec):
            return real.create_module(spec)

        def exec_module(self, module):
            module.__loader__ = module.__spec__.loader = real
            real.exec_module(module)
            configure(module)

        def __getattr__(self, name):
            return getattr(real, name)

    return Loader()


def find(name, path, target):
    """Find a module's spec by the finders of sys.meta_path."""
    for finder in sys.meta_path:
        spec = finder.find_spec(name, path, target)
        if spec is not None:
            return spec
    return None
