"""Where functions begin and end according to `.eh_frame`, the unwind table that also stripped files have.

Read: the Linux Standard Base's description of `.eh_frame`. Only what compilers write for the code of a file is
understood (pointers relative to where they stand, or absolute); anything else is skipped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from dtrace_profiler.symbols.elf import ElfFile

_MAX_BYTES = 1 << 27
_LONGEST_LEB = 10
"""Bytes of a 64-bit number. A file may have a run of megabytes that go on, and many entries that lead there."""
_FORMATS = {0x02: "H", 0x03: "I", 0x04: "Q", 0x0A: "h", 0x0B: "i", 0x0C: "q"}


def function_ranges(elf: ElfFile) -> Iterator[tuple[int, int]]:
    """(start, end) of every function described, in the file's order."""
    section = elf.section(".eh_frame")
    if section is None:
        return
    data = elf.section_bytes(section, _MAX_BYTES)
    word = elf.order + "I"
    encodings: dict[int, int] = {}  # position of a CIE -> how its FDEs write addresses; -1: not understood
    at = 0
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(word, data, at)
        if length in (0, 0xFFFFFFFF):
            at += 4  # a terminator in the middle (crtend.o of a linked part), or a 64-bit entry that nobody writes
            if length:
                return
            continue
        body = at + 4
        (pointer,) = struct.unpack_from(word, data, body)
        if pointer:
            common = body - pointer
            if common not in encodings:
                encodings[common] = _address_encoding(elf, data, common)
            found = _range(elf, data, body + 4, encodings[common], section.address)
            if found:
                yield found
        at = body + length


def _range(elf: ElfFile, data: bytes, at: int, encoding: int, base: int) -> tuple[int, int] | None:
    kind, how = encoding & 0x0F, encoding & 0x70
    letter = _FORMATS.get(kind, "Q" if elf.is_64 else "I") if kind in _FORMATS or kind == 0 else ""
    if encoding < 0 or not letter or how not in (0x00, 0x10):
        return None
    layout = struct.Struct(elf.order + letter)
    if at + 2 * layout.size > len(data):
        return None
    (start,) = layout.unpack_from(data, at)
    # The length has the same width as the start, but no sign and no base.
    (length,) = struct.unpack_from(elf.order + letter.upper(), data, at + layout.size)
    if how == 0x10:
        start += base + at
    return (start, start + length) if start > 0 and length else None


def _address_encoding(elf: ElfFile, data: bytes, at: int) -> int:
    """The `R` byte of a common information entry; 0 (absolute) where it has none, -1 where it can't be read."""
    try:
        if at < 0 or struct.unpack_from(elf.order + "II", data, at)[1] != 0:
            return -1
        position = at + 9
        end = data.index(b"\0", position, position + 16)
        augmentation = data[position:end]
        position = end + 1
        if not augmentation.startswith(b"z"):
            return 0 if not augmentation else -1
        for _ in range(2):  # code and data alignment
            position = _skip_leb(data, position)
        position = position + 1 if data[at + 8] == 1 else _skip_leb(data, position)  # return address register
        position = _skip_leb(data, position)  # length of what follows
        for letter in augmentation[1:]:
            if letter == 0x52:  # R
                return data[position]
            if letter == 0x4C:  # L, how exception tables are pointed to
                position += 1
            elif letter == 0x50:  # P, a pointer to the personality routine
                kind = data[position] & 0x0F
                if kind not in _FORMATS and kind != 0:
                    return -1
                position += 1 + struct.calcsize(_FORMATS.get(kind, "Q" if elf.is_64 else "I"))
            elif letter not in (0x53, 0x42):  # S, B: a signal frame, pointer authentication
                return -1
    except (ValueError, IndexError, struct.error):
        return -1
    return 0


def _skip_leb(data: bytes, at: int) -> int:
    for end in range(at, at + _LONGEST_LEB):
        if not data[end] & 0x80:
            return end + 1
    raise ValueError("a number without an end")
