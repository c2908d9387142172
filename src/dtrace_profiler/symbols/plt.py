"""Names for the stubs through which a file calls functions of others: `malloc@plt`.

A stub has no symbol of its own. It jumps through a slot, and the relocation of that slot names the function.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from dtrace_profiler.symbols.elf import EM_AARCH64, EM_X86_64, SHT_REL, SHT_RELA, ElfFile, Section, cut_string

_IRELATIVE = {EM_X86_64: 37, EM_AARCH64: 1032}
_SECTIONS = (".plt", ".plt.sec", ".plt.got", ".plt.bnd", ".iplt")
_MAX_BYTES = 1 << 24


def plt_entries(elf: ElfFile, name_at: Callable[[int], str]) -> Iterator[tuple[int, int, str]]:
    """(start, end, `name@plt`) of every stub whose slot is known. `name_at` names functions of the file itself."""
    if elf.machine not in _IRELATIVE or not elf.is_64 or elf.order != "<":
        return
    sections = [s for s in elf.sections if s.name in _SECTIONS and s.size]
    slots = _slots(elf, name_at) if sections else {}
    if not slots:
        return
    targets = _targets_x86_64 if elf.machine == EM_X86_64 else _targets_aarch64
    for section in sections:
        for start, end, slot in targets(elf.section_bytes(section, _MAX_BYTES), section):
            if name := slots.get(slot):
                yield start, end, f"{name}@plt"


def _slots(elf: ElfFile, name_at: Callable[[int], str]) -> dict[int, str]:
    """Address of a slot -> name of the function it will hold."""
    out: dict[int, str] = {}
    irelative = _IRELATIVE[elf.machine]
    for section in elf.sections:
        if section.type == SHT_REL or section.type != SHT_RELA:
            continue
        symbols: list[int] = []
        names = b""
        if 0 < section.link < len(elf.sections):
            table = elf.sections[section.link]
            names = elf.strings(table)
            symbols = [symbol.name for symbol in elf.symbols(table)]
        data = elf.section_bytes(section, _MAX_BYTES)
        for slot, info, addend in struct.iter_unpack("<QQq", data[: len(data) // 24 * 24]):
            index = info >> 32
            if info & 0xFFFFFFFF == irelative:
                name = name_at(addend)
            elif 0 < index < len(symbols):
                name = cut_string(names, symbols[index]).decode("utf-8", "replace")
            else:
                continue
            if name:
                out[slot] = name.partition("@")[0]
    return out


def _targets_x86_64(code: bytes, section: Section) -> Iterator[tuple[int, int, int]]:
    """Stubs of 8 or 16 bytes, each with one `jmp *slot(%rip)` (ff 25), perhaps behind `endbr64` and `bnd`."""
    size = 8 if section.entry_size == 8 else 16
    for at in range(0, len(code) - size + 1, size):
        jump = code.find(b"\xff\x25", at, at + size)
        if jump < 0 or jump + 6 > len(code):
            continue
        (distance,) = struct.unpack_from("<i", code, jump + 2)
        yield section.address + at, section.address + at + size, section.address + jump + 6 + distance


def _targets_aarch64(code: bytes, section: Section) -> Iterator[tuple[int, int, int]]:
    """Stubs of 16 bytes: `adrp x16, page; ldr x17, [x16, low]; add; br`, or 24 with `bti`."""
    at = 0
    while at + 16 <= len(code):
        first, second = struct.unpack_from("<II", code, at)
        if first & 0x9F00001F == 0x90000010 and second & 0xFFC003FF == 0xF9400211:
            pages = (first >> 5 & 0x7FFFF) << 2 | first >> 29 & 3
            pages -= (pages & 1 << 20) << 1
            slot = (section.address + at & ~0xFFF) + (pages << 12) + ((second >> 10 & 0xFFF) << 3)
            yield section.address + at, section.address + at + 16, slot
            at += 16
        else:
            at += 4
