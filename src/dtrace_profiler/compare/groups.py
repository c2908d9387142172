"""Sums of a profile by names that stay the same from run to run: functions, files or modules.

A function is its module and its name. Lines and addresses are no part of it, for they move with every change of
the code; its file is only where no module is known, and without its folders where these differ. Native functions
without a name (`0x7f…`) are one a module: their addresses are other ones in each process. A function inlined in one
build and not in the other is the same function.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.top import sums_by_frame
from dtrace_profiler.model.tree import CallTree

By = Literal["function", "file", "module"]
Measure = Literal["self", "total"]

UNNAMED = "(no symbol)"
UNKNOWN = "(unknown)"
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_LARGEST_SUM = 60
"""Bits that a sum of squares may have."""


class Group(NamedTuple):
    """What counts as one. By file or module: `function` is empty."""

    module: str
    function: str

    @property
    def name(self) -> str:
        """`module:function`, or whichever of both there is."""
        return f"{self.module}:{self.function}" if self.module and self.function else self.module or self.function


@dataclass(frozen=True, slots=True)
class Weight:
    """Samples of one group: the sum of their values, and of the squares of these."""

    value: int
    square: float


@dataclass(frozen=True, slots=True)
class GroupSums:
    groups: dict[Group, Weight]
    """With values above 0 only."""
    everything: Weight


def group_of(frame: StackFrame, by: By) -> Group:
    """The group of a frame."""
    if by == "function":
        name = UNNAMED if _ADDRESS.fullmatch(frame.function_name) else frame.function_name
        return Group(frame.module_name or frame.file, name or UNKNOWN)
    if by == "file":
        return Group(frame.file or frame.module_name or UNKNOWN, "")
    return Group(frame.module_name or frame.file or UNKNOWN, "")


def moved_files(profiles: Sequence[Iterable[Group]]) -> dict[str, str]:
    """Paths that lead to another folder in each profile, as those of two checkouts do → the file's name alone.

    Only where each profile has one file of that name, so that no two files become one.
    """
    paths: dict[str, list[set[str]]] = {}
    for at, groups in enumerate(profiles):
        for module in {group.module for group in groups}:
            paths.setdefault(base_name(module), [set() for _ in profiles])[at].add(module)
    out = {}
    for name, sides in paths.items():
        every = set().union(*sides)
        if len(every) > 1 and all(len(side) <= 1 for side in sides):
            out.update(dict.fromkeys(every, name))
    return out


def base_name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2] or path


def renamed(group: Group, files: Mapping[str, str]) -> Group:
    """With the names of `moved_files`."""
    return group._replace(module=files.get(group.module, group.module))


def group_sums(profile: Profile, by: By, measure: Measure) -> GroupSums:
    """`self`: of the samples whose function that ran is of the group. `total`: of those whose stack has the group
    anywhere, each counted once, however often it stands there. Linear in the profile's nodes."""
    if by not in ("function", "file", "module"):
        raise ValueError(f"by is function, file or module, not {by!r}")
    if measure not in ("self", "total"):
        raise ValueError(f"measure is self or total, not {measure!r}")
    grouped = _grouped(profile, by)
    tree = CallTree.from_profile(grouped)
    squares, scale = _squares(grouped)
    of = 0 if measure == "self" else 1
    values = weights = sums_by_frame(tree)[of]
    square_of_all = tree.total[0]
    if squares is not None:
        # Of the same stacks, so its nodes and frames are the same ones.
        square_tree = CallTree.from_profile(replace(grouped, value=squares))
        weights, square_of_all = sums_by_frame(square_tree)[of], square_tree.total[0]
    groups = {
        Group(frame.module_name, frame.function_name): Weight(values[index], float(weights[index] * scale))
        for index, frame in enumerate(tree.frames)
        if values[index] > 0
    }
    return GroupSums(groups, Weight(tree.total[0], float(square_of_all * scale)))


def _grouped(profile: Profile, by: By) -> Profile:
    """The same with one frame a group."""
    frames: dict[StackFrame, int] = {}
    of_frame = array("i")
    for frame in profile.frames:
        group = group_of(frame, by)
        of_frame.append(frames.setdefault(StackFrame(group.function, group.module), len(frames)))
    return replace(profile, frames=tuple(frames), frame=array("i", [of_frame[index] for index in profile.frame]))


def _squares(profile: Profile) -> tuple[array[int] | None, int]:
    """Each row's part of the sum of the samples' squared values, in units of the number beside. None: the values
    themselves, for samples that count 1 each.

    A row with a time is one sample. One without is as many samples of one period as it has of it, where the period is
    known; else it is taken as one, which gives intervals that are too wide rather than too narrow.
    """
    if profile.meta.unit == "samples":
        return None, 1
    period = 1_000_000_000 // profile.meta.frequency_hz if profile.meta.frequency_hz else 0
    squares = [
        value * (min(value, period) if period and not time else value)
        for value, time in zip(profile.value, profile.timestamp_ns, strict=True)
    ]
    scale = (sum(squares) >> _LARGEST_SUM) + 1
    return array("q", [square // scale for square in squares]), scale
