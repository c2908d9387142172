"""Telling a running D program of processes, and to end: a system call of our own that its probe reads.

`prctl` with an option that does not exist fails and does nothing, but a `syscall::prctl:entry` clause sees its
arguments. The option is a random number, which only the program and we know.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from dtrace_profiler.record.python_walk import PythonProcess


def _prctl() -> Callable[..., int]:
    function = ctypes.CDLL(None).prctl
    word = ctypes.c_ulong
    function.argtypes = [ctypes.c_int, word, word, word, word]
    return function


@dataclass(slots=True)
class ControlChannel:
    """`base`: the first of the four options; what each means stands in `record.program`. 0: nobody listens."""

    base: int = field(default_factory=lambda: 0x40000000 | secrets.randbits(28) << 2)
    threads: set[int] = field(default_factory=set)
    """Native ids of those that this has started, also when they have ended: their samples come later."""
    _call: Callable[..., int] | None = None

    def _say(self, option: int, *words: int) -> None:
        if not self.base:
            return
        if self._call is None:
            self._call = _prctl()
        mask = (1 << 64) - 1
        padded = [word & mask for word in words] + [0] * (4 - len(words))
        self._call(self.base + option, *padded)

    def python(self, process: PythonProcess) -> None:
        """Walk this process's Python frames from now on."""
        self._say(1, process.pid, process.generation, process.code_type, process.code_shape)
        self._say(0, process.pid, process.slot, process.current_slot, process.shape)

    def member(self, pid: int) -> None:
        """Sample this process from now on."""
        self._say(2, pid)

    def stop(self, number: int) -> None:
        """The program of that number is to print what it keeps, and to end."""
        try:
            thread = threading.Thread(target=self._flush, args=[number], daemon=True)
            thread.start()
            thread.join()
        except RuntimeError:  # no thread can be started: what is kept is printed in its time, or lost
            pass
        self._say(3, number)

    def _flush(self, number: int) -> None:
        """Each processor prints what is its own. In a thread that is moved from one to the next."""
        self.threads.add(threading.get_native_id())
        move: Callable[..., None] = getattr(os, "sched_setaffinity", lambda *_: None)
        for processor in range(os.cpu_count() or 1):
            try:
                move(0, {processor})
            except OSError:  # not there, or not for us, nor for the target as a rule
                continue
            self._say(3, number, 1)
