"""The sampler's account of a tick, with threads of this process and a walker that takes its time."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from dtrace_profiler.platforms.base import system
from dtrace_profiler.platforms.cpu_clocks import clock_source
from dtrace_profiler.sampler import _open_clocks
from dtrace_profiler.sampling.target.ticks import SLOW_WALK_NS, Ticker


class SlowAtFirst:
    """A walker whose first walk is interrupted by other threads."""

    truncated: frozenset[int] = frozenset()

    def __init__(self) -> None:
        self.walked_ns: list[int] = []
        """When each walk ended."""

    def walk(self, frame: Any) -> int:
        if not self.walked_ns:
            time.sleep(5 * SLOW_WALK_NS / 1e9)
        self.walked_ns.append(time.time_ns())
        return 1

    def may_wait(self, frame: Any) -> bool:
        return False


class Samples:
    def __init__(self) -> None:
        self.at_ns: list[int] = []

    def sample(self, timestamp_ns: int, thread_id: int, stack: int, cpu_ns: int) -> None:
        self.at_ns.append(timestamp_ns)


@pytest.mark.skipif(clock_source(system()) is None, reason="needs CPU clocks of threads")
def test_a_stack_that_is_walked_again_has_the_time_of_then() -> None:
    """What the thread worked for is told by the time: in between it may have turned to something else."""
    walker, samples, losses = SlowAtFirst(), Samples(), dict[str, int]()
    ticker = Ticker(walker, samples, _open_clocks(), (), losses)  # type: ignore[arg-type]
    go_on = threading.Event()

    def work() -> None:
        while not go_on.is_set():
            sum(range(100))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        ticker.begin()
        while not samples.at_ns:
            time.sleep(0.002)
            ticker.tick(time.monotonic_ns(), threading.Lock())
    finally:
        go_on.set()
        thread.join()
    assert losses["slow_walks"] >= 1
    assert samples.at_ns[0] >= walker.walked_ns[0]
