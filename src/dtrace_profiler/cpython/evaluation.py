"""Where a stripped CPython runs bytecode: the functions, nameless parts of functions, that are its evaluation loop.

`_PyEval_EvalFrameDefault` is exported and keeps its name, but most of it may lie elsewhere: compilers move what they
think cold into a part of its own (all instructions of Debian's 3.14 and 3.15), and the tail-calling interpreter has a
function for each instruction. What leads there from the exported part is found in its machine code: jumps into the
middle of other functions, and the table of 256 addresses by which bytecode is dispatched.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable

from dtrace_profiler.symbols.elf import EM_X86_64, SHT_NOBITS, SHT_RELA, SHT_SYMTAB, ElfError, ElfFile, Section
from dtrace_profiler.symbols.mappings import AddressSpace
from dtrace_profiler.symbols.targetfiles import open_mapped_file
from dtrace_profiler.symbols.unwind import function_ranges

_NAME = b"_PyEval_EvalFrameDefault"
_TABLE = 256
"""Entries of a dispatch table: one for each value that the byte of an instruction can have."""
_LEAST_DIFFERENT = 100
"""Instructions that there are at least, each with a place of its own."""
_LEAST_JUMPS = 3
"""From one part into another: what looks like one or two may be the operands of other instructions."""
_MOST_CODE = 1 << 20
_R_X86_64_RELATIVE = 8
_MAX_CACHED = 64


def evaluation_functions(elf: ElfFile) -> frozenset[int]:
    """Starts, addresses in the file, of all that runs bytecode, as unwind tables have functions.

    Empty where there is no exported evaluation function to begin with.
    """
    if elf.machine != EM_X86_64:
        return frozenset()
    entry = _exported(elf, _NAME)
    ranges = _Ranges(function_ranges(elf))
    first = ranges.holding(entry)
    if not entry or first is None:
        return frozenset()
    words = _Words(elf)
    parts = {first}
    waiting = [first]
    while waiting:
        start, end = waiting.pop()
        if end - start > _MOST_CODE:
            continue
        places, jumps = _references(elf, words, start, end)
        often = Counter(map(ranges.holding, jumps))
        into = [ranges.holding(place) for place in places] + [r for r, n in often.items() if n >= _LEAST_JUMPS]
        for found in into:
            if found is not None and found not in parts and len(parts) < 4 * _TABLE:
                parts.add(found)
                # A part that was cut off holds the rest of the function; the handlers of a table lead nowhere new.
                if len(waiting) < 4 and len(parts) <= 4:
                    waiting.append(found)
    return frozenset(start for start, _ in parts)


class _Ranges:
    """Functions by the addresses in them."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        self._ranges = sorted(ranges)
        self._starts = [start for start, _ in self._ranges]

    def holding(self, address: int) -> tuple[int, int] | None:
        index = bisect_right(self._starts, address) - 1
        return self._ranges[index] if index >= 0 and address < self._ranges[index][1] else None


class _Words:
    """The 64-bit words of data sections as they are in a process: relocations applied, as if mapped at 0."""

    def __init__(self, elf: ElfFile) -> None:
        self._elf = elf
        self._data = [
            section
            for section in elf.sections
            if section.name in (".rodata", ".data.rel.ro", ".data") and section.type != SHT_NOBITS
        ]
        code = elf.section(".text")
        self._low = code.address if code is not None else 0
        self._high = self._low + code.size if code is not None else 0
        self._relocated: dict[int, int] | None = None

    def is_code(self, address: int) -> bool:
        return self._low <= address < self._high

    def table(self, address: int) -> list[int]:
        """The entries of the dispatch table at an address; none where it is not one."""
        section = next((s for s in self._data if s.address <= address <= s.address + s.size - 8 * _TABLE), None)
        if section is None or address % 8:
            return []
        offset = section.offset + address - section.address
        raw = self._elf.source.read(offset, 8 * _TABLE)
        if len(raw) != 8 * _TABLE:
            return []
        words = list(struct.unpack(f"<{_TABLE}Q", raw))
        if not self.is_code(words[0]):
            moved = self._relocations(section)
            words = [moved.get(address + 8 * index, word) for index, word in enumerate(words)]
        if all(map(self.is_code, words)) and len(set(words)) >= _LEAST_DIFFERENT:
            return words
        return []

    def _relocations(self, section: Section) -> dict[int, int]:
        """Address → word, for what the dynamic linker fills in."""
        if self._relocated is None:
            self._relocated = {}
            for table in self._elf.sections:
                if table.type != SHT_RELA or not table.name.startswith(".rela.dyn"):
                    continue
                data = self._elf.section_bytes(table)
                for address, kind, addend in struct.iter_unpack("<QQq", data[: len(data) // 24 * 24]):
                    if kind == _R_X86_64_RELATIVE:
                        self._relocated[address] = addend
        return self._relocated


def _references(elf: ElfFile, words: _Words, start: int, end: int) -> tuple[set[int], list[int]]:
    """Where machine code jumps: the entries of dispatch tables, and the targets outside of it of direct jumps.

    Every position is taken for the beginning of an operand. What is meant stands out: a table of 256 places of code,
    or a conditional jump, which compilers use within a function only.
    """
    code = _code(elf, start, end)
    places: set[int] = set()
    jumps: list[int] = []
    for at in range(2, len(code) - 3):
        (number,) = struct.unpack_from("<i", code, at)
        # As a 32-bit address, and relative to the next instruction.
        for address in (number & 0x7FFFFFFF, start + at + 4 + number):
            if address % 8 == 0 and not words.is_code(address):
                places.update(words.table(address))
        if code[at - 2] == 0x0F and code[at - 1] & 0xF0 == 0x80:
            target = start + at + 4 + number
            if words.is_code(target) and not start <= target < end:
                jumps.append(target)
    return places, jumps


def _code(elf: ElfFile, start: int, end: int) -> bytes:
    section = elf.section(".text")
    if section is None or not section.address <= start < end <= section.address + section.size:
        return b""
    return elf.source.read(section.offset + start - section.address, end - start)


def _exported(elf: ElfFile, name: bytes) -> int:
    for section in elf.symbol_sections():
        place = elf.strings(section).find(b"\0" + name + b"\0") + 1
        for symbol in elf.symbols(section) if place else ():
            if symbol.name == place and symbol.section:
                return symbol.address
    return 0


_cache: dict[tuple[object, ...], frozenset[int]] = {}


def evaluation_functions_of(pid: int, path: str) -> frozenset[int]:
    """Those of a file that a process has mapped; none where it has symbols. 0.1 s the first time."""
    space = AddressSpace(pid)
    space.refresh()
    mapping = next((m for m in space.mappings if m.path == path and m.is_file), None)
    source = open_mapped_file(space, mapping) if mapping is not None else None
    if source is None:
        return frozenset()
    try:
        status = source.status
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in _cache:
            if len(_cache) >= _MAX_CACHED:
                _cache.clear()
            elf = ElfFile(source)
            named = any(section.type == SHT_SYMTAB for section in elf.symbol_sections())
            _cache[key] = frozenset() if named else evaluation_functions(elf)
        return _cache[key]
    except ElfError:
        return frozenset()
    finally:
        source.close()
