"""The D program as a script that dtrace runs as it is."""

from __future__ import annotations

import platform
from dataclasses import replace

from dtrace_profiler.collector import Collector
from dtrace_profiler.engines import dtrace_engine
from dtrace_profiler.model.options import Options
from dtrace_profiler.platforms.dtrace_command import DTraceCommand
from dtrace_profiler.platforms.systems import facts
from dtrace_profiler.record.dialects import dialect
from dtrace_profiler.stage import EngineRequest


def program(pid: int, options: Options) -> str:
    """The text for this process, with dtrace's options as pragmas. Needs no DTrace."""
    here = facts()
    spoken = dialect(here, classic=options.classic)
    request = EngineRequest(
        dtrace=DTraceCommand("dtrace", ()),
        elevation=(),
        pid=pid,
        options=replace(options, classic=spoken.classic),
        machine=platform.machine(),
        system=here,
        dialect=spoken,
    )
    engine = dtrace_engine(request, Collector(), recording=None, on_failure=lambda error: None)
    asked = engine.program_request()
    pragmas = "".join(f"#pragma D option {option}\n" for option in ("quiet", *spoken.options(asked)))
    return f"{pragmas}\n{spoken.program(asked)}"
