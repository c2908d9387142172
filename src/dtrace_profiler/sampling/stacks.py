"""The sampler's frames and stacks by number → the frames of the model."""

from __future__ import annotations

from collections.abc import Sequence

from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.sampling.target.walk import FIRST_FRAME, NO_STACK, NO_STACK_FRAME, TRUNCATED

TRUNCATED_FRAME = StackFrame("<truncated>", kind=FrameKind.UNKNOWN)
UNSEEN_FRAME = StackFrame("<no Python stack>", kind=FrameKind.UNKNOWN)
"""CPU time of threads that had no Python stack when they could be looked at; as samples of thread 0."""
_LOST_FRAME = StackFrame("<unknown>", kind=FrameKind.UNKNOWN)
"""A number without its definition: part of a file is missing."""


class StackTable:
    """Numbers are given by one sampler. A stack has at least one frame, root first."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._frames: dict[int, StackFrame] = {TRUNCATED: TRUNCATED_FRAME, NO_STACK_FRAME: UNSEEN_FRAME}
        self._stacks: dict[int, tuple[StackFrame, ...]] = {NO_STACK: (UNSEEN_FRAME,)}

    def add_frame(self, number: int, function: str, module: str, file: str, line: int, first_line: int) -> None:
        if number >= FIRST_FRAME:
            self._frames[number] = StackFrame(
                function, module, file=file, line=line, first_line=first_line, kind=FrameKind.PYTHON
            )

    def add_stack(self, number: int, leaf_first: Sequence[int]) -> None:
        if leaf_first:
            self._stacks[number] = tuple(self._frames.get(frame, _LOST_FRAME) for frame in reversed(leaf_first))

    def stack(self, number: int) -> tuple[StackFrame, ...]:
        return self._stacks.get(number, (_LOST_FRAME,))
