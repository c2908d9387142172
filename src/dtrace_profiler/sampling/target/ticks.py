"""What the sampler does at a tick: which threads were on a CPU, where, and what they have used. See `core.py`.

A thread's CPU time is charged to a stack only when the thread is seen on a CPU with it, as DTrace would see it:
what it has used in a tick that finds it asleep waits for the next tick that finds it awake. (Without this, a program
that computes for 3 ms and sleeps for 7 is charged for 7 of 10 in its sleep.) Awake is

- a thread that stands between two calls: it waits for nothing but the GIL;
- one that has used CPU time `SECOND_LOOK_S` later, with the GIL given away meanwhile: it computes in C, or it had
  come out of a call that keeps the GIL, and has moved on.
"""

from __future__ import annotations

import _thread
import time

from dtrace_profiler.sampling.target.host import native_id_of, other_interpreters, seems_to_wait
from dtrace_profiler.sampling.target.look import identifiers, look, other_threads
from dtrace_profiler.sampling.target.walk import NO_STACK, StackWalker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Any

    from dtrace_profiler.sampling.target.look import Place
    from dtrace_profiler.sampling.target.walk import Output

SECOND_LOOK_S = 0.0001
"""Long against the few microseconds that a thread still uses on its way to sleep, short against most sleeps."""
SECOND_LOOK_LATE_NS = 1_000_000
"""Later than this, a second look says nothing of the first, unless the thread has been busy all the time."""
RESIDUE_NS = 1_000_000
"""Less than this is not worth a sample."""
KEEP_TICKS = 256
"""A thread without a Python stack for so long is forgotten; until then its CPU time is known."""


class ThreadEntry:
    """CPU times are the thread's clock, in ns."""

    __slots__ = ("charged_ns", "clock", "native_id", "seen_ns", "stack", "tick")

    def __init__(self, clock: Any, native_id: int, charged_ns: int, seen_ns: int, tick: int) -> None:
        self.clock = clock
        self.native_id = native_id
        self.charged_ns = charged_ns
        """Up to here its samples stand for it."""
        self.seen_ns = seen_ns
        """At its last tick."""
        self.tick = tick
        self.stack = 0
        """Of its last sample."""


