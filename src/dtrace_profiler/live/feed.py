"""A profile that grows, as the page gets it: a snapshot for who comes, deltas for who is there.

In: a `Collector`, and what is known of the profile besides. Out: JSON in the form of `formats.page_data`. New
strings, frames and nodes are in one delta, and never again; values are what was added. Each delta's `seq` is one more
than that of the delta before, and a snapshot's is that of the last delta in it: so nothing is counted twice.
"""

from __future__ import annotations

import json
import threading
import time
from array import array
from collections import deque
from typing import Any, NamedTuple, Protocol

from dtrace_profiler.collector import Collector
from dtrace_profiler.formats import FORMATS
from dtrace_profiler.formats.page_data import (
    MAX_NODES,
    VERSION,
    Columns,
    Strings,
    add_frame,
    frame_key,
    no_frames,
    page_lost,
    page_meta,
    page_threads,
)
from dtrace_profiler.formats.page_times import MAX_ROWS, TimeRows
from dtrace_profiler.model.builder import Growth, Position
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.model.shown_threads import ShownThreads

KEPT_DELTAS = 100
KEPT_BYTES = 4 << 20
"""Of the last deltas. Who is further behind gets a snapshot."""


_SECOND_NS = 1_000_000_000
_NOT_LOST = ("not_taken", "expired_samples", "labels_dropped")
"""These are in the page."""


class LiveSource(Protocol):
    """What samples. `collector` is another one when it has been started again."""

    @property
    def collector(self) -> Collector: ...
    @property
    def running(self) -> bool: ...
    def meta(self) -> Meta: ...
    def profile(self) -> Profile: ...


class Message(NamedTuple):
    """`data`: JSON. After it the page is at `seq`."""

    seq: int
    is_snapshot: bool
    data: bytes


class _Values:
    """Sums by (thread, node): all, and those since the last delta."""

    def __init__(self, *, squares: bool) -> None:
        self._squares = squares
        self._all: dict[tuple[int, int], list[int]] = {}
        self._new: dict[tuple[int, int], list[int]] = {}

    def add(self, thread: int, node: int, value: int) -> None:
        row = self._new.setdefault((thread, node), [0, 0])
        row[0] += value
        row[1] += value * value

    def take_new(self) -> Columns | None:
        """What was added since the last time; None where nothing was."""
        new, self._new = self._new, {}
        for key, (value, square) in new.items():
            row = self._all.setdefault(key, [0, 0])
            row[0] += value
            row[1] += square
        return self._columns(new) if new else None

    def all(self) -> Columns:
        return self._columns(self._all)

    def _columns(self, rows: dict[tuple[int, int], list[int]]) -> Columns:
        columns: Columns = {
            "thread": [thread for thread, _ in rows],
            "node": [node for _, node in rows],
            "value": [value for value, _ in rows.values()],
        }
        if self._squares:
            columns["square"] = [square for _, square in rows.values()]
        return columns


