"""The proof: DTrace samples this process at work until a sample comes."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable

from dtrace_profiler.doctor.checks import Check
from dtrace_profiler.errors import DTraceProfilerError
from dtrace_profiler.profiler import DTraceProfiler

READY_TIMEOUT_S = 30.0
SAMPLE_TIMEOUT_S = 5.0
_WORK = bytes(1 << 20)
_DEBUG = "please report this, with the file that dtrace-profiler doctor --selftest writes"


def _default() -> DTraceProfiler:
    # Without Python frames dtrace starts once and is ready soonest.
    return DTraceProfiler(engine="dtrace", python=False)


def trial(make: Callable[[], DTraceProfiler] = _default) -> Check:
    began = time.monotonic()
    profiler = make()
    try:
        profiler.start(997)
        if not profiler.wait_ready(READY_TIMEOUT_S):
            return Check("trial", False, f"dtrace was not ready within {READY_TIMEOUT_S:g} s", "try again when idle")
        ready = time.monotonic() - began
        end = time.monotonic() + SAMPLE_TIMEOUT_S
        while not profiler.sample_count and time.monotonic() < end:
            # Busy without the GIL: our own threads shall get on.
            hashlib.sha256(_WORK).digest()
        if not profiler.sample_count:
            took = f"dtrace ran, but took no sample of a busy process in {SAMPLE_TIMEOUT_S:g} s"
            return Check("trial", False, took, _DEBUG)
    except DTraceProfilerError as error:
        return Check("trial", False, str(error), error.remedy)
    finally:
        profiler.stop()
    return Check("trial", True, f"DTrace sampled process {os.getpid()}; it was ready after {ready:.1f} s")
