"""The straight line on a classic DTrace, or as if on one: what differs from `pipeline`.

Its program can't be told of anything while it runs, and tells of no exec, fork or exit. So a process is known to be
new by its first sample; and when CPython processes have been found that the program knows nothing of, another program
that does takes over: at such a moment samples of up to a tenth of a second can be lost or doubled.
"""

from __future__ import annotations

import time
from typing import Any

from dtrace_profiler.errors import DTraceProfilerError
from dtrace_profiler.no_samples import why_single_frames
from dtrace_profiler.pipeline import DTraceEngine
from dtrace_profiler.record.classic import WALK_STEPS
from dtrace_profiler.record.classic_parse import MAX_STACKS, ClassicParser
from dtrace_profiler.record.parse import NativeStack, ProcessEvent, Record, SampleRecord
from dtrace_profiler.stage import Stage

_HANDED_OVER_S = 0.5
"""After its begin the next program has taken over for sure."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 30.0
"""Between two programs, twice as long each time: a pool that restarts its workers would restart dtrace for ever."""


class ClassicEngine(DTraceEngine):
    """See `DTraceEngine`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._stacks_with_callers: set[int] = set()
        self._with_callers = 0
        self._native_samples = 0

    _next_at = 0.0
    _pause_s = _FIRST_PAUSE_S

    def _first_steps(self) -> int:
        super()._first_steps()
        return self._steps()

    def _steps(self) -> int:
        return WALK_STEPS if self._python is not None and self._python.found else 0

    def _take(self, stage: Stage, record: Record) -> None:
        if isinstance(record, SampleRecord):
            self._notice(stage, record)
            self._with_callers += record.native in self._stacks_with_callers
            self._native_samples += record.native > 0
        elif isinstance(record, NativeStack) and not record.kernel and len(record.frames) > 1:
            self._stacks_with_callers.add(record.number)
            if len(self._stacks_with_callers) > 2 * MAX_STACKS:  # older ones get a new number when they come again
                oldest = record.number - MAX_STACKS
                self._stacks_with_callers = {number for number in self._stacks_with_callers if number > oldest}
        super()._take(stage, record)

    def _notice(self, stage: Stage, record: SampleRecord) -> None:
        """The first sample of a process: nothing else tells of it."""
        pid = record.process_id
        if self.request.expect_exec and not self._executed and pid == self.request.pid:
            self._executed = True
            self._event(stage, ProcessEvent("exec", record.timestamp_ns, pid))
        elif pid not in self._members:
            self._add_member(pid)
            self._resolver.new_image(pid, record.timestamp_ns)
            if self._python is not None:
                self._python.watch(pid)

    _executed = False

    def on_output(self, stage: Stage, data: bytes) -> None:
        super().on_output(stage, data)
        self._count_lost(stage)

    def on_stage_end(self, stage: Stage, status: int) -> None:
        super().on_stage_end(stage, status)
        self._count_lost(stage)
        asked = self.request.options
        if asked.native == "full" and asked.depth > 1 and self.request.system.system != "linux":
            single = self._native_samples - self._with_callers
            if sentence := why_single_frames(self.request.system.system, self._native_samples, single):
                self._note(sentence)

    def _count_lost(self, stage: Stage) -> None:
        """dtrace was too slow to print what it had counted before it was emptied."""
        parser = stage.parser
        if isinstance(parser, ClassicParser) and parser.lost > stage.lost:
            self.lose("unprinted_samples", parser.lost - stage.lost)
            stage.lost = parser.lost

    def _deepen(self) -> None:
        """Start a program that knows all CPython processes once there are others; end the one before."""
        latest = self._stages[-1]
        if len(self._stages) > 1:
            before = self._stages[-2]
            if latest.begin_ns and time.monotonic() - latest.began_at > _HANDED_OVER_S and not before.stopping:
                before.stop()
        if not latest.begin_ns or self._python is None or self._shallow or time.monotonic() < self._next_at:
            return
        told = {process.pid: process for process in latest.request.python}
        if all(told.get(process.pid) == process for process in self._python.found):
            return
        self._next_at = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        with self._lock:
            program = self._program(walk_steps=self._steps())
        self._start_stage(program)

    def _stay_shallow(self, error: DTraceProfilerError) -> None:
        self._shallow = True
        self._note(f"Python frames of processes that were found late are missing: {error}")
