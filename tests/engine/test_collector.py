"""The ring and the profile that samples arrive in: bounded, counted, and each sample handed out once."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.collector import Collector
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta

FRAMES = (StackFrame("main"), StackFrame("work"))


def filled(ring_samples: int, samples: int, previous: Collector | None = None) -> Collector:
    collector = Collector(ring_samples=ring_samples, previous=previous)
    node = collector.node(FRAMES)
    for timestamp_ns in range(samples):
        collector.add(timestamp_ns, 1, 2, node, 1, 10)
    return collector


@given(ring=st.integers(1, 20), rounds=st.lists(st.integers(0, 30), max_size=5))
def test_what_is_taken_and_what_is_counted_is_all_there_was(ring: int, rounds: list[int]) -> None:
    collector = Collector(ring_samples=ring)
    node = collector.node(FRAMES)
    clock = taken = 0
    for samples in rounds:
        for _ in range(samples):
            clock += 1
            collector.add(clock, 1, 2, node, 1, 10)
        batch = [sample.timestamp_ns for sample in collector.take()]
        assert batch == list(range(clock - min(samples, ring) + 1, clock + 1)), "the newest are kept, in order"
        taken += len(batch)
    assert taken + collector.not_taken == collector.total == clock
    assert len(list(collector.snapshot(Meta()).samples())) == clock, "the profile has those that nobody took, too"


def test_a_full_ring_has_lost_nothing_yet() -> None:
    assert filled(5, 5).not_taken == 0
    assert filled(5, 6).not_taken == 1


def test_samples_are_in_the_order_of_their_time() -> None:
    collector = Collector()
    node = collector.node(FRAMES)
    for timestamp_ns in (3, 1, 2):
        collector.add(timestamp_ns, 1, 2, node, 1, 10)
    (first, *_) = taken = collector.take()
    assert [sample.timestamp_ns for sample in taken] == [1, 2, 3]
    assert (first.process_id, first.thread_id, first.stack_frames) == (1, 2, FRAMES)


def test_samples_of_an_earlier_run_can_still_be_taken() -> None:
    earlier = filled(10, 4)
    later = filled(10, 3, earlier)
    assert later.total == 3
    assert len(later.take()) == 7
    assert earlier.take() == later.take() == []


def test_samples_nobody_has_taken_stay_with_the_parent_of_a_fork() -> None:
    collector = filled(5, 9)
    collector.after_fork()
    assert collector.take() == []
    assert filled(5, 9, collector).not_taken == 4, "the ring is as large as before"


def test_adding_and_taking_at_once_loses_and_doubles_nothing() -> None:
    collector = Collector()
    node = collector.node(FRAMES)
    taken: list[int] = []
    adding = threading.Event()

    def add(thread: int) -> None:
        for number in range(3_000):
            collector.add(number * 4 + thread, 1, thread + 1, node, 1, 10)

    def take() -> None:
        while not adding.is_set():
            taken.extend(sample.timestamp_ns for sample in collector.take())

    adders = [threading.Thread(target=add, args=(thread,)) for thread in range(4)]
    takers = [threading.Thread(target=take) for _ in range(3)]
    for thread in (*adders, *takers):
        thread.start()
    for adder in adders:
        adder.join()
    adding.set()
    for taker in takers:
        taker.join()
    taken.extend(sample.timestamp_ns for sample in collector.take())
    assert sorted(taken) == list(range(12_000))
    assert collector.not_taken == 0
