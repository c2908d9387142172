"""Code objects of a process, read from its memory while it runs: names, files, lines.

An address can come to mean another function: its code object was freed, another one took its place. A name is given
only where that can't have happened unseen, else the frame is unknown, and counted. How that is known: see
`cpython.identity`. CPython 3.11 has no count to tell by; there an object must look alive, the sampled instruction
must lie inside of it, and at an address that was seen to be reused only what was there for a while is believed, as
is code compiled from strings in a program that was seen to throw such code away.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from dtrace_profiler.cpython.code_object import ENTRY, SHIM, CodeObject, Entry, Found, Shim, is_from_string
from dtrace_profiler.cpython.inherited_code import InheritedCode
from dtrace_profiler.cpython.layout import Layout
from dtrace_profiler.cpython.memory import Memory, MemoryReadError, word
from dtrace_profiler.cpython.objects import NotThatObject, Objects
from dtrace_profiler.record.parse import CodeName
from dtrace_profiler.record.python_walk import NAME_BYTES

_MAX_CACHED = 1 << 16
_MAX_COPIES = 1 << 10
_SAMPLE_AGE_S = 0.25
"""A stack is printed, at the latest, this long after it was sampled: dtrace's buffers are read every 50 ms."""
_REUSE_S = 5.0
"""For how long an address that was seen to be reused is distrusted."""


class _Head(NamedTuple):
    """What a code object is, without what changes while it runs."""

    version: int
    filename: int
    qualname: int
    line_table: int
    first_line: int
    units: int
    immortal: bool
    """Part of CPython itself, never freed."""
    alive: bool
    """Something refers to it: its strings are its own."""

    @property
    def identity(self) -> tuple[int, ...]:
        return self[:6]


class _Known(NamedTuple):
    head: _Head
    name: str
    """Where there is no version, it tells a reused address; else empty."""
    found: CodeObject | Entry | Shim
    until: int
    """It was at its address until the count of versions was this."""
    since: float
    """When it was first seen there."""


