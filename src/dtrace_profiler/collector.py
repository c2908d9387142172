"""Where samples of either engine arrive: a profile that grows, and a ring of samples nobody has taken yet.

Thread-safe. Both are bounded: the ring by `RING_SAMPLES`, the profile by the builder's limit; what had to go is
counted.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from operator import attrgetter

from dtrace_profiler.model.builder import Growth, Position, ProfileBuilder
from dtrace_profiler.model.frame import Labels, Sample, StackFrame
from dtrace_profiler.model.profile import MappedFile, Meta, Profile
from dtrace_profiler.record.recording import RecordingWriter

SamplerSample = tuple[int, int, int, tuple[StackFrame, ...], int]
"""(timestamp_ns, process_id, thread_id, frames root first, cpu_time_ns)"""
SampleSink = Callable[[Iterable[SamplerSample]], None]

LabelSource = Callable[[int, int], Labels | None]
"""(native thread id, timestamp_ns) → labels; None where that isn't known any more."""

MOST_LABEL_SETS = 10_000
"""Different ones of a profile. Samples with others count, without labels, in `labels_dropped`."""
RING_SAMPLES = 100_000
"""Samples kept for `take_samples`: a thousand seconds of one busy thread at 99 Hz. The oldest make room."""


class Collector:
    """`previous`: the one of an earlier run, whose samples can still be taken. `keep_s`: the profile is only of the
    last so many seconds; 0: of all."""

    def __init__(
        self,
        *,
        ring_samples: int = RING_SAMPLES,
        previous: Collector | None = None,
        keep_s: float = 0.0,
        labels: LabelSource | None = None,
    ) -> None:
        """`labels`: of the threads of this process."""
        self.keep_s = keep_s
        self._labels = labels
        self._process_id = os.getpid()
        self._label_sets: set[Labels] = {()}
        self.labels_dropped = 0
        """Samples whose labels are not known any more, or were too many different ones."""
        self._lock = threading.Lock()
        self._ring: deque[Sample] = deque(previous.take() if previous is not None else (), maxlen=ring_samples)
        self._builder = ProfileBuilder(keep_ns=self._keep_ns)
        self._stacks: dict[int, tuple[StackFrame, ...]] = {}
        self.not_taken = 0
        """Samples that left the ring before anybody took them. The profile still has them."""
        self.total = 0
        """Samples that ever arrived."""
        self.cpu_time_ns = 0
        """Of all of these."""
        self.watched = False
        """Somebody looks at the samples as they come: to show them soon is worth some CPU time."""
        self.arrived = threading.Event()
        """Set with each sample. Who waits for it clears it."""

    @property
    def expired(self) -> int:
        """Samples that the profile has dropped because it was full."""
        return 0 if self.keep_s else self._builder.expired_samples

    def node(self, frames: Sequence[StackFrame]) -> int:
        """The number of a stack, root first."""
        with self._lock:
            node = self._builder.add_stack(frames)
            self._stacks.setdefault(node, tuple(frames))
            return node

    def mapped(self, file: MappedFile) -> None:
        with self._lock:
            self._builder.add_mapped_file(file)

    def name_thread(self, process_id: int, thread_id: int, name: str) -> None:
        with self._lock:
            self._builder.add_thread(process_id, thread_id, name)

    def add(
        self, timestamp_ns: int, process_id: int, thread_id: int, node: int, value: int, cpu_time_ns: int
    ) -> Labels:
        """One sample of the stack `node`. Returns the labels that it got."""
        with self._lock:
            labels = self._labels_of(process_id, thread_id, timestamp_ns) if self._labels is not None else ()
            thread = self._builder.add_thread(process_id, thread_id, labels=labels)
            self._builder.add_sample(timestamp_ns, thread, node, value)
            if len(self._ring) == self._ring.maxlen:
                self.not_taken += 1
            self._ring.append(Sample(thread_id, process_id, timestamp_ns, self._stacks[node], cpu_time_ns, labels))
            self.total += 1
            self.cpu_time_ns += cpu_time_ns
        if not self.arrived.is_set():
            self.arrived.set()
        return labels

    def _labels_of(self, process_id: int, thread_id: int, timestamp_ns: int) -> Labels:
        if self._labels is None or process_id != self._process_id:
            return ()
        labels = self._labels(thread_id, timestamp_ns)
        if labels is not None and (labels in self._label_sets or len(self._label_sets) <= MOST_LABEL_SETS):
            self._label_sets.add(labels)
            return labels
        self.labels_dropped += 1
        return ()

    def lost(self, timestamp_ns: int, count: int) -> None:
        """When something was lost. What and how much in all is the engine's to say."""
        with self._lock:
            self._builder.add_loss(timestamp_ns, count)

    def take(self) -> list[Sample]:
        """All samples since the last call, oldest first. Takes them out."""
        with self._lock:
            taken, self._ring = self._ring, deque(maxlen=self._ring.maxlen)
        # They come from a buffer of each CPU, one after the other.
        return sorted(taken, key=attrgetter("timestamp_ns"))

    def sink(self, recording: RecordingWriter | None) -> SampleSink:
        """What the embedded sampler gives its samples to."""
        stacks: dict[tuple[StackFrame, ...], int] = {}

        def take(samples: Iterable[SamplerSample]) -> None:
            for timestamp_ns, process_id, thread_id, frames, cpu_time_ns in samples:
                node = stacks.get(frames)
                if node is None:
                    node = stacks[frames] = self.node(frames)
                    if recording is not None:
                        recording.stack([0, 0, 0, node, 0], frames)
                labels = self.add(timestamp_ns, process_id, thread_id, node, cpu_time_ns, cpu_time_ns)
                if recording is not None:
                    recording.fact("sample", [timestamp_ns, process_id, thread_id, node, cpu_time_ns])
                    if labels:
                        recording.labelled(timestamp_ns, labels)
            if recording is not None:
                recording.flush()

        return take

    def grown(self, since: Position) -> Growth:
        """All that came after a position."""
        with self._lock:
            return self._builder.grown(since)

    @property
    def _keep_ns(self) -> int:
        return int(self.keep_s * 1_000_000_000)

    def kept(self, meta: Meta) -> Meta:
        """The same of what is kept."""
        begin_ns = meta.start_ns + max(0, meta.duration_ns - self._keep_ns)
        if not self.keep_s or begin_ns == meta.start_ns:
            return meta
        return replace(meta, start_ns=begin_ns, duration_ns=self._keep_ns)

    def snapshot(self, meta: Meta) -> Profile:
        with self._lock:
            return self._builder.snapshot(meta)

    def after_fork(self) -> None:
        """In a forked child. Another thread may have held the lock; samples nobody has taken are the parent's."""
        self._lock = threading.Lock()
        self.arrived = threading.Event()
        self._ring = deque(maxlen=self._ring.maxlen)
