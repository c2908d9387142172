"""The CPU time of single threads of this process, one system a file.

Each file is loaded by path into programs that we sample, so it imports only the standard library and keeps to the
syntax of Python 3.8. It has one function, `open_clocks()`, which answers None where the system can't do it, else
an object with

- `current(threads)`: thread identifier (`threading.get_ident()`) → clock, of the threads that run Python at this
  moment. `threads` gives their identifiers, to one call of C code: until that returns, none of them ends;
- `read(clock)`: CPU time so far in ns; `OSError` when the thread has ended;
- `native_id(clock)`: the thread's `threading.get_native_id()`.
"""

from __future__ import annotations

from pathlib import Path

_FILES = {
    "linux": "linux",
    "macos": "macos",
    "freebsd": "freebsd",
    "netbsd": "freebsd",
    "illumos": "illumos",
    "windows": "windows",
}


def clock_source(system: str) -> Path | None:
    """The file for a system as `platforms.base.system` names it; None where we know no way."""
    name = _FILES.get(system)
    return None if name is None else Path(__file__).with_name(name + ".py")
