"""The sampler itself: a thread that looks at the stacks of all the others, and at the CPU time each has used.

Runs in our own process (`dtrace_profiler.sampler`) and, loaded by path, in programs that know nothing of us
(`bootstrap.py` beside this). So it imports only built-in modules, keeps to the syntax of Python 3.8, does not touch
`threading`, and its thread blocks all signals.

A sample's weight is the CPU time that its thread has used since its sample before, however late the sample comes
(`ticks.py`).
CPU time of threads without a Python stack (native threads, threads that lived for less than an interval, Python
code while it is torn down) comes as samples of thread 0 with the stack `NO_STACK`, so that all weights together
are the CPU time of the process. Our own thread is left out of both.

Out it goes through an `Output`: numbers for frames and stacks are defined once, before a sample uses them.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import time

from dtrace_profiler.sampling.target.host import block_signals, restore_signals, signal_mask
from dtrace_profiler.sampling.target.ticks import Ticker
from dtrace_profiler.sampling.target.walk import StackWalker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Any

    from dtrace_profiler.sampling.target.walk import Output


SWITCH_INTERVAL_S = 0.00005
"""How long a busy thread may keep the GIL once we want it, while no two threads compete for it.

With CPython's own 5 ms a sample falls into the next call that gives the GIL away (zlib, hashlib, I/O) and that
call is charged for the Python code before it: measured 5 to 6 points of a hundred at 99 Hz, 14 at 997 Hz; with 0.5 ms
still 1 to 3 points at 997 Hz, with this nothing beyond the noise (tests/sampler, `SHARES`).
"""
SETTLE_EVERY_NS = 100_000_000
NOTE_WITHOUT_CLOCKS = (
    "CPU time of single threads can't be read on this system: that of the process is shared equally among the"
    " threads that don't seem to wait."
)

_running: list[Sampler] = []
_hooked = False


class Sampler:
    """`interval_ns`: of one sample a thread. `depth`: frames kept of a stack's leaf side.

    `clocks`: of `platforms.cpu_clocks`; None shares the CPU time of the process among the threads that don't seem
    to wait. `own_threads`: native ids of threads that must not appear. `follow_fork`: a forked child goes on
    sampling, to its own output; without, sampling has ended there.
    """

    def __init__(
        self,
        interval_ns: int,
        depth: int,
        output: Output,
        clocks: Any = None,
        own_threads: Container[int] = (),
        follow_fork: bool = False,
    ) -> None:
        self.losses: dict[str, int] = {}
        """`missed_ticks`: the thread came too late for these, the samples stand for more CPU time instead.
        `threads_without_clock`: ticks at which a thread's CPU time could not be read.
        `truncated`: samples of stacks deeper than `depth`."""
        self.running = False
        self._interval_ns = interval_ns
        self._output = output
        self._follow_fork = follow_fork
        self._control = _thread.allocate_lock()
        self._ident = 0
        self.native_id = 0
        """Of our thread, 0 while there is none."""
        self._walker = StackWalker(depth, output)
        self._ticker = Ticker(self._walker, output, clocks, own_threads, self.losses)

    def start(self) -> None:
        """Begin; nothing happens where it has begun. `RuntimeError` where no thread can be started."""
        with self._control:
            if self.running:
                return
            _install_hooks()
            self._begin()
            self.running = True
            _running.append(self)
            try:
                self._spawn()
            except RuntimeError:
                self._abandon()
                raise

    def stop(self) -> None:
        """Take a last sample, hand everything over and end; nothing happens where it has ended."""
        with self._control:
            if not self.running:
                return
            self._end_thread(last=True)
            self._abandon()

    # The thread.

    def _begin(self) -> None:
        """Count from here."""
        self._ticker.begin()
        now = time.monotonic_ns()
        self._settle_at_ns = now
        self._due_ns = now + self._interval_ns
        self._program_interval = self._our_interval = sys.getswitchinterval()

    def _spawn(self) -> None:
        self._last = False
        self._wake = _thread.allocate_lock()
        self._wake.acquire()
        self._ended = _thread.allocate_lock()
        self._ended.acquire()
        self.native_id = 0
        old = signal_mask()
        try:
            block_signals()
            self._ident = _thread.start_new_thread(self._run, (self._wake, self._ended))
        finally:
            restore_signals(old)

    def _end_thread(self, last: bool) -> None:
        """Returns once the thread has ended, for the system too; in the thread itself at once."""
        self._last = last
        try:
            self._wake.release()
        except RuntimeError:  # asked before, by a stop that an exception cut short
            pass
        if _thread.get_ident() == self._ident:
            return
        self._ended.acquire(True, 5)
        task = "/proc/self/task/%d" % self.native_id  # noqa: UP031  (cheap, and of this file's age)
        for _ in range(2000):  # a fork counts the system's threads, and warns
            if not self.native_id or not os.path.exists(task):
                break
            time.sleep(0.00002)

    def _run(self, wake: Any, ended: Any) -> None:
        try:
            get_native_id = getattr(_thread, "get_native_id", None)
            self.native_id = get_native_id() if get_native_id else 0
            self._loop(wake)
        except Exception as error:  # a program that we are guest in never hears of our faults
            self._ticker.lose("sampler_failed:" + type(error).__name__)
        finally:
            self._ticker.own_ns += time.thread_time_ns()
            self._ident = 0
            ended.release()

    def _loop(self, wake: Any) -> None:
        interval = self._interval_ns
        seed = time.time_ns() & 0x7FFFFFFF
        due = self._due_ns
        if due <= time.monotonic_ns():
            # Overdue, because a fork came in between. Not now, or all such ticks would fall onto the fork.
            due = time.monotonic_ns() + interval * seed // 0x80000000
        stopping = False
        while not stopping:
            self._due_ns = due  # kept over a fork: a program that forks all the time is sampled too
            seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
            # Up to a quarter of an interval to either side: a program with a rhythm of its own is not met
            # at the same point each time.
            moment = due + interval * (seed - 0x40000000) // 0x100000000
            stopping = wake.acquire(True, max(moment - time.monotonic_ns(), 0) / 1e9)
            now = time.monotonic_ns()
            if stopping:
                break
            busy, stopping = self._ticker.tick(now, wake)
            self._yield_quickly(busy)
            if now - self._settle_at_ns >= SETTLE_EVERY_NS:
                self._settle_at_ns = now
                self._ticker.settle()
            if not self._output.flush(now, False):
                self._restore_switch_interval()
                self._abandon()
                return
            due += interval
            behind = time.monotonic_ns() - due
            if behind > interval:
                missed = behind // interval
                self._ticker.lose("missed_ticks", missed)
                due += missed * interval
        if self._last:
            self._ticker.finish(time.monotonic_ns())
        self._restore_switch_interval()
        self._output.flush(time.monotonic_ns(), True)
        if self._last:
            self._output.close()

    def _abandon(self) -> None:
        self.running = False
        if self in _running:
            _running.remove(self)

    # The GIL.

    def _yield_quickly(self, busy: int) -> None:
        current = sys.getswitchinterval()
        if current not in (self._our_interval, SWITCH_INTERVAL_S):
            self._program_interval = current  # the program has set it
        wanted = min(SWITCH_INTERVAL_S, self._program_interval) if busy <= 1 else self._program_interval
        if wanted != current:
            sys.setswitchinterval(wanted)
            self._our_interval = sys.getswitchinterval()

    def _restore_switch_interval(self) -> None:
        if sys.getswitchinterval() in (self._our_interval, SWITCH_INTERVAL_S):
            sys.setswitchinterval(self._program_interval)

    # Forks: the thread ends before, so that the child is made by a process with the program's threads only (CPython
    # 3.12 and later warn otherwise), and is there again afterwards.

    def _before_fork(self) -> None:
        self._control.acquire()
        if self.running:
            self._end_thread(last=False)

    def _after_fork_in_parent(self) -> None:
        try:
            if self.running:
                self._spawn()
        except RuntimeError:
            self._abandon()
            self._ticker.lose("sampler_failed:fork")
        finally:
            self._control.release()

    def _after_fork_in_child(self) -> None:
        self._control = _thread.allocate_lock()
        self._ident = 0
        self.losses.clear()
        if not self.running:
            return
        self._abandon()
        self._output.after_fork(self._follow_fork)
        if self._follow_fork:
            self._walker.forget()
            try:
                self.start()
            except RuntimeError:  # no thread to be had: the child is not sampled
                pass


def _install_hooks() -> None:
    """Once in a process: they can't be taken back."""
    global _hooked
    if _hooked:
        return
    _hooked = True
    atexit.register(_stop_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
        )


def _stop_all() -> None:
    for sampler in list(_running):
        sampler.stop()


_held: list[Sampler] = []
"""Those that ran when a fork began: their locks are held until it is over."""


def _before_fork() -> None:
    _held[:] = _running
    for sampler in _held:
        sampler._before_fork()


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop()._after_fork_in_parent()


def _after_fork_in_child() -> None:
    while _held:
        _held.pop()._after_fork_in_child()
