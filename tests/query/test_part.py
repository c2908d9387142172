"""A part of a profile as a profile of its own: `query.selection.part`."""

from __future__ import annotations

from typing import Any

import pytest

from dtrace_profiler.errors import UsageError
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.query.selection import Selection
from dtrace_profiler.query.selection import part as part_of

START_NS = 1_000_000_000_000
SECOND_NS = 1_000_000_000


def profile(*, start_ns: int = START_NS, timed: bool = True) -> Profile:
    """One sample a second for ten seconds, of values 1, 2, …; from second 5 on of another process."""
    builder = ProfileBuilder()
    first, second = builder.add_thread(1, 11, "main"), builder.add_thread(2, 22, "worker")
    node = builder.add_stack([StackFrame("f")])
    for at in range(10):
        time = START_NS + at * SECOND_NS if timed else 0
        builder.add_sample(time, second if at >= 5 else first, node, at + 1)
    return builder.snapshot(Meta(start_ns=start_ns, duration_ns=10 * SECOND_NS if start_ns else 0))


def part(whole: Profile, **chosen: Any) -> Profile:
    return part_of(whole, Selection(**chosen))


@pytest.mark.parametrize("start_ns", [START_NS, 0])
@pytest.mark.parametrize(
    ("time", "values", "duration_s"),
    [
        ((0, 2), [1, 2], 2),
        ((2.5, 5), [4, 5], 2.5),
        ((8, 100), [9, 10], 2),
        ((8, None), [9, 10], 2),
        ((50, 60), [], 0),
    ],
)
def test_a_time_has_its_samples_and_its_length(
    start_ns: int, time: tuple[float, float | None], values: list[int], duration_s: float
) -> None:
    found = part(profile(start_ns=start_ns), from_s=time[0], to_s=time[1])
    assert found.value.tolist() == values
    assert len(found.timestamp_ns) == len(found.thread) == len(found.node) == len(values)
    # Without a known end, the last sample is it.
    slack = 0 if start_ns else SECOND_NS
    assert abs(found.meta.duration_ns - duration_s * SECOND_NS) <= slack


def test_two_times_side_by_side_have_every_sample_once() -> None:
    whole = profile()
    halves = [part(whole, to_s=3.5), part(whole, from_s=3.5)]
    assert [value for half in halves for value in half.value] == whole.value.tolist()
    assert sum(half.meta.duration_ns for half in halves) == whole.meta.duration_ns


def test_processes_and_threads_are_chosen() -> None:
    assert part(profile(), processes=(2,)).value.tolist() == [6, 7, 8, 9, 10]
    assert part(profile(), threads=("main",)).value.tolist() == [1, 2, 3, 4, 5]
    assert part(profile(), threads=("22",)).value.tolist() == [6, 7, 8, 9, 10]
    assert part(profile(), threads=("main", "worker")).total == 55
    assert part(profile(), processes=(1,), threads=("worker",)).total == 0


def test_nothing_chosen_is_all() -> None:
    whole = profile()
    assert part(whole) is whole


def test_what_is_not_there_is_told_with_what_is() -> None:
    with pytest.raises(UsageError, match="no process is 3: there are 1, 2"):
        part(profile(), processes=(3,))
    with pytest.raises(UsageError, match=r"no thread is 'x': there are main \(11\), worker \(22\)"):
        part(profile(), threads=("x",))
    with pytest.raises(UsageError, match="has no times"):
        part(profile(timed=False), to_s=1.0)
