"""A small reader of ELF files: what naming an address takes, and no more.

In: bytes at offsets. Out: segments, sections, symbols, the build id. Both classes and byte orders, on every system.
Every number of a file is checked before it is used as a size or an offset; a file that lies gives `ElfError` or
fewer symbols, never another exception and never more memory than the file is long. Layouts: elf(5), the gABI.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from dtrace_profiler.symbols.source import ByteSource, BytesSource

PT_LOAD, PT_NOTE = 1, 4
PF_X = 1
SHT_SYMTAB, SHT_RELA, SHT_NOTE, SHT_NOBITS, SHT_REL, SHT_DYNSYM = 2, 4, 7, 8, 9, 11
SHF_EXECINSTR, SHF_COMPRESSED = 0x4, 0x800
STT_NOTYPE, STT_FUNC, STT_GNU_IFUNC = 0, 2, 10
EM_386, EM_ARM, EM_X86_64, EM_AARCH64 = 3, 40, 62, 183

_MAX_SECTION_BYTES = 1 << 29
_MAX_ENTRY_BYTES = 1024
"""Of one program or section header; real ones have 32 to 64."""
_MAX_HEADERS = 1 << 16
_PAGE = 0xFFF


class ElfError(ValueError):
    """Not an ELF file, or one that contradicts itself."""


class Segment(NamedTuple):
    type: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int


class Section(NamedTuple):
    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    entry_size: int


class Symbol(NamedTuple):
    """As in the file; `name` is an offset into the string table of the symbol's section."""

    name: int
    info: int
    section: int
    address: int
    size: int


