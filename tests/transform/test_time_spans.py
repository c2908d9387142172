"""Profiles cut along the time: nothing is lost, doubled or put elsewhere."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from small_profiles import STACKS, native

from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.transform.time_spans import split_by_time


def profile_at(rows: list[tuple[int, list[StackFrame], int]], **meta: object) -> Profile:
    """Rows of (time, stack, value); a thread for every other one."""
    builder = ProfileBuilder()
    for at, (time, stack, value) in enumerate(rows):
        builder.add_sample(time, builder.add_thread(1, 1 + at % 2), builder.add_stack(stack), value)
    return builder.snapshot(Meta(**meta))  # type: ignore[arg-type]


def contents(profile: Profile) -> Counter[object]:
    return Counter(
        (time, profile.threads[thread].thread_id, profile.stack(node), value)
        for time, thread, node, value in zip(
            profile.timestamp_ns, profile.thread, profile.node, profile.value, strict=True
        )
    )


@given(
    st.lists(st.tuples(st.integers(0, 100), STACKS, st.integers(1, 5)), max_size=25),
    st.lists(st.integers(0, 101), max_size=5),
)
def test_parts_that_leave_out_no_time_are_the_whole(
    rows: list[tuple[int, list[StackFrame], int]], cuts: list[int]
) -> None:
    profile = profile_at(rows)
    bounds = [0, *sorted(cuts), 101]
    parts = split_by_time(profile, list(pairwise(bounds)))
    assert sum((contents(part) for part in parts), Counter()) == contents(profile)
    for part, begin, end in zip(parts, bounds[:-1], bounds[1:], strict=True):
        assert all(begin <= time < end for time in part.timestamp_ns)
        assert all(parent < node for node, parent in enumerate(part.parent))
        assert len(set(zip(part.parent, part.frame, strict=True))) == len(part.parent)
        assert {part.frames[frame] for frame in part.frame} == set(part.frames)
        assert set(part.thread) == set(range(len(part.threads)))


def test_a_part_says_that_its_losses_are_those_of_the_whole() -> None:
    profile = profile_at([(5, [native("f")], 1)], losses={"drops": 2}, start_ns=1, duration_ns=9)
    (part,) = split_by_time(profile, [(4, 6)])
    assert part.meta.losses == {"drops": 2}
    assert (part.meta.start_ns, part.meta.duration_ns) == (4, 2)
    assert any("of the whole profile" in note for note in part.meta.notes)
    assert split_by_time(profile_at([]), [(4, 6)])[0].meta.notes == ()
