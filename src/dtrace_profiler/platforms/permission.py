"""Whether a process can be profiled by us at all: asked before anything is started."""

from __future__ import annotations

import os

from dtrace_profiler.errors import NoSuchProcess, NotPermitted
from dtrace_profiler.platforms import linux
from dtrace_profiler.platforms.base import System, is_superuser, system, user_id

_MAX_PROCESS_ID = 2**31 - 1


def check_process(pid: int, on: System | None = None) -> None:
    """Raises NoSuchProcess or NotPermitted for a process that can't be profiled, with the reason.

    Its mappings and memory are read by us, not only by dtrace: so an ordinary user's profiles are of own processes,
    whatever sudo allows.
    """
    on = system() if on is None else on
    if not 0 < pid <= _MAX_PROCESS_ID:
        raise NoSuchProcess(f"{pid} is not a process id.")
    if on == "windows":
        return  # os.kill(pid, 0) would send Ctrl-C there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        raise NoSuchProcess(f"there is no process {pid}.") from None
    except PermissionError:
        raise _not_ours(pid) from None
    if on == "linux":
        _check_on_linux(pid)


def _check_on_linux(pid: int) -> None:
    if linux.process_state(pid) in ("Z", "X"):
        raise NoSuchProcess(f"process {pid} has ended.")
    leader = linux.thread_group(pid)
    if leader not in (None, pid):
        raise NoSuchProcess(f"{pid} is a thread of process {leader}.", remedy=f"dtrace-profiler attach {leader}")
    # A program that runs with more rights than its user (setuid) may be signalled, but not looked into.
    user = linux.process_user(pid)
    if user is not None and user != user_id() and not is_superuser():
        raise _not_ours(pid)


def _not_ours(pid: int) -> NotPermitted:
    return NotPermitted(
        f"process {pid} belongs to another user, so only root can profile it.",
        remedy=f"sudo dtrace-profiler attach {pid}",
    )
