"""Where a stripped CPython runs bytecode, found by the tables that its interpreter can't do without."""

from __future__ import annotations

import struct
from bisect import bisect_right

from dtrace_profiler.symbols.elf import SHT_NOBITS, SHT_SYMTAB, ElfError, ElfFile
from dtrace_profiler.symbols.mappings import AddressSpace
from dtrace_profiler.symbols.targetfiles import open_mapped_file
from dtrace_profiler.symbols.unwind import function_ranges

_MIN_RUN = 200
"""The interpreter has some two hundred instructions, and a table with the place of each."""


def evaluation_functions(elf: ElfFile) -> frozenset[int]:
    """Starts (addresses in the file) of the functions that run bytecode, for an interpreter without symbols.

    Computed gotos and tail calls both need a table of code addresses, one for each of 256 byte values: a run of
    pointers into the code that no other table has. 256 pointers into one function are labels in the evaluation
    loop; into many, the handlers of the tail-calling interpreter.
    """
    code = elf.section(".text")
    if code is None:
        return frozenset()
    low, high = code.address, code.address + code.size
    starts = sorted(start for start, _ in function_ranges(elf))
    found: set[int] = set()
    for section in elf.sections:
        if section.name in (".rodata", ".data.rel.ro", ".data") and section.type != SHT_NOBITS:
            data = elf.section_bytes(section)
            words = struct.unpack(f"<{len(data) // 8}Q", data[: len(data) // 8 * 8])
            run = 0
            for index, word in enumerate((*words, 0)):
                if low <= word < high:
                    run += 1
                    continue
                if 256 <= run < 4096:
                    targets = words[index - run : index]
                    if len(set(targets)) > _MIN_RUN // 2:
                        for target in targets:
                            at = bisect_right(starts, target) - 1
                            if at >= 0:
                                found.add(starts[at])
                run = 0
    return frozenset(found)


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
            elf = ElfFile(source)
            named = any(section.type == SHT_SYMTAB for section in elf.symbol_sections())
            _cache[key] = frozenset() if named else evaluation_functions(elf)
        return _cache[key]
    except ElfError:
        return frozenset()
    finally:
        source.close()
