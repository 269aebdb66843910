"""Code of the function that was compiled when it was deployed.

compile.py wrote it to one file: the interpreter's version, four bytes of
length, so much of an index, the code objects. The index says by path below
the function's root where a code object is; both are in the marshal format.
Only modules that are in the index are loaded in another way than without it,
and only how their code object comes about is another way.
"""

import os
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES, EXTENSION_SUFFIXES, SOURCE_SUFFIXES,
    ExtensionFileLoader, FileFinder, SourceFileLoader, SourcelessFileLoader,
)
from marshal import loads

VERSION = sys.hexversion.to_bytes(4, "little")

_open, _pread, _close = os.open, os.pread, os.close


class _Loader(SourceFileLoader):
    """Loads a module whose code object is at hand."""

    def get_code(self, fullname):
        try:
            return _installed.code(self.path)
        except Exception:
            _refuse()
        return super().get_code(fullname)


class _Compiled:
    """What is in a file of compiled code."""

    def __init__(self, file, root):
        self._file = file
        self._root = root + os.sep
        head = self._read(8, 0)
        if head[:4] != VERSION:
            raise ValueError("compiled by another interpreter")
        size = int.from_bytes(head[4:], "little")
        self._start = 8 + size
        self._index = loads(self._read(size, 8))

    def has(self, path):
        return path.startswith(self._root) and path[len(self._root):] in self._index

    def code(self, path):
        offset, size = self._index[path[len(self._root):]]
        return loads(self._read(size, self._start + offset))

    def _read(self, size, offset):
        fd = _open(self._file, os.O_RDONLY | os.O_CLOEXEC)  # each time: a function may close what it has not opened
        try:
            return _pread(fd, size, offset)
        finally:
            _close(fd)

    def hook(self, path):
        """Find modules in a directory of the function's."""
        if not (path + os.sep).startswith(self._root):
            raise ImportError("not the function's", path=path)
        return self._find(path)

    def install(self):
        def loader(fullname, path):
            return (_Loader if self.has(path) else SourceFileLoader)(fullname, path)

        self._find = FileFinder.path_hook(  # in the interpreter's order
            (ExtensionFileLoader, EXTENSION_SUFFIXES), (loader, SOURCE_SUFFIXES), (SourcelessFileLoader, BYTECODE_SUFFIXES)
        )
        sys.path_hooks.insert(0, self.hook)
        for path in [path for path in sys.path_importer_cache if (path + os.sep).startswith(self._root)]:
            del sys.path_importer_cache[path]


_installed = None
refused = False  # the file is of no use, or not all of it


def _refuse():
    global refused
    refused = True


def install(file, root):
    """Have modules below root loaded from a file of compiled code."""
    global _installed
    if sys.flags.optimize:
        return
    try:
        _installed = _Compiled(file, os.path.realpath(root))
    except Exception:
        _refuse()
        return
    _installed.install()
