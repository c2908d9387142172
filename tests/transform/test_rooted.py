"""Stacks that begin at a frame: what is above it goes, nothing else."""

from __future__ import annotations

from hypothesis import given
from small_profiles import ROWS, profile_of

from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.transform.rooted import rooted_at


def is_root(frame: StackFrame) -> bool:
    return frame.function_name == "g"


@given(ROWS)
def test_each_stack_loses_what_is_above_its_outermost_root(rows: list[tuple[int, list[StackFrame], int]]) -> None:
    profile = profile_of(rows)
    rooted = rooted_at(profile, is_root)
    for before, after in zip(profile.node, rooted.node, strict=True):
        stack = profile.stack(before)
        first = next((at for at, frame in enumerate(stack) if is_root(frame)), 0)
        assert rooted.stack(after) == stack[first:]
    assert rooted.total == profile.total
    assert all(parent < node for node, parent in enumerate(rooted.parent))
    assert len(set(zip(rooted.parent, rooted.frame, strict=True))) == len(rooted.parent)
