"""Records → samples with named frames, in the collector.

Keeps what is needed between records: the stacks by number, the processes, and for each combination of stacks the
node it became. One thread uses it, but for `process`.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Set
from typing import Generic, TypeVar

from dtrace_profiler.collector import Collector
from dtrace_profiler.cpython.glue import is_start
from dtrace_profiler.merge import MergeRequest, merge
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.options import Options
from dtrace_profiler.platforms.processes import thread_name
from dtrace_profiler.python_processes import NamedStack, PythonProcesses
from dtrace_profiler.record.parse import NativeStack, SampleRecord
from dtrace_profiler.record.program import MAX_NATIVE_FRAMES
from dtrace_profiler.record.recording import RecordingWriter
from dtrace_profiler.stacks import TRUNCATED, UNKNOWN, NativeFrames, NativeProcess, kernel_frames, named_stack
from dtrace_profiler.symbols.native import Symboliser

_PENDING_S = 5.0
"""Each CPU has a buffer of its own: a sample may come before the stack it names, but not by more than this."""
_MAX_DEFINITIONS = 1 << 18
"""Stacks remembered by number. One that was forgotten and comes again is counted as undefined."""

Value = TypeVar("Value")


class _Bounded(dict[int, Value], Generic[Value]):
    """The oldest entries make room for new ones."""

    def __setitem__(self, key: int, value: Value) -> None:
        if len(self) >= _MAX_DEFINITIONS:
            for old in list(self)[: _MAX_DEFINITIONS // 4]:
                del self[old]
        super().__setitem__(key, value)


class Resolver:
    """`lose` counts what is missing, by name. `own_threads`: native ids of ours, which no profile shows."""

    def __init__(
        self,
        options: Options,
        collector: Collector,
        *,
        recording: RecordingWriter | None,
        lose: Callable[..., None],
        own_threads: Callable[[], Set[int]],
    ) -> None:
        self._options = options
        self._collector = collector
        self.recording = recording
        self._lose = lose
        self._own_threads = own_threads
        self._own_pid = os.getpid()
        self._period_ns = 1_000_000_000 // options.frequency_hz
        self._native_limit = min(options.depth, MAX_NATIVE_FRAMES)
        self._symboliser = Symboliser()
        self._processes: dict[int, NativeProcess] = {}
        self._former: dict[int, list[tuple[int, NativeProcess]]] = {}
        """Of processes that have executed another program: (until when, what they were), in order."""
        self._ended: deque[tuple[float, int, NativeProcess | None]] = deque()
        """(when, pid, what it was)."""
        self._natives: _Bounded[tuple[bytes, ...]] = _Bounded()
        self._kernels: _Bounded[tuple[bytes, ...]] = _Bounded()
        self._nodes: dict[tuple[int, ...], tuple[int, tuple[str, ...]]] = {}
        """Of each program and combination of stacks: its node, and what is missing from it."""
        self._recorded: dict[tuple[int, ...], int] = {}
        self._pending: deque[tuple[float, SampleRecord]] = deque()
        self._threads_seen: set[tuple[int, int]] = set()
        self.python: PythonProcesses | None = None

    def process(self, pid: int) -> NativeProcess:
        """What is known of a process. Any thread: call it early, while it lives."""
        process = self._processes.get(pid)
        if process is None:
            process = self._processes.setdefault(pid, NativeProcess(pid, self._symboliser))
        return process

    def new_image(self, pid: int, at_ns: int) -> None:
        """A new process, or another program in it: from then on no address means what it meant. Any thread."""
        former = self._processes.get(pid)
        if former is not None:
            former.retire()
            self._former.setdefault(pid, []).append((at_ns, former))
        self._processes[pid] = NativeProcess(pid, self._symboliser)

    def ended(self, pid: int) -> None:
        """What is known of it is kept for samples that another CPU's buffer still holds. One thread."""
        now = time.monotonic()
        self._ended.append((now, pid, self._processes.get(pid)))
        while self._ended and now - self._ended[0][0] > 2 * _PENDING_S:
            _, pid, process = self._ended.popleft()
            if self._processes.get(pid) is process:  # the number is not another's by now
                self._processes.pop(pid, None)
                self._former.pop(pid, None)

    def _image(self, record: SampleRecord) -> tuple[int, NativeProcess]:
        """(number, process) of the program that was sampled: samples may come after a later exec."""
        former = self._former.get(record.process_id, ())
        for number, (until_ns, process) in enumerate(former):
            if record.timestamp_ns < until_ns:
                return number, process
        return len(former), self.process(record.process_id)

    def define(self, stack: NativeStack) -> None:
        (self._kernels if stack.kernel else self._natives)[stack.number] = stack.frames

    def sample(self, record: SampleRecord) -> None:
        if record.process_id == self._own_pid and record.thread_id in self._own_threads():
            return
        if self._defined(record):
            self._add(record)
        else:
            self._pending.append((time.monotonic(), record))

    def retry(self, *, give_up: bool = False) -> None:
        """Samples that came before their stacks. Those that have waited long enough are taken as they are."""
        latest = time.monotonic() - _PENDING_S
        for _ in range(len(self._pending)):
            arrived, record = self._pending.popleft()
            if self._defined(record):
                self._add(record)
            elif give_up or arrived <= latest:
                self._lose("undefined_stacks")
                self._add(record)
            else:
                self._pending.append((arrived, record))

    def close(self) -> None:
        self._symboliser.close()

    def _defined(self, record: SampleRecord) -> bool:
        return (
            (not record.native or record.native in self._natives)
            and (not record.kernel or record.kernel in self._kernels)
            and (record.python < 2 or self._python_stack(record) is not None)
        )

    def _python_stack(self, record: SampleRecord) -> NamedStack | None:
        return self.python.stack(record.python) if self.python is not None and record.python > 1 else None

    def _add(self, record: SampleRecord) -> None:
        # Where the native stack is known the interrupted instruction is its leaf.
        pc = 0 if record.native else record.pc
        key = (record.process_id, record.native, record.kernel, record.python, pc)
        image, process = self._image(record)
        known = self._nodes.get((image, *key))
        if known is None:
            frames, missing = self._frames(record, process)
            node = self._collector.node(frames)
            for file in self._symboliser.new_mapped_files():
                self._collector.mapped(file)
                if self.recording is not None:
                    self.recording.mapped(file)
            if self.recording is not None and self._recorded.get(key) != node:
                self._recorded[key] = node
                self.recording.stack(key, frames)
            if len(self._nodes) >= _MAX_DEFINITIONS:
                self._nodes.clear()
                self._recorded.clear()
            known = node, tuple(missing)
            python = self._python_stack(record)
            if python is None or not python.uncertain:
                self._nodes[(image, *key)] = known
        node, lost = known
        for name in lost:
            self._lose(name)
        who = (record.process_id, record.thread_id)
        if who not in self._threads_seen:
            self._threads_seen.add(who)
            self._name_thread(record)
        labels = self._collector.add(record.timestamp_ns, *who, node, 1, self._period_ns)
        if self.recording is not None:
            self.recording.record(record)
            if labels:
                self.recording.labelled(record.timestamp_ns, labels)

    def _frames(self, record: SampleRecord, process: NativeProcess) -> tuple[tuple[StackFrame, ...], list[str]]:
        """(frames root first, names of what is missing from them)."""
        missing = []
        lines = self._natives.get(record.native, ())
        if lines and self._options.classic:  # named by dtrace
            leaf_only = self.python is not None and self.python.hides_callers(record.process_id)
            native = named_stack(process, lines, limit=self._native_limit, leaf_only=leaf_only)
        elif lines:
            native = process.stack(lines, limit=self._native_limit)
        elif self._options.native == "none":
            native = process.leaf(0)
        else:
            native = process.leaf(record.pc)
        if native.broken and not (native.frames and is_start(native.frames[0])):
            missing.append("broken_unwinds")
        if native.truncated:
            missing.append("truncated_stacks")
        frames = native.frames
        python = self._python_stack(record)
        if record.python == 1:
            missing.append("walk_faults_stacks")
        if python is not None:
            frames = self._merge(native, python)
            if python.truncated:
                missing.append("truncated_python_stacks")
            if python.unresolved:
                missing.append("unresolved_stacks")
        truncated = native.truncated if python is None else python.truncated
        frames = ((TRUNCATED,) if truncated else ()) + frames
        frames += kernel_frames(self._kernels.get(record.kernel, ()))
        return frames or (UNKNOWN,), missing

    def _merge(self, native: NativeFrames, python: NamedStack) -> tuple[StackFrame, ...]:
        return merge(
            MergeRequest(
                native=native.frames if self._options.native != "none" else (),
                native_truncated=native.truncated,
                unwound=self._options.native == "full" and python.unwinds,
                python=python.frames,
                python_truncated=python.truncated,
                loops=python.loops,
                glue=self._options.glue,
            )
        )

    def _name_thread(self, record: SampleRecord) -> None:
        name = thread_name(record.process_id, record.host_thread_id)
        self._collector.name_thread(record.process_id, record.thread_id, name)
        if self.recording is not None:
            self.recording.fact("thread", [record.process_id, record.thread_id, name])
