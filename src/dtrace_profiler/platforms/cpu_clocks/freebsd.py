"""CPU clocks of threads on FreeBSD and NetBSD. Contract: this package's docstring. Written from the manuals,
not yet run.

A thread's clock id is its thread id with two flag bits (`MAKE_THREAD_CPUCLOCK` in sys/_clock_id.h's kernel side);
the kernel answers EINVAL once the thread has ended, and for threads of other processes. NetBSD (10 and later) has the
same with one bit less: `CLOCK_THREAD_CPUTIME_ID | lwp` in sys/time.h.
"""

from __future__ import annotations

import sys
import time
from itertools import tee

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_THREAD_ID_BITS = 0x1FFFFFFF  # FreeBSD keeps one more, which no thread number reaches


def open_clocks() -> FreeBSDClocks | None:
    for name in ("pthread_getcpuclockid", "clock_gettime_ns"):
        if not hasattr(time, name):
            return None
    gil_enabled = sys.__dict__.get("_is_gil_enabled")
    return FreeBSDClocks() if gil_enabled is None or gil_enabled() else None


class FreeBSDClocks:
    def __init__(self) -> None:
        self.read = time.__dict__["clock_gettime_ns"]
        self._clock_of = time.__dict__["pthread_getcpuclockid"]

    def current(self, threads: Iterator[int]) -> dict[int, int]:
        # One call of C code, during which no thread can end: see the same lines in linux.py.
        listed, asked = tee(threads)
        return dict(zip(listed, map(self._clock_of, asked)))  # noqa: B905  (not in 3.8)

    @staticmethod
    def native_id(clock: int) -> int:
        return clock & _THREAD_ID_BITS
