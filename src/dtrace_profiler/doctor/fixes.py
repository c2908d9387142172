"""Runs the commands that mend something and harm nothing: what they change is as before after a restart."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterable

from dtrace_profiler.doctor.checks import Check
from dtrace_profiler.errors import DTraceProfilerError, EngineError
from dtrace_profiler.privilege import elevation

TIMEOUT_S = 60.0


def mendable(checks: Iterable[Check]) -> list[Check]:
    return [check for check in checks if check.fix and check.ok is not True]


def mend(check: Check, *, elevate: Callable[..., list[str]] = elevation) -> None:
    """Run its command, as root. Raises a DTraceProfilerError that says what the command said."""
    prefix = elevate(interactive=True, command=check.fix)
    try:
        done = subprocess.run(
            [*prefix, *check.fix],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(check, str(error)) from error
    if done.returncode:
        raise _failed(check, said)


def _failed(check: Check, said: str) -> DTraceProfilerError:
    return EngineError(f"“{shlex.join(check.fix)}” did not mend {check.name}: {said}", remedy=check.remedy)
