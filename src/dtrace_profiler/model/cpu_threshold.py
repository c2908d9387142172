"""`cpu>90% for 5s`: when a program uses more CPU than it should, for longer than it should."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dtrace_profiler.errors import UsageError

_PATTERN = re.compile(r"cpu *> *(\d{1,6}(?:\.\d{1,3})?) *% +for +(\d{1,6}(?:\.\d{1,3})?) *(ms|s|m|min)?")
_UNITS_S = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "min": 60.0}
_LEAST_S = 0.5
"""Shares of a shorter time say little: at 99 Hz they are of fewer than fifty samples."""


@dataclass(frozen=True, slots=True)
class CpuThreshold:
    percent: float
    """Of one core."""
    seconds: float

    @classmethod
    def parse(cls, text: str) -> CpuThreshold:
        """Raises `UsageError`."""
        match = _PATTERN.fullmatch(text.strip().lower())
        if match is None:
            raise UsageError(f"{text!r} is no threshold: write 'cpu>90% for 5s'. 100% is one core.")
        seconds = float(match[2]) * _UNITS_S[match[3]]
        if not seconds:
            raise UsageError(f"{text!r} is no threshold: its time must be longer than nothing.")
        return cls(float(match[1]), seconds)


class CpuWatch:
    """Told from time to time how much CPU time was used so far, says when the threshold is reached: once for each
    time that the use goes above and stays there."""

    def __init__(self, threshold: CpuThreshold) -> None:
        self._threshold = threshold
        self._last: tuple[float, int] | None = None
        self._above_since: float | None = None
        self._told = False

    def reached(self, now_s: float, cpu_time_ns: int) -> bool:
        """`now_s`: of a clock that never goes back. `cpu_time_ns`: since some beginning."""
        if self._last is None:
            self._last = now_s, cpu_time_ns
            return False
        before_s, before_ns = self._last
        elapsed_s = now_s - before_s
        if elapsed_s < _LEAST_S:
            return False
        self._last = now_s, cpu_time_ns
        if (cpu_time_ns - before_ns) / 1e9 / elapsed_s * 100 <= self._threshold.percent:
            self._above_since, self._told = None, False
            return False
        if self._above_since is None:
            self._above_since = before_s
        if self._told or now_s - self._above_since < self._threshold.seconds:
            return False
        self._told = True
        return True
