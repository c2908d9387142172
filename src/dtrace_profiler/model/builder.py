"""The only mutable store of a profile: frames, stacks and threads interned to integers, samples as columns.

Not thread-safe by itself: its one owner (the pipeline, a reader of a file) locks around it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import compress
from typing import NamedTuple

from dtrace_profiler.model.fold import PAIR
from dtrace_profiler.model.frame import Labels, StackFrame
from dtrace_profiler.model.profile import MappedFile, Meta, Profile, Thread

DEFAULT_MAX_SAMPLES = 4_000_000
"""At 28 bytes each about 110 MB: eleven hours of one busy thread at 99 Hz. Older samples make room."""
_SECOND_NS = 1_000_000_000


class Position(NamedTuple):
    """How much of a builder is known: so many frames, nodes, and samples (those that have expired, too)."""

    frames: int = 0
    nodes: int = 0
    samples: int = 0


class Growth(NamedTuple):
    """What came after a position: columns as in `Profile`, from the first new entry on; all threads."""

    frames: Sequence[StackFrame]
    parent: array[int]
    frame: array[int]
    threads: Sequence[Thread]
    thread: array[int]
    node: array[int]
    value: array[int]
    until: Position
    timestamp_ns: array[int]
    lost: Sequence[tuple[int, int]]
    """All, as in `Profile`."""
    missed: int
    """Samples that expired before they were asked for."""


class ProfileBuilder:
    """Interns stacks, appends samples, hands out snapshots."""

    def __init__(self, *, max_samples: int = DEFAULT_MAX_SAMPLES, keep_ns: int = 0) -> None:
        """`keep_ns`: only samples of the last so many nanoseconds are kept, and some of those before; 0: all."""
        self.frames: list[StackFrame] = []
        self.parent = array("i")
        self.frame = array("i")
        self.threads: list[Thread] = []
        self.timestamp_ns = array("q")
        self.thread = array("i")
        self.node = array("i")
        self.value = array("q")
        self.mapped_files: dict[MappedFile, None] = {}
        self.lost: dict[int, int] = {}
        """Second (UNIX epoch) → how much was lost in it."""
        self.expired_samples = 0
        """Samples dropped from the front because the store was full."""
        self._max_samples = max_samples
        self._keep_ns = keep_ns
        self._next_look_ns = 0
        """With `keep_ns`: when to look again for what is too old."""
        self._frame_ids: dict[StackFrame, int] = {}
        self._node_ids: dict[int, int] = {}
        """(parent + 1) * PAIR + frame → node. A number takes half the memory of a tuple."""
        self._thread_ids: dict[tuple[int, int], dict[Labels, int]] = {}

    def add_frame(self, frame: StackFrame) -> int:
        index = self._frame_ids.get(frame)
        if index is None:
            index = self._frame_ids[frame] = len(self.frames)
            self.frames.append(frame)
        return index

    def add_node(self, parent: int, frame: int) -> int:
        """The node of this frame (an index) under this parent (-1: a root)."""
        new = len(self.parent)
        node = self._node_ids.setdefault((parent + 1) * PAIR + frame, new)
        if node == new:
            self.parent.append(parent)
            self.frame.append(frame)
        return node

    def add_nodes(self, parents: Iterable[int], frames: Iterable[int]) -> array[int]:
        """`add_node` for each pair, twice as fast for millions."""
        ids, parent_column, frame_column = self._node_ids, self.parent, self.frame
        nodes = array("i")
        new = len(parent_column)
        for parent, frame in zip(parents, frames, strict=True):
            node = ids.setdefault((parent + 1) * PAIR + frame, new)
            if node == new:
                parent_column.append(parent)
                frame_column.append(frame)
                new += 1
            nodes.append(node)
        return nodes

    def add_path(self, frames: Iterable[int], parent: int = -1) -> list[int]:
        """The nodes of a stack of frames (indices), root first, that goes on from this node."""
        ids, parent_column, frame_column = self._node_ids, self.parent, self.frame
        nodes = []
        new = len(parent_column)
        for frame in frames:
            node = ids.setdefault((parent + 1) * PAIR + frame, new)
            if node == new:
                parent_column.append(parent)
                frame_column.append(frame)
                new += 1
            nodes.append(node)
            parent = node
        return nodes

    def add_stack(self, frames: Iterable[StackFrame]) -> int:
        """The leaf node of a stack given root first. At least one frame."""
        node = -1
        for frame in frames:
            node = self.add_node(node, self.add_frame(frame))
        if node < 0:
            raise ValueError("a stack has at least one frame")
        return node

    def add_thread(self, process_id: int, thread_id: int, name: str = "", labels: Labels = ()) -> int:
        """The index of a thread with these labels. Its first name is that of all of them."""
        known = self._thread_ids.setdefault((process_id, thread_id), {})
        if known and (name or labels not in known):
            first = self.threads[next(iter(known.values()))]
            if name and not first.name:
                for place in known.values():
                    self.threads[place] = replace(self.threads[place], name=name)
            name = first.name or name
        index = known.get(labels)
        if index is None:
            index = known[labels] = len(self.threads)
            self.threads.append(Thread(process_id=process_id, thread_id=thread_id, name=name, labels=labels))
        return index

    def add_sample(self, timestamp_ns: int, thread: int, node: int, value: int = 1) -> None:
        if len(self.node) >= self._max_samples:
            self._expire(max(1, self._max_samples // 4))
        if self._keep_ns and timestamp_ns >= self._next_look_ns:
            self._expire_before(timestamp_ns - self._keep_ns)
            self._next_look_ns = timestamp_ns + max(_SECOND_NS, self._keep_ns // 8)
        self.timestamp_ns.append(timestamp_ns)
        self.thread.append(thread)
        self.node.append(node)
        self.value.append(value)

    def add_values(self, thread: int, nodes: array[int], values: array[int]) -> None:
        """Many samples without times at once. They are not held to `max_samples`."""
        self.timestamp_ns.frombytes(bytes(8 * len(nodes)))
        self.thread.extend(array("i", [thread]) * len(nodes))
        self.node.extend(nodes)
        self.value.extend(values)

    def add_loss(self, timestamp_ns: int, count: int) -> None:
        second = timestamp_ns // _SECOND_NS
        self.lost[second] = self.lost.get(second, 0) + count

    def add_mapped_file(self, file: MappedFile) -> None:
        self.mapped_files.setdefault(file)

    def _expire(self, count: int) -> None:
        for column in (self.timestamp_ns, self.thread, self.node, self.value):
            del column[:count]
        self.expired_samples += count

    def _expire_before(self, timestamp_ns: int) -> None:
        """Samples come nearly in order: those in front of the first that is young enough. One that isn't, and comes
        behind it, goes the next time."""
        old = next((row for row, time in enumerate(self.timestamp_ns) if time >= timestamp_ns), len(self.node))
        if old:
            self._expire(old)
        for second in [second for second in self.lost if (second + 1) * _SECOND_NS <= timestamp_ns]:
            del self.lost[second]

    def grown(self, since: Position) -> Growth:
        """All that came after a position."""
        missed = max(0, self.expired_samples - since.samples)
        first = max(0, since.samples - self.expired_samples)
        return Growth(
            frames=self.frames[since.frames :],
            parent=self.parent[since.nodes :],
            frame=self.frame[since.nodes :],
            threads=tuple(self.threads),
            thread=self.thread[first:],
            node=self.node[first:],
            value=self.value[first:],
            until=Position(len(self.frames), len(self.parent), self.expired_samples + len(self.node)),
            timestamp_ns=self.timestamp_ns[first:],
            lost=self._lost(),
            missed=missed,
        )

    def snapshot(self, meta: Meta) -> Profile:
        """All so far, with `keep_ns` from the profile's start on; later additions don't change it."""
        columns = self.timestamp_ns, self.thread, self.node, self.value
        if self._keep_ns:
            kept = [time >= meta.start_ns for time in self.timestamp_ns]
            times, threads, nodes, values = (array(c.typecode, compress(c, kept)) for c in columns)
        else:
            times, threads, nodes, values = (column[:] for column in columns)
        return Profile(
            frames=tuple(self.frames),
            parent=self.parent[:],
            frame=self.frame[:],
            threads=tuple(self.threads),
            timestamp_ns=times,
            thread=threads,
            node=nodes,
            value=values,
            meta=meta,
            lost=self._lost(),
            mapped_files=tuple(self.mapped_files),
        )

    def _lost(self) -> tuple[tuple[int, int], ...]:
        return tuple((second * _SECOND_NS, count) for second, count in self.lost.items())
