"""Which functions the time went to: self and total of each, with the sampling error.

A function's total counts a stack once, however often the function stands in it. The error is one standard error
of the share, in the profile's unit: for samples the binomial's, value ± sqrt(value × (1 − share)). For nanoseconds
every row of the profile is taken as one sample of its value w, and the ratio estimate's error is
sqrt((1 − share)² Σw² inside + share² Σw² outside), which for equal weights is the binomial's again. So a file of
nanoseconds already summed by stack shows errors that are too large rather than too small.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection
from dataclasses import dataclass, replace
from math import isqrt, sqrt
from typing import Literal

from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.identity import Identity
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.tree import CallTree


@dataclass(frozen=True, slots=True)
class TopFunction:
    """Values and errors in the profile's unit."""

    frame: StackFrame
    """Merged to the identity asked for."""
    self_value: int
    total: int
    self_error: float
    total_error: float


def top_functions(
    profile: Profile,
    *,
    by: Identity = "function",
    threads: Collection[int] | None = None,
    order: Literal["self", "total"] = "self",
    limit: int | None = None,
) -> list[TopFunction]:
    """Largest first; equal ones by the other value, then by name. Linear in the profile's nodes."""
    tree = CallTree.from_profile(profile, by=by, threads=threads)
    self_value, total = sums_by_frame(tree)
    scale = 1
    if profile.meta.unit == "samples":
        self_weight, total_weight, all_weight = self_value, total, tree.total[0]
    else:
        squares_of, scale = squared(profile)
        squares = CallTree.from_profile(squares_of, by=by, threads=threads)
        self_weight, total_weight = sums_by_frame(squares)
        all_weight = squares.total[0]
    everything = tree.total[0]
    rows = [
        TopFunction(
            frame,
            self_value[index],
            total[index],
            scale * _error(self_value[index], everything, self_weight[index], all_weight),
            scale * _error(total[index], everything, total_weight[index], all_weight),
        )
        for index, frame in enumerate(tree.frames)
        if total[index] or self_value[index]
    ]
    if order == "self":
        rows.sort(key=lambda row: (-row.self_value, -row.total, row.frame))
    else:
        rows.sort(key=lambda row: (-row.total, -row.self_value, row.frame))
    return rows[:limit]


def _error(value: int, everything: int, weight: int, all_weight: int) -> float:
    if everything <= 0:
        return 0.0
    share = value / everything
    return sqrt(max(0.0, (1 - share) ** 2 * weight + share**2 * (all_weight - weight)))


def sums_by_frame(tree: CallTree) -> tuple[array[int], array[int]]:
    """Self and total, an entry a frame of the tree."""
    own = array("q", bytes(8 * len(tree.frames)))
    total = array("q", bytes(8 * len(tree.frames)))
    outermost = _outermost(tree)
    for node in range(1, len(tree)):
        frame = tree.frame[node]
        own[frame] += tree.self_value[node]
        if outermost[node]:
            total[frame] += tree.total[node]
    return own, total


def _outermost(tree: CallTree) -> bytearray:
    """1 for each node none of whose ancestors has the same frame."""
    out = bytearray(len(tree))
    running = array("i", bytes(4 * len(tree.frames)))
    """How often a frame stands between the root and the node being visited."""
    path: list[int] = []
    """Frames of that way."""
    depth = tree.depth
    for node in tree.walk():
        if not node:
            continue
        while len(path) >= depth[node]:
            running[path.pop()] -= 1
        frame = tree.frame[node]
        out[node] = not running[frame]
        running[frame] += 1
        path.append(frame)
    return out


def squared(profile: Profile) -> tuple[Profile, int]:
    """The same profile with each value w as w² / scale², and the scale that keeps their sum within 64 bits."""
    scale = isqrt(sum(value * value for value in profile.value) >> 60) + 1
    squares = array("q", [value * value // (scale * scale) for value in profile.value])
    return replace(profile, value=squares), scale