class Ticker:
    """One sampler's account. All in the sampler's thread, but `begin`."""

    def __init__(
        self, walker: StackWalker, output: Output, clocks: Any, own_threads: Container[int], losses: dict[str, int]
    ) -> None:
        self._walker = walker
        self._output = output
        self._clocks = clocks
        self._own_threads = own_threads
        self._losses = losses

    def begin(self) -> None:
        """Count from here."""
        self.count = 0
        self.own_ns = 0
        """CPU time of sampler threads that have ended."""
        self._threads: dict[int, ThreadEntry] = {}
        self._at_ns = time.monotonic_ns()
        self._charged_ns = 0
        if self._clocks is not None:
            for ident, clock in self._clocks.current(identifiers()).items():
                try:
                    used = self._clocks.read(clock)
                except OSError:
                    continue
                self._threads[ident] = ThreadEntry(clock, self._clocks.native_id(clock), used, used, 0)
        self._process_ns = time.process_time_ns()

    def tick(self, now: int, wake: Any) -> tuple[int, bool]:
        """Returns how many threads were busy, and whether `wake` was released during the second look."""
        self.count += 1
        if other_interpreters():
            self.lose("ticks_with_other_interpreters")
            return 0, False
        wall = max(1, now - self._at_ns)
        self._at_ns = now
        if self._clocks is None:
            self._share_by_process()
            return 2, False
        moved = self._moved(wall)
        timestamp, stacks = look([ident for ident, _, _ in moved], self._walker.look_depth)
        busy = 0
        doubtful: list[tuple[int, ThreadEntry, int, Place, int]] = []
        for (ident, entry, used), places in zip(moved, stacks):  # noqa: B905  (not in 3.8)
            if not places:  # it has ended since
                continue
            stack = self._walker.number_of(places)
            if used * 4 > wall:
                busy += 1
            if self._walker.may_wait(places[0]):
                doubtful.append((ident, entry, stack, places[0], self._clocks_read(entry)))
            else:
                self._charge(entry, stack, timestamp)
        woken = False
        if doubtful:
            looked_ns = time.monotonic_ns()
            woken = wake.acquire(True, SECOND_LOOK_S)
            again, stacks = look([item[0] for item in doubtful], self._walker.look_depth)
            between = time.monotonic_ns() - looked_ns
            for (_, entry, stack, leaf, had), places in zip(doubtful, stacks):  # noqa: B905
                used = self._clocks_read(entry) - had
                if used <= 0 or not places:
                    continue
                if leaf[:2] == places[0][:2]:
                    if used * 4 > between:
                        self._charge(entry, stack, timestamp)
                elif between < SECOND_LOOK_LATE_NS or used * 10 > between * 9:
                    self._charge(entry, stack, timestamp)
                else:
                    stack = self._walker.number_of(places)
                    if not self._walker.may_wait(places[0]):
                        self._charge(entry, stack, again)
        if self.count % KEEP_TICKS == 0:
            self._prune()
        return busy, woken

    def _moved(self, wall: int) -> list[tuple[int, ThreadEntry, int]]:
        """The threads, but ours, that have used CPU time since the tick before, and how much."""
        moved = []
        fresh: dict[int, Any] = {}
        for ident in other_threads():
            entry = self._threads.get(ident)
            reading = -1
            if entry is not None:
                try:
                    reading = self._clocks.read(entry.clock)
                except OSError:
                    pass
            if entry is None or reading < entry.seen_ns:  # new, or it has the identifier of one that has ended
                if not fresh:
                    fresh = self._clocks.current(identifiers())
                entry = self._meet(ident, fresh)
                if entry is None:
                    self.lose("threads_without_clock")
                    continue
                reading = self._clocks_read(entry)
            used = reading - entry.seen_ns
            if entry.tick != self.count - 1 and used > wall:
                # What it used while it had no Python stack is not this stack's: that is left to the residue.
                entry.charged_ns += used - wall
                used = wall
            entry.tick = self.count
            entry.seen_ns = reading
            if reading <= entry.charged_ns:
                continue
            if entry.native_id in self._own_threads:
                self._charged_ns += reading - entry.charged_ns
                entry.charged_ns = reading
                continue
            if used:  # else asleep since the last tick at least
                moved.append((ident, entry, used))
        return moved

    def finish(self, now: int) -> None:
        """The last tick: nothing waits for another one."""
        never = _thread.allocate_lock()
        never.acquire()
        self.tick(now, never)
        if self._clocks is None:
            return
        left = [item for item in self._threads.items() if item[1].seen_ns > item[1].charged_ns]
        timestamp, stacks = look([ident for ident, _ in left], self._walker.look_depth)
        for (_, entry), places in zip(left, stacks):  # noqa: B905  (not in 3.8)
            if places:
                self._charge(entry, entry.stack or self._walker.number_of(places), timestamp)
        self.settle()

    def settle(self) -> None:
        """A sample for the CPU time of the process that no thread's stack will be charged for."""
        if self._clocks is None:
            return
        pending = 0
        for entry in self._threads.values():
            if entry.tick >= self.count - 1:
                pending += entry.seen_ns - entry.charged_ns
        own = self.own_ns + time.thread_time_ns()
        left = time.process_time_ns() - self._process_ns - own - self._charged_ns - pending
        if left > RESIDUE_NS:
            self._charged_ns += left
            self._output.sample(time.time_ns(), 0, NO_STACK, left)

    def lose(self, what: str, count: int = 1) -> None:
        self._losses[what] = self._losses.get(what, 0) + count

    def _charge(self, entry: ThreadEntry, stack: int, timestamp: int) -> None:
        if stack == 0:  # only frames of our own: at exit, the program's last stack
            stack = entry.stack or NO_STACK
        entry.stack = stack
        if stack in self._walker.truncated:
            self.lose("truncated")
        used = entry.seen_ns - entry.charged_ns
        entry.charged_ns = entry.seen_ns
        self._charged_ns += used
        self._output.sample(timestamp, entry.native_id, stack, used)

    def _meet(self, ident: int, clocks: dict[int, Any]) -> ThreadEntry | None:
        """The entry of a thread not seen until now, whose CPU time all counts."""
        clock = clocks.get(ident)
        if clock is None:
            return None
        entry = ThreadEntry(clock, self._clocks.native_id(clock), 0, 0, -1)
        self._threads[ident] = entry
        return entry

    def _clocks_read(self, entry: ThreadEntry) -> int:
        try:
            return int(self._clocks.read(entry.clock))
        except OSError:
            return entry.seen_ns

    def _prune(self) -> None:
        for ident, entry in list(self._threads.items()):
            if entry.tick < self.count - KEEP_TICKS:
                del self._threads[ident]

    def _share_by_process(self) -> None:
        """Without clocks of threads: what the process has used, in equal parts to those that don't seem to wait."""
        process = time.process_time_ns() - time.thread_time_ns() - self.own_ns
        used = process - self._process_ns
        if used <= 0:
            return
        self._process_ns = process
        found = []
        threads = other_threads()
        timestamp, stacks = look(threads, self._walker.look_depth)
        for ident, places in zip(threads, stacks):  # noqa: B905  (not in 3.8)
            if places and not seems_to_wait(places[0][0]):
                thread_id = native_id_of(ident)
                if thread_id not in self._own_threads:
                    found.append((thread_id, self._walker.number_of(places) or NO_STACK))
        for thread_id, stack in found or [(0, NO_STACK)]:
            self._output.sample(timestamp, thread_id, stack, used // max(1, len(found)))
