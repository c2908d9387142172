"""The embedded sampler: Python stacks of this process, without DTrace.

A sample's weight is the CPU time its thread has really used, so that a profile means the same as DTrace's: a thread
that sleeps or waits yields nothing. Only Python frames, though: what C code does below them stays unseen.

In a forked child sampling has ended: what it would find belongs to no profile of the parent's. It may be started
there anew.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Container, Iterable
from typing import Any

from dtrace_profiler.errors import EngineError
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.options import Options
from dtrace_profiler.own_threads import add_engine
from dtrace_profiler.platforms.base import system
from dtrace_profiler.platforms.cpu_clocks import clock_source
from dtrace_profiler.sampling.stacks import StackTable
from dtrace_profiler.sampling.target.core import NOTE_WITHOUT_CLOCKS, Sampler
from dtrace_profiler.sampling.target.host import unsafe_here

SamplerSample = tuple[int, int, int, tuple[StackFrame, ...], int]
"""(timestamp_ns, process_id, thread_id, frames root first, cpu_time_ns)"""
SampleSink = Callable[[Iterable[SamplerSample]], None]

HAND_OVER_NS = 20_000_000
"""Samples are handed over in batches of this age: later than that only while the program keeps the GIL."""


class EmbeddedSampler:
    """Samples all threads of this process with a Python stack, those started later too.

    `sink` is called by the sampler's own thread and must not raise. `own_threads`: native ids of threads of ours,
    looked at for each sample. Raises `EngineError` where stacks can't be read safely.
    """

    def __init__(self, options: Options, sink: SampleSink, *, own_threads: Container[int] = ()) -> None:
        reason = unsafe_here()
        if reason:
            raise EngineError(f"the embedded sampler can't run: {reason}")
        clocks = _open_clocks()
        self.notes: tuple[str, ...] = () if clocks is not None else (NOTE_WITHOUT_CLOCKS,)
        """Sentences for a person, known from the beginning."""
        self._sampler = Sampler(
            1_000_000_000 // options.frequency_hz,
            options.depth,
            _SinkOutput(sink),
            clocks=clocks,
            own_threads=own_threads,
        )
        add_engine(self)

    def start(self) -> None:
        """Returns at once. Nothing happens where it runs. `EngineError` where no thread can be started."""
        try:
            self._sampler.start()
        except RuntimeError as error:
            raise EngineError(f"the embedded sampler can't start a thread: {error}.") from None

    def stop(self) -> None:
        """Take a last sample and hand everything over; nothing happens where it has ended. May be started again."""
        self._sampler.stop()

    @property
    def running(self) -> bool:
        return self._sampler.running

    def own_threads(self) -> set[int]:
        """The native id of the thread that samples."""
        return {self._sampler.native_id} if self._sampler.running else set()

    @property
    def losses(self) -> dict[str, int]:
        """By name, see `Sampler.losses`."""
        return dict(self._sampler.losses)


class _SinkOutput:
    """The sampler's `Output` into a sink of this process."""

    def __init__(self, sink: SampleSink) -> None:
        self._sink = sink
        self._process_id = os.getpid()
        self._table = StackTable()
        self._batch: list[SamplerSample] = []
        self._handed_over_ns = 0
        self.frame = self._table.add_frame
        self.stack = self._table.add_stack
        self.forget = self._table.forget

    def sample(self, timestamp_ns: int, thread_id: int, stack: int, cpu_ns: int) -> None:
        self._batch.append((timestamp_ns, self._process_id, thread_id, self._table.stack(stack), cpu_ns))

    def flush(self, now_ns: int, force: bool) -> bool:
        if self._batch and (force or now_ns - self._handed_over_ns >= HAND_OVER_NS):
            self._handed_over_ns = now_ns
            batch, self._batch = self._batch, []
            self._sink(batch)
        return True

    def close(self) -> None:
        pass

    def after_fork(self, follow: bool) -> None:
        self._process_id = os.getpid()
        self._batch = []


def _open_clocks() -> Any:
    path = clock_source(system())
    if path is None:
        return None
    spec = importlib.util.spec_from_file_location(f"dtrace_profiler.platforms.cpu_clocks.{path.stem}", path)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.open_clocks()
