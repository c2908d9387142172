"""A profile: columns that never change.

A stack is one integer: a node of a prefix tree, whose parents lead to the root. A sample is a time, a thread, a
node and a value. Views, exports and the live page are functions of this.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from dtrace_profiler.model.frame import Labels, Sample, StackFrame

Unit = Literal["samples", "nanoseconds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """Where a profile comes from. Empty or 0 where not known, as for a file of folded stacks."""

    engine: str = ""
    """`dtrace`, `sampler`, or the format's name for a file that was read."""
    unit: Unit = "samples"
    """Of every value. The sampler's values are nanoseconds of CPU time."""
    frequency_hz: int = 0
    start_ns: int = 0
    """UNIX epoch."""
    duration_ns: int = 0
    target: str = ""
    """The command line or `pid N` that was profiled."""
    system: str = ""
    """Operating system, release, machine."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """`dtrace-profiler`, `dtrace`, `python` (the target's) …"""
    losses: Mapping[str, int] = field(default_factory=dict)
    """What is missing, by name (`drops`, `walk_faults`, `truncated` …), in samples unless the name says else."""
    notes: Sequence[str] = ()
    """Sentences a person should read beside the numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """With one set of labels: a thread whose work had several stands in a profile as often."""

    process_id: int
    thread_id: int
    name: str = ""
    labels: Labels = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedFile:
    """Code of a file that was sampled, and where it lay in a process: what says which file an address is in."""

    process_id: int
    """0 where not known."""
    start: int
    end: int
    """Addresses in the process, half open."""
    offset: int
    """Of `start` in the file, bytes."""
    path: str
    """As the process saw it."""
    build_id: str = ""
    """Hexadecimal digits; empty where the file has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Lengths: `parent` and `frame` one entry a node; the four sample columns one entry a sample.

    `parent[n] < n` for every node n, -1 for a root. `frame[n]` indexes `frames`. The same (parent, frame) pair
    stands once. Samples without times (folded files) have `timestamp_ns` 0 and may carry large values.
    """

    frames: Sequence[StackFrame]
    parent: array[int]
    frame: array[int]
    threads: Sequence[Thread]
    timestamp_ns: array[int]
    thread: array[int]
    """Index into `threads`."""
    node: array[int]
    """The stack's leaf node."""
    value: array[int]
    meta: Meta
    lost: Sequence[tuple[int, int]] = ()
    """When something was lost: (timestamp_ns, count), to the second. Losses of unknown times are in `meta` alone."""
    mapped_files: Sequence[MappedFile] = ()
    """Those that native frames with an address are of, as far as they are known."""

    def __len__(self) -> int:
        return len(self.node)

    def __repr__(self) -> str:
        """Short: the columns may have millions of entries."""
        threads = len({(thread.process_id, thread.thread_id) for thread in self.threads})
        seconds = self.meta.duration_ns / 1e9
        return f"<Profile of {self.meta.target!r}: {len(self):,} samples of {threads} threads in {seconds:.3f} s>"

    @property
    def total(self) -> int:
        """Sum of all values, in `meta.unit`."""
        return sum(self.value)

    def stack(self, node: int) -> tuple[StackFrame, ...]:
        """The frames that end at this node, root first."""
        out: list[StackFrame] = []
        while node >= 0:
            out.append(self.frames[self.frame[node]])
            node = self.parent[node]
        out.reverse()
        return tuple(out)

    def samples(self) -> Iterator[Sample]:
        """Public samples, oldest first."""
        period = 1_000_000_000 // self.meta.frequency_hz if self.meta.frequency_hz else 0
        stacks: dict[int, tuple[StackFrame, ...]] = {}
        times = self.timestamp_ns
        for index in sorted(range(len(times)), key=times.__getitem__):
            time, thread, node, value = times[index], self.thread[index], self.node[index], self.value[index]
            frames = stacks.get(node)
            if frames is None:
                frames = stacks[node] = self.stack(node)
            who = self.threads[thread]
            cpu = value if self.meta.unit == "nanoseconds" else value * period
            yield Sample(who.thread_id, who.process_id, time, frames, cpu, who.labels)

    def without_labels(self) -> Profile:
        """The same with each thread once. For what keeps threads apart, and has no place for labels."""
        if not any(thread.labels for thread in self.threads):
            return self
        places: dict[Thread, int] = {}
        of = [places.setdefault(replace(thread, labels=()), len(places)) for thread in self.threads]
        return replace(self, threads=tuple(places), thread=array("i", [of[thread] for thread in self.thread]))

    def stack_values(self) -> dict[int, int]:
        """Leaf node → value summed over all samples."""
        out: dict[int, int] = {}
        for node, value in zip(self.node, self.value, strict=True):
            out[node] = out.get(node, 0) + value
        return out
