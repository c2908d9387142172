"""From a file's virtual address to source lines and inlined functions, by its DWARF.

Reading DWARF is a library's work. `symbolic` is used where it is installed (extra `symbols`): it turns the debug
information of a file into a compact table, once, and that table goes into our cache. Without it a kept-running
`addr2line` or `llvm-symbolizer` is asked. Without either there are symbols, but no lines.
"""

from __future__ import annotations

import io
import shutil
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from dtrace_profiler.symbols.child import LineChild

MAX_DEBUG_BYTES = 1 << 29
"""A file with more debug information than this is named by its symbols alone: reading it would take minutes."""


class Location(NamedTuple):
    function: str
    """Mangled as in the file; empty where not known."""
    file: str
    line: int
    """From 1; 0 where not known."""


class LineSource(Protocol):
    def lookup(self, address: int) -> list[Location]:
        """Innermost inlined function first, the function that holds the code last; empty where not known."""
        ...


def symbolic_version() -> str:
    """Of the installed `symbolic`; empty where it is not installed or does not load."""
    try:
        import_module("symbolic.symcache")
        from importlib.metadata import version

        return version("symbolic")
    except Exception:  # a wheel for another libc fails to load with OSError, an old one with what not
        return ""


class SymbolicLines:
    """Answers from a `symbolic` symcache. `dump` gives its bytes, `load` takes them back."""

    def __init__(self, cache: Any, load_address: int) -> None:
        self._cache = cache
        self.load_address = load_address

    @classmethod
    def from_object(cls, data: bytes, load_address: int) -> SymbolicLines | None:
        """None where the library finds nothing it can use. `data` is the whole file."""
        try:
            archive = import_module("symbolic.debuginfo").Archive.from_bytes(data)
            for item in archive.iter_objects():
                return cls(item.make_symcache(), load_address)
        except Exception:  # whatever a foreign parser makes of a broken file
            pass
        return None

    @classmethod
    def load(cls, data: bytes, load_address: int) -> SymbolicLines | None:
        try:
            cache = import_module("symbolic.symcache").SymCache.from_bytes(data)
            return cls(cache, load_address) if cache.is_latest_version else None
        except Exception:
            return None

    def dump(self) -> bytes:
        out = io.BytesIO()
        self._cache.dump_into(out)
        return out.getvalue()

    def lookup(self, address: int) -> list[Location]:
        relative = address - self.load_address
        if relative < 0:
            return []
        try:
            found = self._cache.lookup(relative)
        except Exception:
            return []
        # Without a file and a line it is only a symbol, and of those our own table knows where they end.
        if not found or not (found[-1].full_path or found[-1].line):
            return []
        return [Location(at.symbol or "", at.full_path or "", at.line or 0) for at in found]


class ChildLines:
    """Answers from `addr2line` or `llvm-symbolizer` (in its GNU style), one address at a time."""

    _END = b"0xffffffffffffffff"
    """Asked after each address: the answers begin with the address, so its echo ends the one before."""

    def __init__(self, child: LineChild) -> None:
        self._child = child

    @classmethod
    def for_file(cls, descriptor: int) -> ChildLines | None:
        """None where neither program is installed."""
        path = f"/proc/self/fd/{descriptor}"
        if program := shutil.which("addr2line"):
            command = [program, "-a", "-i", "-f", "-e", path]
        elif program := shutil.which("llvm-symbolizer"):
            command = [program, "--output-style=GNU", "-a", "-i", "-f=linkage", "--no-demangle", f"--obj={path}"]
        else:
            return None
        return cls(LineChild(command, pass_fds=[descriptor]))

    def close(self) -> None:
        self._child.close()

    def lookup(self, address: int) -> list[Location]:
        self._child.ask(b"0x%x\n%s" % (address, self._END))
        # What is left of the previous end mark's answer stands before our own address.
        while (line := self._child.read_line()) is not None and not _is_address(line, address):
            pass
        answer: list[bytes] = []
        while (line := self._child.read_line()) is not None and not _is_address(line, int(self._END, 16)):
            answer.append(line)
        if line is None:
            return []
        pairs = zip(answer[::2], answer[1::2], strict=False)
        out = [_location(function, place) for function, place in pairs]
        return out if out and (out[-1].file or out[-1].line) else []


def _is_address(line: bytes, address: int) -> bool:
    try:
        return line.startswith(b"0x") and int(line, 16) == address
    except ValueError:
        return False


def _location(function: bytes, place: bytes) -> Location:
    file, _, rest = place.decode("utf-8", "replace").rpartition(":")
    digits = rest.split(" ")[0]  # `12 (discriminator 3)`
    name = function.decode("utf-8", "replace")
    return Location(
        "" if name == "??" else name,
        "" if file == "??" else file,
        int(digits) if digits.isascii() and digits.isdigit() else 0,
    )
