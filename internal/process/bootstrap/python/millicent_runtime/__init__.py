"""The Python side of the Runtime API: loads a handler and serves invocations.

loop        the life of the process, and of one invocation
link        the platform by pipes of its own
api         the Runtime API over one keep-alive connection, where there is no link
compiled    code of the function that was compiled when it was deployed
handler     from "package/module.function" to the function
context     the handler's second argument
payload     events in, results out
stream      results that come in parts; loaded when needed
output      standard output and the log channel
errors      what went wrong, as a document and as a log entry; loaded when needed
warm        what a stem does beforehand; loaded there alone
zygote      what stems are forked from; loaded there alone
orphan      how it forks them
snapstart   from an initialised function to its environments; loaded there alone
snapshot    takes what restore gives back, by the calls of machine
loghandler  the root logger's handler; loaded when the function loads logging

Start-up time is the caller's waiting time, so a module that many functions
never need (logging, socket, traceback) is not imported before they need it.
What is needed later is held by reference, since a function may replace
anything in the modules that it shares with this package.
"""


import sys


def forget(modules, paths):
    """Leave nothing in sight of what was loaded beyond those names of modules
    and those paths."""
    package = sys.modules[__name__]
    for name in set(sys.modules) - modules:
        del sys.modules[name]
        if name.startswith(__name__ + ".") and hasattr(package, name.rpartition(".")[2]):
            delattr(package, name.rpartition(".")[2])
    for path in set(sys.path_importer_cache) - paths:
        del sys.path_importer_cache[path]


class Unreachable(Exception):
    """The platform is gone; there is nothing left to serve."""
