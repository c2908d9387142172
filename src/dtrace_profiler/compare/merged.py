"""Two profiles in one prefix tree, so that a picture can hold both."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dtrace_profiler.compare.groups import Group, group_of, moved_files, renamed
from dtrace_profiler.errors import NotComparable
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Profile

AFTER, BEFORE = 0, 1
"""Indices of the two threads of what `merged` returns."""


def merged(before: Profile, after: Profile) -> Profile:
    """One profile, whose thread 0 has all samples of `after` and thread 1 all of `before`; without times. Losses are
    those of both, all other facts those of `after`.

    Functions are told apart as in `group_of`, so that one that has moved to another line, or to another address, is
    one box; their lines are those of `after`. Raises `NotComparable` where the values have different units.
    """
    if before.meta.unit != after.meta.unit:
        raise NotComparable(
            "one counts samples and the other CPU time, and a flame graph has one unit: compare them as a table."
        )
    builder = ProfileBuilder()
    groups = [[group_of(frame, "function") for frame in profile.frames] for profile in (before, after)]
    files = moved_files(groups)
    frames: dict[Group, int] = {}
    for who, profile in ((AFTER, after), (BEFORE, before)):
        thread = builder.add_thread(0, who + 1, "after" if who == AFTER else "before")
        of_frame = [_frame(builder, frames, frame, files) for frame in profile.frames]
        nodes = _nodes(builder, profile, of_frame)
        builder.add_values(thread, array("i", [nodes[node] for node in profile.node]), profile.value)
    losses = dict(after.meta.losses)
    for name, count in before.meta.losses.items():
        losses[name] = losses.get(name, 0) + count
    return builder.snapshot(replace(after.meta, losses=losses))


def _frame(builder: ProfileBuilder, known: dict[Group, int], frame: StackFrame, files: Mapping[str, str]) -> int:
    group = renamed(group_of(frame, "function"), files)
    index = known.get(group)
    if index is None:
        plain = frame._replace(function_name=group.function, address=0, line=frame.first_line)
        index = known[group] = builder.add_frame(plain)
    return index


def _nodes(builder: ProfileBuilder, profile: Profile, of_frame: Sequence[int]) -> array[int]:
    """Node of the profile → of the builder."""
    out = array("i")
    for parent, frame in zip(profile.parent, profile.frame, strict=True):
        out.append(builder.add_node(out[parent] if parent >= 0 else -1, of_frame[frame]))
    return out
