"""Which frames count as one: a function, a line of it, or every address apart."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dtrace_profiler.model.frame import StackFrame

Identity = Literal["function", "line", "address"]


@dataclass(frozen=True, slots=True)
class MergedFrames:
    """`of_frame` has one entry a frame given: the index of its merged frame in `frames`."""

    frames: tuple[StackFrame, ...]
    of_frame: array[int]

    @property
    def all_apart(self) -> bool:
        """No two frames became one."""
        return len(self.frames) == len(self.of_frame)


def merge_frames(frames: Sequence[StackFrame], by: Identity) -> MergedFrames:
    """Merged frames in the order of their first appearance.

    By function: name, module, file and kind; address 0 and `line` the function's first line (the smallest that
    any of its frames knows). By line: also the line. By address: as they are.
    """
    if by not in ("function", "line", "address"):
        raise ValueError(f"by is function, line or address, not {by!r}")
    if by == "address":
        return _merged(frames, list(frames))
    if by == "line":
        return _merged(frames, [frame._replace(address=0) for frame in frames])
    first_lines: dict[tuple[object, ...], int] = {}
    for frame in frames:
        if frame.first_line:
            key = _function(frame)
            known = first_lines.get(key)
            if known is None or frame.first_line < known:
                first_lines[key] = frame.first_line
    merged = []
    for frame in frames:
        line = first_lines.get(_function(frame), 0)
        merged.append(frame._replace(address=0, line=line, first_line=line))
    return _merged(frames, merged)


def _function(frame: StackFrame) -> tuple[object, ...]:
    return frame.function_name, frame.module_name, frame.file, frame.kind


def _merged(frames: Sequence[StackFrame], merged: list[StackFrame]) -> MergedFrames:
    ids: dict[StackFrame, int] = {}
    of_frame = array("i", bytes(4 * len(frames)))
    for index, frame in enumerate(merged):
        of_frame[index] = ids.setdefault(frame, len(ids))
    return MergedFrames(tuple(ids), of_frame)
