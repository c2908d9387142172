"""The wire format of Protocol Buffers, as much as pprof needs: fields to bytes, bytes to fields.

Own code, because pprof must work where nothing else is installed, and because a library can't say at which offset a
file is wrong. Numbers are varints of 64 bits; fields that nobody asks for are passed over, as the format says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dtrace_profiler.errors import InputError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WORD = (1 << 64) - 1
_SIGN = 1 << 63
_SMALL = [bytes([value]) for value in range(128)]


class CutOff(InputError):
    """What is there may be right, but is not all."""


def varint(value: int) -> bytes:
    """A negative number takes ten bytes, as of an int64."""
    if 0 <= value < 128:
        return _SMALL[value]
    value &= _WORD
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """A field that is a number; nothing for 0, which is what a missing one means."""
    return varint(field << 3 | VARINT) + varint(value) if value else b""


def block(field: int, content: bytes) -> bytes:
    """A field that is a message, a text or packed numbers."""
    return varint(field << 3 | BYTES) + varint(len(content)) + content


def packed(field: int, values: Iterable[int]) -> bytes:
    return block(field, b"".join(map(varint, values)))


def signed(value: int) -> int:
    """A varint that is an int64."""
    return value - (1 << 64) if value & _SIGN else value


def read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at this offset and where it ends. Raises `InputError`."""
    value = shift = 0
    start = at
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value > _WORD:
                break
            return value, at
        shift += 7
        if shift > 63:
            break
    if at >= end and shift <= 63 and value <= _WORD:
        raise CutOff(f"the number at offset {start} is cut off.")
    raise InputError(f"the number at offset {start} has more than 64 bits.")


Field = tuple[int, int, int, int]
"""Number, wire type, value (of bytes: where they begin), where it ends."""


def fields(data: bytes, at: int, end: int) -> Iterator[Field]:
    """The fields of the message in `data[at:end]`. Raises `InputError` with the offset of what is none."""
    while at < end:
        start = at
        key, at = read_varint(data, at, end)
        kind = key & 7
        value = at
        if kind == VARINT:
            value, at = read_varint(data, at, end)
        elif kind == BYTES:
            length, value = read_varint(data, at, end)
            at = value + length
        elif kind == FIXED64:
            at += 8
        elif kind == FIXED32:
            at += 4
        else:
            raise InputError(f"there is no field of a Protocol Buffers message at offset {start}.")
        if key < 8:
            raise InputError(f"there is no field of a Protocol Buffers message at offset {start}.")
        if at > end:
            raise CutOff(f"field {key >> 3} at offset {start} is longer than what it stands in.")
        yield key >> 3, kind, value, at


def read_packed(data: bytes, at: int, end: int) -> list[int]:
    """Packed numbers."""
    part = data[at:end]
    if part.isascii():
        return list(part)
    out = []
    while at < end:
        value, at = read_varint(data, at, end)
        out.append(value)
    return out


def numbers(data: bytes, field: Field) -> list[int]:
    """Of a repeated field that is packed, or stands alone. Raises `InputError`."""
    which, kind, value, end = field
    if kind == BYTES:
        return read_packed(data, value, end)
    if kind != VARINT:
        raise InputError(f"field {which} before offset {end} is no number.")
    return [value]