class ElfFile:
    """The headers of one file, read at once; tables are read when they are asked for."""

    def __init__(self, source: ByteSource) -> None:
        self.source: ByteSource = source
        ident = source.read(0, 64)
        if len(ident) < 52 or ident[:4] != b"\x7fELF" or ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise ElfError("not an ELF file")
        self.is_64 = ident[4] == 2
        self.order = "<" if ident[5] == 1 else ">"
        try:
            self._read_headers(ident)
        except struct.error as error:
            raise ElfError(f"ELF header cut short: {error}") from None

    def _read_headers(self, ident: bytes) -> None:
        header = struct.Struct(self.order + ("HHIQQQIHHHHHH" if self.is_64 else "HHIIIIIHHHHHH"))
        (
            self.type,
            self.machine,
            _,
            self.entry,
            program_offset,
            section_offset,
            _,
            _,
            program_size,
            program_count,
            section_size,
            section_count,
            names_index,
        ) = header.unpack_from(ident, 16)
        self.segments = self._read_segments(program_offset, program_size, program_count)
        self.sections = self._read_sections(section_offset, section_size, section_count, names_index)

    def _read_segments(self, offset: int, size: int, count: int) -> list[Segment]:
        layout = struct.Struct(self.order + ("IIQQQQQQ" if self.is_64 else "IIIIIIII"))
        if not count or not layout.size <= size <= _MAX_ENTRY_BYTES:
            return []
        data = self.source.read(offset, size * count)
        out = []
        for at in range(0, len(data) - layout.size + 1, size):
            if self.is_64:
                kind, flags, where, address, _, file_size, memory_size, _ = layout.unpack_from(data, at)
            else:
                kind, where, address, _, file_size, memory_size, flags, _ = layout.unpack_from(data, at)
            out.append(Segment(kind, flags, where, address, file_size, memory_size))
        return out

    def _read_sections(self, offset: int, size: int, count: int, names_index: int) -> list[Section]:
        layout = struct.Struct(self.order + ("IIQQQQIIQQ" if self.is_64 else "IIIIIIIIII"))
        if not offset or not layout.size <= size <= _MAX_ENTRY_BYTES:
            return []
        if count == 0 or names_index == 0xFFFF:
            # More sections than a 16-bit number holds: the first header says how many.
            first = self.source.read(offset, layout.size)
            if len(first) < layout.size:
                return []
            fields = layout.unpack(first)
            count = count or min(fields[5], _MAX_HEADERS * 16)
            names_index = fields[6] if names_index == 0xFFFF else names_index
        data = self.source.read(offset, size * count)
        raw = [layout.unpack_from(data, at) for at in range(0, len(data) - layout.size + 1, size)]
        names = b""
        if names_index < len(raw) and raw[names_index][1] != SHT_NOBITS:
            names = self.source.read(raw[names_index][4], min(raw[names_index][5], _MAX_SECTION_BYTES))
        out = []
        for name, kind, flags, address, where, length, link, info, _, entry_size in raw:
            text = cut_string(names, name).decode("ascii", "replace")
            out.append(Section(text, kind, flags, address, where, length, link, info, entry_size))
        return out

    def forget_source(self) -> None:
        """Let go of the bytes: headers still answer, tables are empty from now on."""
        self.source = BytesSource(b"")

    def section(self, name: str) -> Section | None:
        """The first section of this name that has bytes in the file."""
        for section in self.sections:
            if section.name == name and section.type != SHT_NOBITS and section.size:
                return section
        return None

    def section_bytes(self, section: Section, limit: int = _MAX_SECTION_BYTES) -> bytes:
        """Its bytes as they are in the file; empty for one without, or longer than the limit."""
        if section.type == SHT_NOBITS or section.size > limit:
            return b""
        return self.source.read(section.offset, section.size)

    def symbol_sections(self) -> list[Section]:
        """`.symtab` first, then `.dynsym`; those that have bytes."""
        tables = [s for s in self.sections if s.type in (SHT_SYMTAB, SHT_DYNSYM) and s.size]
        return sorted(tables, key=lambda section: section.type)

    def strings(self, section: Section) -> bytes:
        """The string table that a symbol section points to."""
        if section.link >= len(self.sections):
            return b""
        return self.section_bytes(self.sections[section.link])

    def symbols(self, section: Section) -> Iterator[Symbol]:
        """All symbols of a table, in its order, the empty first one included."""
        layout = struct.Struct(self.order + ("IBBHQQ" if self.is_64 else "IIIBBH"))
        if section.entry_size not in (0, layout.size):
            return
        data = self.section_bytes(section)
        if remainder := len(data) % layout.size:
            data = data[:-remainder]
        if self.is_64:
            for name, info, _, index, address, size in layout.iter_unpack(data):
                yield Symbol(name, info, index, address, size)
        else:
            for name, address, size, info, _, index in layout.iter_unpack(data):
                yield Symbol(name, info, index, address, size)

    @cached_property
    def build_id(self) -> bytes:
        """The note of type 3 by "GNU": up to 64 bytes; empty where there is none."""
        notes = [(s.offset, s.size) for s in self.sections if s.type == SHT_NOTE]
        notes += [(s.offset, s.file_size) for s in self.segments if s.type == PT_NOTE]
        for offset, size in notes:
            if found := self._build_id_in(self.source.read(offset, min(size, 1 << 16))):
                return found
        return b""

    def _build_id_in(self, data: bytes) -> bytes:
        layout = struct.Struct(self.order + "III")
        at = 0
        while at + layout.size <= len(data):
            name_size, size, kind = layout.unpack_from(data, at)
            name_at = at + layout.size
            value_at = name_at + (name_size + 3 & ~3)
            if kind == 3 and data[name_at : name_at + name_size] == b"GNU\0" and 2 <= size <= 64:
                value = data[value_at : value_at + size]
                return value if len(value) == size else b""
            at = value_at + (size + 3 & ~3)
        return b""

    @cached_property
    def debug_link(self) -> tuple[str, int] | None:
        """`.gnu_debuglink`: a file name without folders, and the CRC-32 of that file."""
        section = self.section(".gnu_debuglink")
        if section is None:
            return None
        data = self.section_bytes(section, 4096)
        name = cut_string(data, 0)
        at = len(name) + 4 & ~3
        if not name or b"/" in name or name in (b".", b"..") or at + 4 > len(data):
            return None
        (crc,) = struct.unpack_from(self.order + "I", data, at)
        return name.decode("utf-8", "surrogateescape"), crc

    @property
    def debug_info_size(self) -> int:
        """Bytes of `.debug_*` in this file, as stored; 0 where there is no `.debug_info`."""
        if not (self.section(".debug_info") or self.section(".zdebug_info")):
            return 0
        return sum(
            section.size
            for section in self.sections
            if section.name.startswith((".debug_", ".zdebug_")) and section.type != SHT_NOBITS
        )

    @cached_property
    def load_address(self) -> int:
        """Address of the first loadable segment: 0x400000 and the like for programs that can't be moved."""
        return next((segment.address for segment in self.segments if segment.type == PT_LOAD), 0)

    def address_of(self, offset: int) -> int | None:
        """The file's own virtual address (what nm prints) of a byte that was executed, by its offset in the file.

        Segments share pages of the file at their edges, so the executable one is asked first, and exact bounds
        before those rounded to pages, as mmap does.
        """
        loadable = [s for s in self.segments if s.type == PT_LOAD]
        loadable.sort(key=lambda segment: not segment.flags & PF_X)
        for segment in loadable:
            if segment.offset <= offset < segment.offset + segment.file_size:
                return segment.address + offset - segment.offset
        for segment in loadable:
            if segment.offset & ~_PAGE <= offset < segment.offset + segment.file_size + _PAGE & ~_PAGE:
                return segment.address + offset - segment.offset
        return None


def cut_string(table: bytes, offset: int) -> bytes:
    """The bytes from `offset` up to the next NUL; empty beyond the table."""
    if not 0 <= offset < len(table):
        return b""
    end = table.find(b"\0", offset)
    return table[offset : end if end >= 0 else len(table)]
