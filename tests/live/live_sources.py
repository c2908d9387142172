"""A profile that grows as a test wants it to, and what a page would know of it."""

from __future__ import annotations

import base64
import collections
import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from dtrace_profiler.collector import Collector
from dtrace_profiler.live.feed import Message
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile, Unit

START_NS = 1_795_420_800_000_000_000
Rows = dict[str, list[int]]


def unpacked(times: dict[str, Any] | None, unit: Unit = "samples") -> Rows:
    """The rows of `times` as a snapshot or a file has them."""
    if times is None:
        return {"slot": [], "thread": [], "node": [], "value": []}
    count, packed = times["count"], zlib.decompress(base64.b64decode(times["packed"]))
    value = "i" if unit == "samples" else "d"
    numbers = struct.unpack(f"<{3 * count}i", packed[: 12 * count])
    return {
        "slot": list(numbers[:count]),
        "thread": list(numbers[count : 2 * count]),
        "node": list(numbers[2 * count :]),
        "value": [int(number) for number in struct.unpack(f"<{count}{value}", packed[12 * count :])],
    }


def row_sums(rows: Rows) -> dict[tuple[int, int, int], int]:
    """(slot, thread, node) → value."""
    out = collections.Counter[tuple[int, int, int]]()
    for slot, thread, node, value in zip(*(rows[name] for name in ("slot", "thread", "node", "value")), strict=True):
        out[slot, thread, node] += value
    return dict(out)


@dataclass
class Source:
    """What stands in for a profiler."""

    unit: Unit = "samples"
    running: bool = True
    collector: Collector = field(default_factory=Collector)
    losses: dict[str, int] = field(default_factory=dict)

    def meta(self) -> Meta:
        return Meta(
            engine="dtrace",
            unit=self.unit,
            frequency_hz=99,
            start_ns=START_NS,
            duration_ns=1_234_567_890,
            target="./server",
            losses=dict(self.losses),
        )

    def profile(self) -> Profile:
        return self.collector.snapshot(self.meta())

    def sample(
        self, *names: str, thread: int = 1, value: int = 1, count: int = 1, at_ms: int = 0, file: str = ""
    ) -> None:
        """`at_ms`: since `START_NS`, which is slot 0. `file`: of all frames, the first one in its line 1."""
        frames = tuple(
            StackFrame(name, "app", 0, file, line, 1, FrameKind.PYTHON)
            if file
            else StackFrame(name, "app", kind=FrameKind.PYTHON)
            for line, name in enumerate(names, 1)
        )
        node = self.collector.node(frames)
        for _ in range(count):
            self.collector.add(START_NS + at_ms * 1_000_000, 1, thread, node, value, 10)


class PageModel:
    """What `assets/store.js` does with messages."""

    def __init__(self) -> None:
        self.seq: int | None = None
        self.data: dict[str, Any] = {}
        self.rows: Rows = {}

    def take(self, messages: list[Message]) -> None:
        for message in messages:
            new = json.loads(message.data)
            if message.is_snapshot:
                self.data = new
                self.rows = unpacked(new["times"], new["meta"]["unit"])
            else:
                assert self.seq is not None
                assert message.seq == self.seq + 1, "a delta was left out"
                self._grow(new)
            self.seq = message.seq

    def _grow(self, new: dict[str, Any]) -> None:
        data = self.data
        data["strings"] += new.get("strings", [])
        for table in ("frames", "nodes", "values", "elided"):
            for name, column in new.get(table, {}).items():
                data[table].setdefault(name, []).extend(column)
        times = new.get("times", {})
        for name, column in self.rows.items():
            del column[: times.get("drop", 0)]
            column += times.get(name, [])
        for name in ("threads", "meta", "elided_nodes", "lost"):
            data[name] = new.get(name, data[name])

    def stacks(self, table: str = "values") -> dict[tuple[int, tuple[str, ...]], int]:
        """(thread's number, functions root first) → value."""
        data, out = self.data, collections.Counter[tuple[int, tuple[str, ...]]]()
        for thread, node, value in zip(*(data[table][name] for name in ("thread", "node", "value")), strict=True):
            names = []
            while node >= 0:
                assert data["nodes"]["parent"][node] < node
                names.append(data["strings"][data["frames"]["name"][data["nodes"]["frame"][node]]])
                node = data["nodes"]["parent"][node]
            out[data["threads"][thread]["thread_id"], tuple(reversed(names))] += value
        return dict(out)
