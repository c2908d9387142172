"""The D program as a script that dtrace runs as it is."""

from __future__ import annotations

import platform

from dtrace_profiler.collector import Collector
from dtrace_profiler.model.options import Options
from dtrace_profiler.pipeline import DTraceEngine
from dtrace_profiler.platforms.dtrace_command import DTraceCommand
from dtrace_profiler.record.program import d_program
from dtrace_profiler.record.program import options as dtrace_options
from dtrace_profiler.stage import EngineRequest


def program(pid: int, options: Options) -> str:
    """The text for this process, with dtrace's options as pragmas. Needs no DTrace."""
    request = EngineRequest(
        dtrace=DTraceCommand("dtrace", ()), elevation=(), pid=pid, options=options, machine=platform.machine()
    )
    engine = DTraceEngine(request, Collector(), on_failure=lambda error: None)
    asked = engine.program_request()
    pragmas = "".join(f"#pragma D option {option}\n" for option in ("quiet", *dtrace_options(asked)))
    return f"{pragmas}\n{d_program(asked)}"
