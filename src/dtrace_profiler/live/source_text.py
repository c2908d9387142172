"""The text of a source file that is in a profile, for the page that shows where in it the time went.

Who opens the page has the rights of who started the profiler; the names of files come from the profiled program. So
only regular files with a source file's name are read, and never more than `MAX_BYTES`.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

MAX_BYTES = 4 << 20
_SUFFIXES = frozenset(
    ".c .cc .cpp .cs .cxx .d .ex .exs .f .f90 .go .h .hh .hpp .hs .hxx .inc .java .jl .js .jsx .kt .lua .m .mjs .ml"
    " .mm .nim .php .pl .pxd .pxi .py .pyi .pyx .r .rb .rs .s .scala .swift .ts .tsx .vala .zig".split()
)


@dataclass(frozen=True, slots=True)
class SourceText:
    lines: list[str]
    changed: bool
    """Since `since_ns`: the lines may not be those that ran."""


class NoSource(Exception):
    """Says in one sentence why there is no text."""


def read_source(path: str, since_ns: int) -> SourceText:
    """Raises `NoSource`. `since_ns`: UNIX epoch, when the profile began; 0 not known."""
    if not os.path.isabs(path) or os.path.splitext(path)[1].lower() not in _SUFFIXES:
        raise NoSource("This is no source file that could be shown.")
    try:
        # Not to wait for a pipe that has such a name.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise NoSource("This is no source file that could be shown.")
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it has no valid name"
        raise NoSource(f"The file can't be read here: {reason}.") from error
    if len(data) > MAX_BYTES:
        raise NoSource(f"The file is larger than {MAX_BYTES >> 20} MB.")
    if b"\0" in data:
        raise NoSource("The file holds no text.")
    lines = data.decode("utf-8", "replace").splitlines()
    return SourceText(lines, bool(since_ns) and facts.st_mtime_ns > since_ns)
