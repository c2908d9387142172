"""CPU clocks of threads on Linux: the kernel's per-thread clocks. Contract: this package's docstring.

A clock id holds the thread id, `~tid << 3 | 6`, so that reading it never looks at the thread's memory and fails
with EINVAL once the thread has ended. `pthread_getcpuclockid` itself does look there (it reads the thread id) and
is undefined for a thread that has ended: it is called only where that can't be, see `current`.
"""

from __future__ import annotations

import sys
import time
from itertools import tee

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_THREAD_CPU_CLOCK = 6  # CPUCLOCK_SCHED | CPUCLOCK_PERTHREAD_MASK of the kernel's posix-timers.h


def open_clocks() -> LinuxClocks | None:
    for name in ("pthread_getcpuclockid", "clock_gettime_ns"):
        if not hasattr(time, name):
            return None
    return LinuxClocks()


class LinuxClocks:
    def __init__(self) -> None:
        self.read = time.__dict__["clock_gettime_ns"]
        self._clock_of = time.__dict__["pthread_getcpuclockid"]
        gil_enabled = sys.__dict__.get("_is_gil_enabled")
        self._gil = gil_enabled is None or gil_enabled()

    def current(self, threads: Iterator[int]) -> dict[int, int]:
        if self._gil:
            # One call of C code from the list of threads to the last clock id: the GIL is not given away in
            # between, and a thread can't leave the list without it. So each of them still exists.
            listed, asked = tee(threads)
            return dict(zip(listed, map(self._clock_of, asked)))  # noqa: B905  (not in 3.8)
        # Without a GIL a thread may end at any time, so only what `threading` itself wrote down is used.
        threading = sys.modules.get("threading")
        found: dict[int, int] = {}
        for ident, thread in list(getattr(threading, "_active", {}).items()):
            native_id = getattr(thread, "native_id", None)
            if native_id:
                found[ident] = (~native_id << 3) | _THREAD_CPU_CLOCK
        return found

    @staticmethod
    def native_id(clock: int) -> int:
        return ~(clock >> 3)
