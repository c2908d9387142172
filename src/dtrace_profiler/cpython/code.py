"""Code objects of a process, read from its memory while it runs: names, files, lines.

An address can come to mean another function: its code object was freed, another one took its place. A name is given
only where that can't have happened unseen, else the frame is unknown, and counted:

- 3.14 and later count freed code objects. The D program reads the count with each stack; where the count is still
  the same after we have read the object, it is the one that was sampled.
- Otherwise the object must be the same, field by field and by its name's text, as when it was read before; the
  first time it is seen, the sampled instruction must lie inside of it.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Sequence

from dtrace_profiler.cpython.layout import Layout
from dtrace_profiler.cpython.linetable import line_ranges
from dtrace_profiler.cpython.memory import Memory, MemoryReadError, word

_MAX_STRING = 1 << 14
_MAX_TABLE_BYTES = 1 << 22
_MAX_CACHED = 1 << 16
_TRAMPOLINE = "<interpreter trampoline>"


class CodeObject:
    """One function's code. Lines are decoded when they are first asked for."""

    __slots__ = ("_lines", "_starts", "_table", "filename", "first_line", "qualname", "size", "start")

    def __init__(
        self, qualname: str, filename: str, first_line: int, start: int, size: int, line_table: bytes
    ) -> None:
        self.qualname = qualname
        self.filename = filename
        self.first_line = first_line
        self.start = start
        self.size = size
        self._table = line_table
        self._starts: list[int] | None = None
        self._lines: list[int] = []

    def contains(self, instruction: int) -> bool:
        """A frame that has not begun points two bytes before its code in 3.11 and 3.12."""
        return self.start - 2 <= instruction <= self.start + self.size

    def line(self, instruction: int) -> int:
        """The line of an instruction's address; the first line where the code has no location there."""
        if self._starts is None:
            ranges = list(line_ranges(self._table, self.first_line))
            self._starts = [start for start, _, _ in ranges]
            self._lines = [line for _, _, line in ranges]
        offset = instruction - self.start
        if not 0 <= offset < self.size or not self._starts:
            return self.first_line
        return self._lines[bisect_right(self._starts, offset) - 1] or self.first_line


class Entry:
    """Not a Python function: where a C evaluation loop begins (3.12 and later)."""


ENTRY = Entry()
Found = CodeObject | Entry | None
"""None: gone, or not surely the one that was sampled."""


class _NotCode(Exception):
    pass


