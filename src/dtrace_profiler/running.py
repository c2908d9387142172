"""The profilers of this process that run: none of them outlives it, or goes on in a forked child."""

from __future__ import annotations

import atexit
import contextlib
import os
import weakref
from typing import Protocol

from dtrace_profiler.errors import DTraceProfilerError


class Running(Protocol):
    def stop(self) -> None: ...

    def after_fork(self) -> None:
        """In a forked child, where nothing samples: threads do not survive a fork."""


RUNNING: weakref.WeakSet[Running] = weakref.WeakSet()


def _stop_all() -> None:
    """At interpreter exit: no dtrace child outlives us."""
    for profiler in list(RUNNING):
        with contextlib.suppress(DTraceProfilerError):
            profiler.stop()


def _after_fork_all() -> None:
    for profiler in list(RUNNING):
        profiler.after_fork()
    RUNNING.clear()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_all)
