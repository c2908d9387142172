"""`co_linetable` of CPython 3.11 and later: instruction offset → line. Format: Objects/locations.md."""

from __future__ import annotations

from collections.abc import Iterator

_WORD_BITS = 32
_MAX_LINE = (1 << 31) - 1


def line_ranges(table: bytes, first_line: int) -> Iterator[tuple[int, int, int]]:
    """(start, end, line) in bytes of code, in order; line 0 where there is no location. A cut table ends early."""
    at, position, line, length = 0, 0, first_line, len(table)

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while position < length:
            byte = table[position]
            position += 1
            if shift < _WORD_BITS:  # in a table that is none, a number may go on for megabytes
                value |= (byte & 63) << shift
            shift += 6
            if not byte & 64:
                break
        return value

    def signed_varint() -> int:
        value = varint()
        return -(value >> 1) if value & 1 else value >> 1

    while position < length:
        head = table[position]
        position += 1
        kind = head >> 3 & 15
        end = at + 2 * ((head & 7) + 1)
        here = 0
        if kind == 14:
            line += signed_varint()
            varint()
            varint()
            varint()
            here = line
        elif kind == 13:
            line += signed_varint()
            here = line
        elif kind in (10, 11, 12):
            line += kind - 10
            position += 2
            here = line
        elif kind < 10:
            position += 1
            here = line
        yield at, end, here if 0 <= here <= _MAX_LINE else 0
        at = end
