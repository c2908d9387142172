"""When the samples of a page were taken: rows of (slot of 20 ms, thread, node, value), the newest `MAX_ROWS`.

Samples of one slot, thread and node are one row, where they count 1 each. Nanoseconds are left apart: the errors need
each one's square.

    base_ms     UNIX epoch of slot 0, a whole second
    slot_ms     20
    packed      base64 of zlib of the columns slot, thread, node (32 bits), value (32 bits, of nanoseconds a
                64-bit float), little-endian, one after the other; `count` rows, before which `dropped` ones had to go
    or slot, thread, node, value    a column each; in a delta: what is added, behind `drop` rows fewer in front

`node` is that of `values`; one of `elided` is -2 - node (so -1 is left out below the root).
"""

from __future__ import annotations

import base64
import sys
import zlib
from array import array
from collections.abc import Iterable
from typing import Any

SLOT_MS = 20
MAX_ROWS = 4_000_000
"""About 80 MB in the page, 50 here: an hour and more of eleven busy threads at 99 Hz."""
_LONGEST_NS = 0x4000_0000 * SLOT_MS * 1_000_000
_NS_A_SLOT = SLOT_MS * 1_000_000
_NS_A_SECOND = 1_000_000_000

Row = tuple[int, int, int, int]
"""(timestamp_ns, thread, node, value); `node` as in the page, -2 - node of one left out."""


class TimeRows:
    """Samples without a time are left out."""

    def __init__(self, *, merge: bool, max_rows: int = MAX_ROWS) -> None:
        """`merge`: samples of a slot, thread and node are one row."""
        self.base_ns = 0
        """A whole second, not after the first sample, nor after the profile's start; 0 until there is a sample."""
        self._merge = merge
        self._dropped = 0
        self._max_rows = max_rows
        self._slot = array("i")
        self._thread = array("i")
        self._node = array("i")
        self._value = array("i") if merge else array("d")

    def __len__(self) -> int:
        return len(self._slot)

    def extend(self, rows: Iterable[Row], start_ns: int = 0) -> dict[str, Any] | None:
        """Adds rows; returns what a delta says of them, None for nothing. `start_ns`: of the profile, 0 not known."""
        timed = [row for row in rows if row[0] > 0]
        if not timed:
            return None
        if not self.base_ns:
            first = min(row[0] for row in timed)
            # Where the start is not known, those of another processor, which come later, may be a little older.
            first = start_ns if 0 < start_ns <= first < start_ns + _LONGEST_NS else first - _NS_A_SECOND
            self.base_ns = first - first % _NS_A_SECOND
        base = self.base_ns
        old = len(self._slot)
        if self._merge:
            sums: dict[tuple[int, int, int], int] = {}
            for time, thread, node, value in timed:
                key = (max(0, time - base) // _NS_A_SLOT, thread, node)
                sums[key] = sums.get(key, 0) + value
            for (slot, thread, node), value in sums.items():
                self._add(slot, thread, node, value)
        else:
            for time, thread, node, value in timed:
                self._add(max(0, time - base) // _NS_A_SLOT, thread, node, value)
        delta: dict[str, Any] = {
            "base_ms": base // 1_000_000,
            "slot": self._slot[old:].tolist(),
            "thread": self._thread[old:].tolist(),
            "node": self._node[old:].tolist(),
            "value": [int(value) for value in self._value[old:]],
        }
        if len(self._slot) > self._max_rows:
            # Many at once: each time, all that stay are moved.
            delta["drop"] = self._drop(len(self._slot) - self._max_rows + self._max_rows // 8)
        return delta

    def whole(self) -> dict[str, Any]:
        """All rows, packed."""
        columns: list[array[int] | array[float]] = [self._slot, self._thread, self._node, self._value]
        if sys.byteorder != "little":
            columns = [column[:] for column in columns]
            for column in columns:
                column.byteswap()
        packer = zlib.compressobj(1)
        packed = b"".join([*(packer.compress(memoryview(column)) for column in columns), packer.flush()])
        return {
            "base_ms": self.base_ns // 1_000_000,
            "slot_ms": SLOT_MS,
            "count": len(self._slot),
            "dropped": self._dropped,
            "packed": base64.b64encode(packed).decode("ascii"),
        }

    def _add(self, slot: int, thread: int, node: int, value: int) -> None:
        self._slot.append(min(slot, 0x4000_0000))
        self._thread.append(thread)
        self._node.append(node)
        self._value.append(min(value, 0x7FFF_FFFF) if self._merge else value)

    def _drop(self, count: int) -> int:
        count = min(count, len(self._slot))
        for column in (self._slot, self._thread, self._node, self._value):
            del column[:count]
        self._dropped += count
        return count
