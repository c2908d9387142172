"""Which engine can sample a process, and why not the other."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable
from dataclasses import replace

from dtrace_profiler.classic_pipeline import ClassicEngine
from dtrace_profiler.collector import Collector
from dtrace_profiler.errors import DTraceProfilerError, EngineError
from dtrace_profiler.model.options import Options
from dtrace_profiler.pipeline import DTraceEngine
from dtrace_profiler.platforms.dtrace_command import find_dtrace
from dtrace_profiler.platforms.systems import facts
from dtrace_profiler.record.dialects import dialect
from dtrace_profiler.record.recording import RecordingWriter
from dtrace_profiler.stage import EngineRequest


def dtrace_request(pid: int, options: Options, *, interactive: bool, before_exec: bool = False) -> EngineRequest:
    """All that is needed to run dtrace on a process. Raises the `EngineError` that stands against it."""
    from dtrace_profiler.privilege import elevation

    here = facts()
    spoken = dialect(here, classic=options.classic)
    return EngineRequest(
        dtrace=find_dtrace(),
        elevation=elevation(interactive=interactive),
        pid=pid,
        options=replace(options, classic=spoken.classic),
        machine=platform.machine(),
        system=here,
        dialect=spoken,
        expect_exec=before_exec,
    )


def dtrace_engine(
    request: EngineRequest,
    collector: Collector,
    *,
    recording: RecordingWriter | None,
    on_failure: Callable[[DTraceProfilerError], None],
) -> DTraceEngine:
    """The engine for this system's DTrace; `start` it."""
    kind = ClassicEngine if request.dialect.classic else DTraceEngine
    return kind(request, collector, recording=recording, on_failure=on_failure)


def sampler_can_profile(pid: int) -> bool:
    """The embedded sampler sees only the process it runs in."""
    return pid == os.getpid()


def check_threads() -> None:
    """Raises `EngineError` where `threading` has been made to start greenlets (gevent, eventlet): one of ours that
    waits for dtrace would hold up all the others, and the sampler would never run beside what it is to sample."""
    # The second is that of Python 3.13 and later. Debuggers put functions of their own there, too.
    starts = (getattr(threading, name, None) for name in ("_start_new_thread", "_start_joinable_thread"))
    names = {str(getattr(start, "__module__", "")).partition(".")[0] for start in starts}
    if greenlets := names & {"gevent", "eventlet"}:
        raise EngineError(
            f"{greenlets.pop()} has made the threads of this process greenlets, in which no profiler can run:"
            " profile it from outside.",
            remedy=f"dtrace-profiler attach {os.getpid()}",
        )
