"""All that one ELF file says about which function lies where: symbols, PLT entries, unwind ranges.

In: an `ElfFile` (and its separate debug file, and the small symbol table that some distributions hide in it). Out:
a `SymbolTable`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dtrace_profiler.symbols.elf import (
    EM_ARM,
    SHF_EXECINSTR,
    STT_FUNC,
    STT_GNU_IFUNC,
    STT_NOTYPE,
    ElfError,
    ElfFile,
    Section,
)
from dtrace_profiler.symbols.plt import plt_entries
from dtrace_profiler.symbols.source import BytesSource
from dtrace_profiler.symbols.table import Extent, SymbolTable
from dtrace_profiler.symbols.unwind import function_ranges

_MAX_ADDRESS = (1 << 64) - 1
_MAX_MINI_DEBUG_BYTES = 1 << 27
_ABSOLUTE = 0xFFF1
_MAPPING_SYMBOLS = (b"$", b".")
"""Names that mark data in code (`$d`, `$x` on ARM) or that a tool left over (`.L3`, `.annobin_x.c`): no functions."""

_ALIGNMENT = 16
"""Of functions, on the systems whose C library we know."""
_RANK_PLT = (5,)
_RANK_UNWIND = (9,)


def build_table(elf: ElfFile, others: Sequence[ElfFile] = ()) -> SymbolTable:
    """The functions of `elf`; `others` are its debug file and the like, with the same addresses."""
    extents: list[Extent] = []
    blobs: list[bytes] = [b"\0"]
    position = 1

    def add(found: Iterator[Extent] | list[Extent], names: bytes) -> None:
        nonlocal position
        blobs.append(names + b"\0")
        extents.extend(extent._replace(name=extent.name + position) for extent in found)
        position += len(names) + 1

    code = _code_sections(elf)
    has_full_table = False
    for file in (elf, *others):
        for section in file.symbol_sections():
            has_full_table = has_full_table or section.type == 2
            add(_symbol_extents(file, section, code), file.strings(section))
    by_address = SymbolTable.build(extents, b"".join(blobs)) if extents else None
    named = plt_entries(elf, by_address.lookup if by_address else lambda address: "")
    add(*_named_extents(named, _RANK_PLT))
    if not has_full_table:
        # A stripped file. Its unwind table still tells where functions begin and end, so the samples of one
        # function share one name, if only a number.
        starts = by_address.starts if by_address else ()
        known = set(starts)
        ranges = (
            (start, end, _known_place(elf, by_address, start, end) or f"0x{start:x}")
            for start, end in function_ranges(elf)
            if start not in known
        )
        add(*_named_extents(ranges, _RANK_UNWIND))
    return SymbolTable.build(extents, b"".join(blobs))


def _known_place(elf: ElfFile, table: SymbolTable | None, start: int, end: int) -> str:
    """The name of a function that is known by where it lies: those at the root of all stacks. Else empty."""
    if start <= elf.entry < end:
        return "_start"
    following = -(-end // _ALIGNMENT) * _ALIGNMENT
    if table is not None and table.lookup(following).partition("@")[0] == "__libc_start_main":
        return "__libc_start_call_main"  # glibc's caller of main, in the same source file just before this one
    return ""


def mini_debug_file(elf: ElfFile) -> ElfFile | None:
    """`.gnu_debugdata`: an ELF file with a `.symtab`, compressed with xz (Fedora's "MiniDebugInfo")."""
    section = elf.section(".gnu_debugdata")
    if section is None:
        return None
    try:
        import lzma  # some builds of Python lack it
    except ImportError:
        return None
    try:
        decompressor = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=1 << 28)
        data = decompressor.decompress(elf.section_bytes(section, 1 << 26), max_length=_MAX_MINI_DEBUG_BYTES)
        return ElfFile(BytesSource(data))
    except (lzma.LZMAError, ElfError, EOFError):
        return None


def _code_sections(elf: ElfFile) -> list[Section]:
    return [section for section in elf.sections if section.flags & SHF_EXECINSTR]


def _symbol_extents(elf: ElfFile, table: Section, code: list[Section]) -> Iterator[Extent]:
    names = elf.strings(table)
    length = len(names)
    # The end of the section that holds a symbol bounds one whose size nobody wrote down.
    bounds = {i: s.address + s.size for i, s in enumerate(elf.sections) if s.flags & SHF_EXECINSTR}
    for name, info, index, address, size in elf.symbols(table):
        kind = info & 15
        if not index or not 0 < name < length or not address or kind not in (STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE):
            continue
        if kind == STT_NOTYPE and (
            index not in bounds or index == _ABSOLUTE or names.startswith(_MAPPING_SYMBOLS, name)
        ):
            continue
        if elf.machine == EM_ARM and kind == STT_FUNC:
            address &= ~1  # the lowest bit says Thumb
        limit = bounds.get(index, 0)
        if not limit:
            limit = next((s.address + s.size for s in code if s.address <= address < s.address + s.size), 0)
        rank = (kind == STT_NOTYPE, not size, (2, 0, 1)[info >> 4] if info >> 4 < 3 else 0)
        yield Extent(address, min(address + size, _MAX_ADDRESS), min(limit, _MAX_ADDRESS), rank, name)


def _named_extents(ranges: Iterator[tuple[int, int, str]], rank: tuple[int, ...]) -> tuple[list[Extent], bytes]:
    blob = bytearray(b"\0")
    out = []
    for start, end, name in ranges:
        if 0 < start < end <= _MAX_ADDRESS:
            out.append(Extent(start, end, end, rank, len(blob)))
            blob += name.encode("utf-8", "replace") + b"\0"
    return out, bytes(blob)
