"""A profile that grows as a test wants it to, and what a page would know of it."""

from __future__ import annotations

import collections
import json
from dataclasses import dataclass, field
from typing import Any

from dtrace_profiler.collector import Collector
from dtrace_profiler.live.feed import Message
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile, Unit


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
            start_ns=1_795_420_800_000_000_000,
            duration_ns=1_234_567_890,
            target="./server",
            losses=dict(self.losses),
        )

    def profile(self) -> Profile:
        return self.collector.snapshot(self.meta())

    def sample(self, *names: str, thread: int = 1, value: int = 1, count: int = 1) -> None:
        frames = tuple(StackFrame(name, "app", kind=FrameKind.PYTHON) for name in names)
        node = self.collector.node(frames)
        for _ in range(count):
            self.collector.add(self.collector.total, 1, thread, node, value, 10)


class PageModel:
    """What `assets/store.js` does with messages."""

    def __init__(self) -> None:
        self.seq: int | None = None
        self.data: dict[str, Any] = {}

    def take(self, messages: list[Message]) -> None:
        for message in messages:
            new = json.loads(message.data)
            if message.is_snapshot:
                self.data = new
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
        for name in ("threads", "meta", "elided_nodes"):
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
