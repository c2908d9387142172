"""File name of a code object → dotted module name, as `__name__` would be."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

_MAX_MEMO = 1 << 16
_LIBRARY = re.compile(r"/(?:site-packages|dist-packages|lib/python3(?:\.\d+t?)?(?:/lib-dynload)?|lib/pypy3[^/]*)/")
_NOTEBOOK = re.compile(r"/ipykernel_\d+/\d+\.py$|^<ipython-input-")


class ModuleNames:
    """`root`: where the process's file system is seen from here (`/proc/PID/root`). `command`: its argument list.

    A name comes from the file: below site-packages or the standard library by its path, elsewhere by the chain of
    `__init__.py` above it. The script itself is `__main__`; `<string>` and the like stay as they are.
    """

    def __init__(self, command: Sequence[str] = (), *, root: str = "", directory: str = "") -> None:
        self._root = root
        self._memo: dict[str, str] = {}
        for argument in command[1:]:
            if argument.endswith((".py", ".pyw")) or os.sep in argument:
                script = os.path.normpath(os.path.join(directory or os.sep, argument))
                self._memo[script] = self._memo[argument] = "__main__"
                break

    def name(self, filename: str) -> str:
        known = self._memo.get(filename)
        if known is None:
            if len(self._memo) >= _MAX_MEMO:
                self._memo.clear()
            known = self._memo[filename] = self._find(filename)
        return known

    def _find(self, filename: str) -> str:
        if filename.startswith("<frozen ") and filename.endswith(">"):
            return filename[len("<frozen ") : -1]
        if _NOTEBOOK.search(filename):
            return "__main__"
        if filename.startswith("<") or not filename:
            return filename or "<unknown>"
        path = filename.replace("\\", "/")
        stem = path.removesuffix(".py").removesuffix(".pyc")
        libraries = list(_LIBRARY.finditer(stem))
        if libraries:
            return _dotted(stem[libraries[-1].end() :])
        archive = re.search(r"\.(?:zip|pyz|egg|whl)/", stem)
        if archive:
            return _dotted(stem[archive.end() :])
        parts = stem.split("/")
        first = len(parts) - 1
        while first > 1 and self._is_package("/".join(parts[:first])):
            first -= 1
        return _dotted("/".join(parts[first:]))

    def _is_package(self, folder: str) -> bool:
        return os.path.exists(f"{self._root}{folder}/__init__.py")


def _dotted(path: str) -> str:
    return path.strip("/").removesuffix("/__init__").replace("/", ".") or "<unknown>"
