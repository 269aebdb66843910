"""Compiles the Python files of a package, without running any of them.

    compile.py ROOT MOST

writes what millicent_runtime/compiled.py reads to standard output, with at
most about MOST bytes of code, and nothing if there is nothing to be compiled.
Left out is what doesn't compile, and what the package has a compiled file for.
"""

import os
import sys
import warnings
from importlib.util import cache_from_source
from marshal import dumps

from millicent_runtime.compiled import VERSION

_MOST_SOURCE = 4 << 20  # bytes of one file


def sources(root):
    """Return the paths of Python files below root, the upper ones first."""
    found = []
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in files:
            path = os.path.join(folder, name)
            if name.endswith(".py") and not os.path.islink(path) and not os.path.exists(cache_from_source(path)):
                found.append(path)
    return sorted(found, key=lambda path: (path.count(os.sep), path))


def compiled(path):
    """Return a file's code object as bytes, None if there is none."""
    try:
        with open(path, "rb") as file:
            source = file.read(_MOST_SOURCE + 1)
        if len(source) > _MOST_SOURCE:
            return None
        return dumps(compile(source, path, "exec", dont_inherit=True))
    except Exception:  # whoever imports it is told
        return None


def main(root, most):
    warnings.simplefilter("ignore")
    index, parts, size = {}, [], 0
    for path in sources(root):
        code = compiled(path)
        if code is None:
            continue
        if size + len(code) > most:
            break
        index[path[len(root) + 1:]] = (size, len(code))
        parts.append(code)
        size += len(code)
    if not parts:
        return
    head = dumps(index)
    out = sys.stdout.buffer
    out.write(VERSION + len(head).to_bytes(4, "little") + head)
    for code in parts:
        out.write(code)
    out.flush()


main(sys.argv[1], int(sys.argv[2]))
