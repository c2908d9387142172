"""Which engine can sample a process, and why not the other."""

from __future__ import annotations

import os
import platform

from dtrace_profiler.errors import EngineError
from dtrace_profiler.model.options import Options
from dtrace_profiler.platforms.base import system
from dtrace_profiler.platforms.dtrace_command import find_dtrace
from dtrace_profiler.stage import EngineRequest


def dtrace_request(pid: int, options: Options, *, interactive: bool, before_exec: bool = False) -> EngineRequest:
    """All that is needed to run dtrace on a process. Raises the `EngineError` that stands against it."""
    if system() != "linux":
        raise EngineError(f"DTrace on {platform.system()} is not supported yet: only the embedded sampler is.")
    from dtrace_profiler.privilege import elevation

    return EngineRequest(
        dtrace=find_dtrace(),
        elevation=elevation(interactive=interactive),
        pid=pid,
        options=options,
        machine=platform.machine(),
        expect_exec=before_exec,
    )


def sampler_can_profile(pid: int) -> bool:
    """The embedded sampler sees only the process it runs in."""
    return pid == os.getpid()