class CodeReader:
    """Reads and remembers the code objects of one process."""

    def __init__(self, layout: Layout, memory: Memory) -> None:
        self._layout = layout
        self._memory = memory
        self._offsets = layout.offsets
        self._tag = 3 if layout.minor >= 14 else 0
        """Low bits of a _PyStackRef say how the object is counted."""
        self._code_type = 0
        self._none = 0
        self._known: dict[int, tuple[bytes, CodeObject]] = {}
        self._known_generation = -1

    def generation(self) -> int:
        """The count of freed code objects; 0 before 3.14, or where it can't be read."""
        address = self._layout.generation_address
        try:
            return word(self._memory, address) if address else 0
        except MemoryReadError:
            return 0

    def read(self, frames: Sequence[tuple[int, int]], generation: int) -> list[Found]:
        """What each (code object, instruction) of a stack is. `generation`: the count when it was sampled, or 0."""
        found: list[tuple[Found, bool]] = []
        before = self.generation()
        for address, instruction in frames:
            found.append(self._read_one(address & ~self._tag, instruction, before))
        counted = self._layout.generation_address != 0
        unchanged = counted and generation == before == self.generation()
        if unchanged:
            self._known_generation = generation
        return [item if unchanged or sure or not counted else None for item, sure in found]

    def _read_one(self, address: int, instruction: int, generation: int) -> tuple[Found, bool]:
        """(object, whether it is the same as when it was read before)."""
        known = self._known.get(address)
        if known is not None and generation and generation == self._known_generation:
            return (known[1], True) if known[1].contains(instruction) else (None, False)
        try:
            head = self._head(address)
            if head is None:
                return ENTRY, True
            if known is not None and known[0] == head + self._name_text(head):
                code, sure = known[1], True
            else:
                code, sure = self._code(address, head), False
                if len(self._known) >= _MAX_CACHED:
                    self._known.clear()
                self._known[address] = (head + self._name_text(head), code)
        except (MemoryReadError, _NotCode, struct.error):
            self._known.pop(address, None)
            return None, False
        if code.qualname == _TRAMPOLINE:
            return ENTRY, True
        return (code, sure) if self._holds(code, instruction) else (None, False)

    def _holds(self, code: CodeObject, instruction: int) -> bool:
        # A free-threaded build may run a thread's own copy of the instructions, which lies elsewhere.
        return self._layout.free_threaded or code.contains(instruction)

    def _head(self, address: int) -> bytes | None:
        """The object up to its instructions; None for an entry frame's None."""
        offsets = self._offsets
        head = self._memory.read(address, offsets["ob.type"] + 8)
        kind = struct.unpack_from("<Q", head, offsets["ob.type"])[0]
        if kind != self._code_type:
            if address == self._none:
                return None
            name = self._memory.read(word(self._memory, kind + offsets["type.name"]), 9)
            if name == b"NoneType\0":
                self._none = address
                return None
            if name[:5] != b"code\0":
                raise _NotCode
            self._code_type = kind
        head = self._memory.read(address, offsets["co.code_adaptive"])
        # The parts that change while it runs (reference count, counters) are not what it is.
        fields = ("co.filename", "co.qualname", "co.linetable")
        parts = [head[offsets[name] : offsets[name] + 8] for name in fields]
        at = offsets["co.firstlineno"]
        size_at = offsets["bytes.ob_size"]
        return b"".join((*parts, head[at : at + 4], head[size_at : size_at + 8]))

    def _name_text(self, head: bytes) -> bytes:
        """The first bytes of the qualified name as they lie in memory."""
        address = struct.unpack_from("<Q", head, 8)[0]
        try:
            return self._memory.read(address + self._offsets["uni.length"], 72)
        except MemoryReadError:
            return b""

    def _code(self, address: int, head: bytes) -> CodeObject:
        filename, qualname, table = struct.unpack_from("<QQQ", head)
        first_line, units = struct.unpack_from("<iq", head, 24)
        if not 0 < units < 1 << 24 or first_line < 0:
            raise _NotCode
        size_at, data_at = self._offsets["bytes.ob_size"], self._offsets["bytes.sval"]
        length = word(self._memory, table + size_at)
        if length > _MAX_TABLE_BYTES:
            raise _NotCode
        return CodeObject(
            self._string(qualname),
            self._string(filename),
            first_line,
            address + self._offsets["co.code_adaptive"],
            2 * units,
            self._memory.read(table + data_at, length) if length else b"",
        )

    def _string(self, address: int) -> str:
        """A compact str: ASCII, or 1, 2 or 4 bytes a character."""
        offsets = self._offsets
        head = self._memory.read(address, offsets["uni.state"] + 4)
        length = struct.unpack_from("<q", head, offsets["uni.length"])[0]
        state = struct.unpack_from("<I", head, offsets["uni.state"])[0]
        # interned:2 kind:3 compact:1 ascii:1 from the low bit; interned is a byte in free-threaded builds from 3.14.
        shift = 8 if self._layout.free_threaded and self._layout.minor >= 14 else 2
        kind, compact, ascii_only = state >> shift & 7, state >> shift + 3 & 1, state >> shift + 4 & 1
        if not compact or kind not in (1, 2, 4) or not 0 <= length <= _MAX_STRING:
            raise _NotCode
        start = address + offsets["uni.ascii_size"] + (0 if ascii_only else 16)
        raw = self._memory.read(start, length * kind) if length else b""
        return raw.decode({1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[kind], "replace")
