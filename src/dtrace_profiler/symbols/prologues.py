"""Whether a program was compiled with frame pointers, by how its functions begin.

Kernels unwind a user stack by frame pointers and nothing else: without, native stacks end early. No file says how it
was compiled, but each function that keeps a frame pointer sets it in its first instructions.
"""

from __future__ import annotations

from itertools import islice

from dtrace_profiler.symbols.elf import EM_AARCH64, EM_X86_64, STT_FUNC, ElfError, ElfFile, Symbol

MIN_FUNCTION_BYTES = 64
"""Shorter ones are often leaves, which may do without."""
MIN_FUNCTIONS = 5
MAX_FUNCTIONS = 400
_BEGINNING = 48
_SYMBOLS = 20_000


def frame_pointer_share(elf: ElfFile) -> float | None:
    """0 to 1: functions that set a frame pointer, of those looked at. None where too few have symbols, or for a
    machine whose instructions we don't know."""
    if elf.machine not in (EM_X86_64, EM_AARCH64):
        return None
    looked = kept = 0
    for symbol in _functions(elf):
        begin = _read(elf, symbol.address)
        if len(begin) < _BEGINNING:
            continue
        looked += 1
        kept += _sets_on_x86_64(begin) if elf.machine == EM_X86_64 else _sets_on_aarch64(begin)
    return kept / looked if looked >= MIN_FUNCTIONS else None


def _functions(elf: ElfFile) -> list[Symbol]:
    """Some of the longer functions, spread over the file."""
    found: list[Symbol] = []
    for section in elf.symbol_sections():
        try:
            found += [
                symbol
                for symbol in islice(elf.symbols(section), _SYMBOLS)
                if symbol.info & 15 == STT_FUNC and symbol.section and symbol.size >= MIN_FUNCTION_BYTES
            ]
        except ElfError:
            continue
    return found[:: max(1, len(found) // MAX_FUNCTIONS)]


def _read(elf: ElfFile, address: int) -> bytes:
    """A function's first bytes; none where the file has them not."""
    for segment in elf.segments:
        if segment.address <= address < segment.address + segment.file_size:
            return elf.source.read(address - segment.address + segment.offset, _BEGINNING)
    return b""


def _sets_on_x86_64(begin: bytes) -> bool:
    """push %rbp … mov %rsp,%rbp"""
    push = begin.find(b"\x55")
    return push >= 0 and begin.find(b"\x48\x89\xe5", push) >= 0


def _sets_on_aarch64(begin: bytes) -> bool:
    """stp x29, x30, [sp, #-N]! or [sp, #N]"""
    words = (int.from_bytes(begin[at : at + 4], "little") for at in range(0, len(begin), 4))
    return any(word & 0xFE407FFF == 0xA8007BFD for word in words)
