"""A profile whose stacks begin at some frame: what called it is left out."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace

from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Profile


def rooted_at(profile: Profile, is_root: Callable[[StackFrame], bool]) -> Profile:
    """The outermost such frame of a stack becomes its root. Stacks that have none stay as they are."""
    chosen = bytearray(is_root(frame) for frame in profile.frames)
    below = bytearray(len(profile.parent))
    """1 for nodes at or below a root."""
    parents, frames = array("i"), array("i")
    known: dict[tuple[int, int], int] = {}
    new = array("i")
    for parent, frame in zip(profile.parent, profile.frame, strict=True):
        inside = parent >= 0 and below[parent]
        below[len(new)] = inside or chosen[frame]
        above = -1 if parent < 0 or (chosen[frame] and not inside) else new[parent]
        node = known.setdefault((above, frame), len(parents))
        if node == len(parents):
            parents.append(above)
            frames.append(frame)
        new.append(node)
    return replace(profile, parent=parents, frame=frames, node=array("i", [new[node] for node in profile.node]))
