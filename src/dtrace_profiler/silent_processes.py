"""CPython processes whose Python frames do not come although the D program was told where they are.

That may be right: threads that run no Python. Or what the program was told was lost on its way, or read in a moment
in which it was not yet true. So such a process is looked at again, at longer and longer intervals.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

_FIRST_S = 0.3
_FACTOR = 4.0
_SAMPLES = 10
"""Fewer say nothing: a program that starts runs for some milliseconds before its first frame."""
_COME_S = 0.5
"""Frames that come so soon after the program was told again come, most likely, because of it."""


@dataclasses.dataclass(slots=True)
class _Silence:
    since: float
    pause_s: float = _FIRST_S
    samples: int = 0
    told_again: float | None = None


class SilentProcesses:
    """`sampled` and `heard` are for one thread at a time, the rest for any."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._silent: dict[int, _Silence] = {}

    def __contains__(self, pid: int) -> bool:
        return pid in self._silent

    def told(self, pid: int) -> None:
        """From now on its Python frames are expected."""
        self._silent[pid] = _Silence(self._clock())

    def forget(self, pid: int) -> None:
        self._silent.pop(pid, None)

    def sampled(self, pid: int) -> bool:
        """A sample without Python frames: whether it is time to look at the process again."""
        silence = self._silent.get(pid)
        if silence is None:
            return False
        silence.samples += 1
        if silence.samples < _SAMPLES or self._clock() - silence.since < silence.pause_s:
            return False
        silence.pause_s *= _FACTOR
        return True

    def told_again(self, pid: int) -> None:
        silence = self._silent.get(pid)
        if silence is not None:
            silence.told_again = self._clock()

    def heard(self, pid: int) -> float:
        """Its Python frames come. Seconds that they are late, where they come since it was told again; else 0."""
        silence = self._silent.pop(pid, None)
        if silence is None or silence.told_again is None:
            return 0.0
        now = self._clock()
        return now - silence.since if now - silence.told_again < _COME_S else 0.0