class Feed:
    """`tick` is for one thread, `after` for any. Beyond `max_nodes`, what is new counts for the caller it has.

    `first_seq`: of the snapshot that it begins with. `max_rows`: of the samples' times.
    """

    def __init__(
        self, source: LiveSource, *, first_seq: int = 0, max_nodes: int = MAX_NODES, max_rows: int = MAX_ROWS
    ) -> None:
        self.collector = source.collector
        self.seq = first_seq
        self._source = source
        self._max_nodes = max_nodes
        self._lock = threading.Lock()
        self._position = Position()
        self._strings = Strings()
        self._frames = no_frames()
        self._frame_ids: dict[tuple[object, ...], int] = {}
        self._files: set[int] = set()
        """Strings that are files of frames."""
        self._of_frame = array("i")
        """Frame of the profile → of the page."""
        self._parents = array("i")
        self._node_frames = array("i")
        self._node_ids: dict[tuple[int, int], int] = {}
        self._of_node = array("i")
        """Node of the profile → of the page, or of the next caller that the page has; -1: none."""
        self._left_out = bytearray()
        """Node of the profile → 1 where it is the caller's."""
        squares = source.meta().unit != "samples"
        self._values, self._elided = _Values(squares=squares), _Values(squares=squares)
        self._elided_nodes = 0
        self._times = TimeRows(merge=not squares, max_rows=max_rows)
        self._lost: Columns = page_lost((), 0)
        self._samples: list[int] = []
        self._shown = ShownThreads()
        self._threads: list[dict[str, Any]] = []
        self._page_meta: dict[str, Any] = {}
        self._deltas: deque[Message] = deque()
        self._deltas_bytes = 0
        self._snapshot: Message | None = None

    def tick(self) -> bool:
        """Take in what is new. Returns whether there was anything."""
        meta = self._meta()  # before the samples: of a profile that has ended all are there
        growth = self.collector.grown(self._position)
        self._date_losses(meta["losses"], growth)
        with self._lock:
            delta = self._delta(growth, meta)
            if len(delta) == 0:
                return False
            self.seq += 1
            message = Message(self.seq, False, _json({"seq": self.seq, **delta}))
            self._snapshot = None
            self._deltas.append(message)
            self._deltas_bytes += len(message.data)
            while len(self._deltas) > KEPT_DELTAS or self._deltas_bytes > KEPT_BYTES:
                self._deltas_bytes -= len(self._deltas.popleft().data)
            return True

    def after(self, seq: int | None) -> list[Message]:
        """What brings a page that is at `seq` (None: a new one) to where we are; empty where it is there already."""
        with self._lock:
            if seq == self.seq:
                return []
            if seq is not None and self._deltas and self._deltas[0].seq <= seq + 1 <= self.seq:
                return [message for message in self._deltas if message.seq > seq]
            if self._snapshot is None:
                self._snapshot = Message(self.seq, True, _json(self._whole()))
            return [self._snapshot]

    def file_name(self, string: int) -> str | None:
        """The file that the page knows as this string; None where that is no file of a frame."""
        with self._lock:
            known = string in self._files
            return self._strings.list[string] if known else None

    def _meta(self) -> dict[str, Any]:
        running = self._source.running
        meta = page_meta(self._source.meta(), live="running" if running else "ended")
        meta["keep_s"] = self.collector.keep_s
        meta["saves"] = [item.name for item in FORMATS if item.writes]
        if self.collector.keep_s:
            meta["start_ms"] -= meta["start_ms"] % 1000
        if running:
            meta["duration_ns"] -= meta["duration_ns"] % _SECOND_NS  # else each delta would have all of it
        return meta

    def _date_losses(self, losses: dict[str, int], growth: Growth) -> None:
        """What an engine counts without saying when was lost since the last look."""
        undated = sum(count for name, count in losses.items() if name not in _NOT_LOST)
        undated -= sum(count for _, count in growth.lost)
        if undated > 0:
            self.collector.lost(time.time_ns(), undated)

    def _delta(self, growth: Growth, meta: dict[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        strings, frames, nodes = len(self._strings.list), len(self._frames["name"]), len(self._parents)
        elided_nodes = self._elided_nodes
        self._add_frames(growth)
        self._add_nodes(growth)
        self._shown.extend(growth.threads)
        self._samples.extend([0] * (len(self._shown.threads) - len(self._samples)))
        of_threads = [self._shown.of[thread] for thread in growth.thread]
        for thread, node, value in zip(of_threads, growth.node, growth.value, strict=True):
            self._samples[thread] += 1
            (self._elided if self._left_out[node] else self._values).add(thread, self._of_node[node], value)
        self._position = growth.until
        places = [-2 - self._of_node[node] if self._left_out[node] else self._of_node[node] for node in growth.node]
        times = self._times.extend(
            (row for row in zip(growth.timestamp_ns, of_threads, places, growth.value, strict=True) if row[3]),
            meta["start_ms"] * 1_000_000,
        )
        if times is not None:
            out["times"] = times
        lost = page_lost(growth.lost, self._times.base_ns)
        if lost != self._lost:
            out["lost"] = self._lost = lost
        if len(self._strings.list) > strings:
            out["strings"] = self._strings.list[strings:]
        if len(self._frames["name"]) > frames:
            out["frames"] = {name: column[frames:] for name, column in self._frames.items()}
        if len(self._parents) > nodes:
            out["nodes"] = {"parent": list(self._parents[nodes:]), "frame": list(self._node_frames[nodes:])}
        threads = page_threads(self._shown.threads, self._samples)
        if threads != self._threads:
            out["threads"] = self._threads = threads
        if (values := self._values.take_new()) is not None:
            out["values"] = values
        if (elided := self._elided.take_new()) is not None:
            out["elided"] = elided
        if self._elided_nodes > elided_nodes:
            out["elided_nodes"] = self._elided_nodes
        if meta != self._page_meta:
            out["meta"] = self._page_meta = meta
        return out

    def _add_frames(self, growth: Growth) -> None:
        for frame in growth.frames:
            new = len(self._frames["name"])
            found = self._frame_ids.setdefault(frame_key(frame), new)
            if found == new:
                add_frame(self._frames, self._strings, frame)
                if frame.file:
                    self._files.add(self._frames["file"][-1])
            self._of_frame.append(found)

    def _add_nodes(self, growth: Growth) -> None:
        for old_parent, old_frame in zip(growth.parent, growth.frame, strict=True):
            parent = self._of_node[old_parent] if old_parent >= 0 else -1
            key = parent, self._of_frame[old_frame]
            node = None if old_parent >= 0 and self._left_out[old_parent] else self._node_ids.get(key)
            if node is None:
                if len(self._parents) >= self._max_nodes or (old_parent >= 0 and self._left_out[old_parent]):
                    self._elided_nodes += 1
                    self._of_node.append(parent)
                    self._left_out.append(1)
                    continue
                node = self._node_ids[key] = len(self._parents)
                self._parents.append(parent)
                self._node_frames.append(key[1])
            self._of_node.append(node)
            self._left_out.append(0)

    def _whole(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "seq": self.seq,
            "strings": self._strings.list,
            "frames": self._frames,
            "nodes": {"parent": list(self._parents), "frame": list(self._node_frames)},
            "threads": self._threads,
            "values": self._values.all(),
            "elided": self._elided.all(),
            "elided_nodes": self._elided_nodes,
            "times": self._times.whole() if self._times else None,
            "lost": self._lost,
            "meta": self._page_meta or self._meta(),
        }


def _json(what: object) -> bytes:
    """One line: an event of a stream can't hold more."""
    return json.dumps(what, separators=(",", ":"), ensure_ascii=True).encode("ascii")
