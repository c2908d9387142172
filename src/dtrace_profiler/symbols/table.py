"""From a file's virtual address to the name of the symbol that covers it.

Symbols overlap, nest, share a start and may have no size. All of that is decided once, when a table is built: what
remains is one sorted column of starts, and the name that holds from each start to the next (or none: a gap). A
look-up is one bisection, and the table is three blocks of bytes that a cache can keep.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from dtrace_profiler.symbols.elf import cut_string

MAX_NAME_BYTES = 1 << 16
"""Longer names are cut when looked up; the longest of Chromium's has 12 kB."""


class Extent(NamedTuple):
    """A symbol that wants a place in the table."""

    start: int
    end: int
    """Equal to `start` where the size is not known: up to the next symbol, at most to `limit`."""
    limit: int
    rank: tuple[int, ...]
    """Of several with one start the lowest wins; then the name with fewer leading underscores, then the shorter."""
    name: int
    """Offset into the table's names; 0: none."""


class SymbolTable:
    """`starts` ascending; `name_offsets[i]` holds from `starts[i]` to `starts[i + 1]`; 0 is a gap."""

    def __init__(self, starts: array[int], name_offsets: array[int], names: bytes) -> None:
        self.starts = starts
        self.name_offsets = name_offsets
        self.names = names

    def __len__(self) -> int:
        return len(self.starts)

    def lookup(self, address: int) -> str:
        """The symbol's name, mangled as in the file, without its version; empty in a gap."""
        index = bisect_right(self.starts, address) - 1
        if index < 0 or not (offset := self.name_offsets[index]):
            return ""
        raw = cut_string(self.names, offset)[:MAX_NAME_BYTES]
        return raw.decode("utf-8", "replace")

    @classmethod
    def build(cls, extents: Iterable[Extent], names: bytes) -> SymbolTable:
        starts, offsets = array("Q"), array("Q")
        for start, name in _flatten(_one_per_start(extents, names)):
            starts.append(start)
            offsets.append(name)
        return cls(starts, offsets, names)

    def to_bytes(self) -> tuple[bytes, bytes, bytes]:
        """Starts and name offsets as little-endian 64-bit numbers, and the names."""
        starts, offsets = array("Q", self.starts), array("Q", self.name_offsets)
        if sys.byteorder == "big":
            starts.byteswap()
            offsets.byteswap()
        return starts.tobytes(), offsets.tobytes(), self.names

    @classmethod
    def from_bytes(cls, starts: bytes, offsets: bytes, names: bytes) -> SymbolTable:
        """Raises ValueError where the columns don't fit each other."""
        columns = array("Q"), array("Q")
        for column, data in zip(columns, (starts, offsets), strict=True):
            column.frombytes(data)
            if sys.byteorder == "big":
                column.byteswap()
        if len(columns[0]) != len(columns[1]):
            raise ValueError("columns of different length")
        return cls(columns[0], columns[1], names)


def _one_per_start(extents: Iterable[Extent], names: bytes) -> list[Extent]:
    out: list[Extent] = []
    for extent in sorted(extents):
        if out and out[-1].start == extent.start:
            if _preference(extent, names) < _preference(out[-1], names):
                out[-1] = extent
        else:
            out.append(extent)
    return out


def _preference(extent: Extent, names: bytes) -> tuple[object, ...]:
    name = cut_string(names, extent.name)
    return (extent.rank, len(name) - len(name.lstrip(b"_")), len(name), name)


def _flatten(extents: list[Extent]) -> list[tuple[int, int]]:
    """Sorted (start, name) without overlaps: the symbol that starts last wins, 0 where none covers."""
    out: list[tuple[int, int]] = []
    open_extents: list[tuple[int, int]] = []  # (end, name), outermost first

    def emit(position: int, name: int) -> None:
        if out and out[-1][0] == position:
            out[-1] = (position, name)
        elif (out[-1][1] if out else 0) != name:
            out.append((position, name))

    def close_until(position: int) -> None:
        while open_extents and open_extents[-1][0] <= position:
            end, _ = open_extents.pop()
            while open_extents and open_extents[-1][0] <= end:
                open_extents.pop()
            emit(end, open_extents[-1][1] if open_extents else 0)

    for index, (start, end, limit, _, name) in enumerate(extents):
        close_until(start)
        if end <= start:
            if open_extents:
                continue  # a label inside a function with a size
            following = extents[index + 1].start if index + 1 < len(extents) else limit
            end = min(following, limit) if limit > start else following
            if end <= start:
                continue
        emit(start, name)
        open_extents.append((end, name))
    close_until(1 << 64)
    return out
