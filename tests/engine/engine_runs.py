"""What tests of a running engine share: waiting for what must come, and counting what must not stay."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import fake_dtrace
from dtrace_profiler import DTraceProfiler
from dtrace_profiler.platforms.processes import process_exists

Fake = Callable[..., Path]
"""Installs a stand-in for dtrace (see tests/fake_dtrace.py); its path."""


def profiler_of(pid: int | None, **options: object) -> DTraceProfiler:
    """Without a search for CPython: what the stand-in says of frames is all there is."""
    return DTraceProfiler(pid, engine="dtrace", native="leaf", **options)  # type: ignore[arg-type]


def until(condition: Callable[[], object], *, within_s: float = 60) -> None:
    """Waits for what must come; fails after a time in which it would have come on any machine."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def dtrace_is_gone(path: Path) -> None:
    """The one that was started from the stand-in `path`."""
    (call,) = fake_dtrace.calls(path)
    until(lambda: not process_exists(call["pid"]))


def left_behind() -> tuple[int, list[str], list[str]]:
    """Of this process: open descriptors, threads of ours, temporary folders of ours."""
    gc.collect()  # garbage of earlier tests may hold descriptors
    threads = sorted(t.name for t in threading.enumerate() if t.name.startswith("dtrace-profiler"))
    folders = sorted(path.name for path in Path(tempfile.gettempdir()).glob("dtrace-profiler-*"))
    return len(os.listdir("/proc/self/fd")), threads, folders
