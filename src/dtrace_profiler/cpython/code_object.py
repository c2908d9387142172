"""What stands in a frame of CPython's stack: a function's code, or one of the interpreter's own marks."""

from __future__ import annotations

from bisect import bisect_right

from dtrace_profiler.cpython.linetable import line_ranges


class CodeObject:
    """One function's code. Lines are decoded when they are first asked for."""

    __slots__ = ("_lines", "_starts", "_table", "copies", "filename", "first_line", "qualname", "size", "start")

    def __init__(
        self, qualname: str, filename: str, first_line: int, start: int, size: int, line_table: bytes
    ) -> None:
        self.qualname = qualname
        self.filename = filename
        self.first_line = first_line
        self.start = start
        """Address of the first instruction."""
        self.size = size
        """Bytes of instructions."""
        self.copies: tuple[int, ...] = ()
        """Where free-threaded builds keep threads' own copies of the instructions."""
        self._table = line_table
        self._starts: list[int] | None = None
        self._lines: list[int] = []

    def offset(self, instruction: int) -> int | None:
        """Bytes from the first instruction, also in a thread's copy; None outside.

        A frame that has not begun points two bytes before its code in 3.11 and 3.12; one that has just called
        something last, behind its code.
        """
        for start in (self.start, *self.copies):
            if -2 <= instruction - start <= self.size:
                return instruction - start
        return None

    def is_same(self, other: CodeObject) -> bool:
        return (self.qualname, self.filename, self.first_line) == (other.qualname, other.filename, other.first_line)

    def contains(self, instruction: int) -> bool:
        return self.offset(instruction) is not None

    def line(self, instruction: int) -> int:
        """The line of an instruction's address; the first line where the code has no location there."""
        offset = self.offset(instruction)
        if offset is None or not 0 <= offset < self.size:
            return self.first_line
        if self._starts is None:
            ranges = list(line_ranges(self._table, self.first_line))
            self._lines = [line for _, _, line in ranges]
            self._starts = [start for start, _, _ in ranges]
        index = bisect_right(self._starts, offset) - 1
        return (self._lines[index] if index >= 0 else 0) or self.first_line


class Entry:
    """Not a Python function: where a C evaluation loop begins (3.12 and later)."""


class Shim:
    """Not a Python function, and no evaluation loop: between a class and its `__init__` (3.13 and later)."""


ENTRY, SHIM = Entry(), Shim()
Found = CodeObject | Entry | Shim | None
"""None: gone, or not surely the one that was sampled."""


def is_from_string(found: CodeObject | Entry | Shim) -> bool:
    """Compiled by `exec` and the like, not loaded from a file: such code may be gone at any moment."""
    if not isinstance(found, CodeObject):
        return False
    return found.filename.startswith("<") and not found.filename.startswith("<frozen ")
