"""From "package/module.function" to the function."""

import sys
from importlib import import_module


class Fault(Exception):
    """A failure with a type and a message of the protocol's own."""

    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.kind = kind
        self.trace = list(trace)


def load(name):
    """Import the module of a handler's name and return the handler.

    Raise Fault for a name, a module or a function that is not there; whatever
    else the module raises passes through.
    """
    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as cause:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (name, cause)) from None
    path = module_name.replace("/", ".")
    if path in sys.builtin_module_names:
        raise Fault(
            "Runtime.BuiltInModuleConflict",
            "Cannot use built-in module %s as a handler module" % path,
        )
    try:
        module = import_module(path)
    except ImportError as cause:
        raise Fault(
            "Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, cause)
        ) from None
    except SyntaxError as cause:
        raise Fault(
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module '%s': %s" % (module_name, cause),
            ['  File "%s" Line %s\n    %s' % (cause.filename, cause.lineno, cause.text)],
        ) from None
    try:
        return getattr(module, function_name)
    except AttributeError:
        raise Fault(
            "Runtime.HandlerNotFound",
            "Handler '%s' missing on module '%s'" % (function_name, module_name),
        ) from None