class CodeReader:
    """Reads and remembers the code objects of one process. Not thread-safe."""

    def __init__(self, layout: Layout, memory: Memory, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._layout = layout
        self._memory = memory
        self._clock = clock
        self._offsets = layout.offsets
        self._objects = Objects(memory, layout.offsets, layout.minor)
        self._counter = layout.counter
        self._tag = 3 if layout.minor >= 14 else 0
        """Low bits of a _PyStackRef say how the object is counted."""
        self._code_type = layout.code_type
        self._none = layout.none
        self._known: dict[int, _Known] = {}
        self._by_name: dict[tuple[object, ...], CodeObject] = {}
        self._reused: dict[int, float] = {}
        """Addresses that were seen to be reused, and when last."""
        self._strings_reused = float("-inf")
        """When code that was compiled from a string was last seen to be gone."""

    def generation(self) -> int:
        """The count that tells code objects apart, as it is now (see `cpython.identity`); 0 where there is none."""
        address = self._layout.generation_address
        try:
            return word(self._memory, address) & self._counter.mask if address else 0
        except MemoryReadError:
            return 0

    def read(
        self,
        frames: Sequence[tuple[int, int]],
        generation: int,
        *,
        whole: bool = False,
        names: Mapping[int, CodeName] = MappingProxyType({}),
    ) -> list[Found]:
        """What each (code object, instruction) of a stack is, leaf first.

        `generation`: the count when it was sampled. `whole`: the last frame is the first that its thread has.
        `names`: by index, what was read as the sample was taken.
        """
        sampled = generation & self._counter.mask
        if len(self._known) > _MAX_CACHED:
            self._known.clear()
            self._reused.clear()
        if self._counter.kind == "versions" and sampled and not self._has_several_counts():
            count = self.generation()
            return [
                self._read_version(word & ~self._tag, at, sampled, count) or self._named(names.get(index))
                for index, (word, at) in enumerate(frames)
            ]
        now = self._clock()
        root = len(frames) - 1 if whole else -1
        found = [
            self._read_likely(word & ~self._tag, at, now, is_root=index == root, name=self._named(names.get(index)))
            for index, (word, at) in enumerate(frames)
        ]
        if self._counter.kind == "freed":
            unchanged = sampled == self.generation()
            return [item if unchanged or sure else None for item, sure in found]
        return [item for item, _ in found]

    def inherited(self) -> InheritedCode:
        """What a process that is forked from this one now has where this one has it."""
        return InheritedCode({address: known.found for address, known in self._known.items()}, self._tag, self._named)

    def _has_several_counts(self) -> bool:
        """From 3.13 on each interpreter has its own count, and the one that comes with a stack is the main one's."""
        if self._layout.minor == 12:
            return False
        try:
            newest = word(self._memory, self._layout.runtime + self._offsets["rt.interp_head"])
        except MemoryReadError:
            return False
        return newest != self._layout.interpreter

    # With a count of versions: certain.

    def _read_version(self, address: int, instruction: int, sampled: int, now: int) -> Found:
        """`now`: the count before this reading."""
        if address == self._none:
            return ENTRY
        known = self._known.get(address)
        if known is not None and known.head.version < sampled <= known.until:
            return self._holding(address, known.found, instruction)
        try:
            head = self._head(address)
            if head is None:
                return ENTRY
            if head.version >= sampled:
                return None  # it was made after the sample was taken
            if known is None or known.head.identity != head.identity:
                found = self._code(address, head)
                if not head.version and not head.immortal:
                    return None  # the count has overflowed
                known = _Known(head, "", found, now, 0.0)
            self._known[address] = known._replace(until=now)
        except (MemoryReadError, NotThatObject, struct.error):
            return None
        return self._holding(address, known.found, instruction)

    # Without: as far as can be told.

    def _read_likely(
        self, address: int, instruction: int, now: float, *, is_root: bool = False, name: CodeObject | None = None
    ) -> tuple[Found, bool]:
        """(object, whether it has been there since well before the sample was taken).

        `name`: what is known to have been there then.
        """
        if name is not None:
            found = self._read_likely(address, instruction, now)[0]
            known = self._known.get(address)
            if found is None and known is not None and isinstance(known.found, CodeObject):
                found = self._holding(address, known.found, instruction)
            return (found if isinstance(found, CodeObject) and found.is_same(name) else name), True
        if address == self._none:
            return ENTRY, True
        known = self._known.get(address)
        try:
            head = self._head(address)
            if head is None:
                return ENTRY, True
            qualname = self._objects.string(head.qualname)
            if known is None or (known.head.identity, known.name) != (head.identity, qualname):
                self._forget(address, now)
                known = self._known[address] = _Known(head, qualname, self._code(address, head), 0, now)
        except (MemoryReadError, NotThatObject, struct.error):
            self._forget(address, now)
            return None, False
        if not isinstance(known.found, CodeObject):
            return known.found, True
        sure = now - known.since > _SAMPLE_AGE_S
        reused = self._reused.get(address, float("-inf"))
        if is_from_string(known.found):
            reused = max(reused, self._strings_reused)
        # The program's own module is, in a script's first moments, the youngest code at a place that others had. But
        # those were imported: no module but the program's is the first frame of a thread.
        is_program = is_root and known.found.qualname == "<module>"
        if not sure and not is_program and now - reused < _REUSE_S:
            return None, False
        found = self._holding(address, known.found, instruction)
        return found, sure and found is not None

    def _forget(self, address: int, now: float) -> None:
        known = self._known.pop(address, None)
        if known is not None:
            self._reused[address] = now
            if is_from_string(known.found):
                self._strings_reused = now

    # By its name alone.

    def _named(self, name: CodeName | None) -> CodeObject | None:
        """A code object of which nothing but this is known: no lines but its first. Only for names in ASCII."""
        if name is None or max(len(name.qualname), len(name.filename)) >= NAME_BYTES - 1:
            return None
        if not self._objects.is_ascii(name.qualname_state) or not self._objects.is_ascii(name.filename_state):
            return None
        key = name[2:]
        found = self._by_name.get(key)
        if found is None:
            if len(self._by_name) > _MAX_CACHED:
                self._by_name.clear()
            qualname, filename = (text.decode("ascii", "replace") for text in (name.qualname, name.filename))
            found = self._by_name[key] = CodeObject(qualname, filename, name.first_line, 0, 0, b"")
        return found

    # Reading.

    def _holding(self, address: int, found: CodeObject | Entry | Shim, instruction: int) -> Found:
        """The code if the instruction is one of its own."""
        if not isinstance(found, CodeObject) or found.contains(instruction):
            return found
        if self._offsets.get("co.tlbc"):
            found.copies = self._copies(address)
            if found.contains(instruction):
                return found
        return None

    def _copies(self, address: int) -> tuple[int, ...]:
        """Of a free-threaded build's thread-local bytecode: a count and as many addresses."""
        try:
            array = word(self._memory, address + self._offsets["co.tlbc"])
            count = word(self._memory, array)
            if not array or count > _MAX_COPIES:
                return ()
            return struct.unpack(f"<{count}Q", self._memory.read(array + 8, 8 * count))
        except MemoryReadError:
            return ()

    def _head(self, address: int) -> _Head | None:
        """None for None; `NotThatObject` for what is neither None nor code."""
        offsets = self._offsets
        try:
            data = self._memory.read(address, offsets["co.code_adaptive"])
        except MemoryReadError:
            # None is shorter than code, and may lie at the end of what is readable.
            data = self._memory.read(address, offsets["ob.type"] + 8)
        kind = struct.unpack_from("<Q", data, offsets["ob.type"])[0]
        if kind != self._code_type:
            name = self._objects.type_name(kind)
            if name == b"NoneType":
                self._none = address
                return None
            if self._code_type or name != b"code":
                raise NotThatObject(f"no code object at {address:#x}")
            self._code_type = kind
        version_at = offsets["co.version"]
        (units,) = struct.unpack_from("<q", data, offsets["bytes.ob_size"])
        (first_line,) = struct.unpack_from("<i", data, offsets["co.firstlineno"])
        if not 0 < units < 1 << 24 or first_line < 0:
            raise NotThatObject(f"no code object at {address:#x}")
        filename, qualname, line_table = (
            struct.unpack_from("<Q", data, offsets[name])[0]
            for name in ("co.filename", "co.qualname", "co.linetable")
        )
        version = struct.unpack_from("<I", data, version_at)[0] if version_at else 0
        return _Head(version, filename, qualname, line_table, first_line, units, *self._life(data))

    def _life(self, data: bytes) -> tuple[bool, bool]:
        """(immortal, alive) by the reference count. Freed memory begins with the address of the next block, or 0."""
        if self._layout.free_threaded:
            local, shared = struct.unpack_from("<Iq", data, 12)
            return local == 0xFFFFFFFF, bool(local or shared >> 2)
        count, overflow, flags = struct.unpack_from("<IHH", data)
        if overflow or not count or (flags and self._layout.minor < 14):
            return False, False
        immortal = count >= 1 << 28  # the largest counts mean it, one more or less
        return immortal, immortal or count < 1 << 24

    def _code(self, address: int, head: _Head) -> CodeObject | Entry | Shim:
        """Read a code object's name, file and lines, and make sure that it was there all the while."""
        if not head.alive:
            raise NotThatObject(f"a freed code object at {address:#x}")
        qualname, filename = self._objects.string(head.qualname), self._objects.string(head.filename)
        table = self._objects.bytes_(head.line_table)
        # Code that is made again and again has all its parts where those of the code before were. While these are
        # being written they read as neither.
        again = self._objects.string(head.qualname), self._objects.string(head.filename)
        if self._head(address) != head or again != (qualname, filename) or not qualname.isprintable():
            raise NotThatObject(f"the code object at {address:#x} was freed")
        if filename == "<shim>":
            return ENTRY
        if filename == qualname == "__init__":
            return SHIM
        start = address + self._offsets["co.code_adaptive"]
        return CodeObject(qualname, filename, head.first_line, start, 2 * head.units, table)
