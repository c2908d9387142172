"""Native and Python frames → one stack, root first.

In: the native frames of a sample, its Python frames with a mark wherever a C evaluation loop began, its kernel
frames. Where the native stack can be trusted and its evaluation loops fit the segments of the Python stack, each
segment stands where its loop stood. Elsewhere the Python frames come first and then those native frames that are
surely on the leaf side of the last loop. Pure.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from dtrace_profiler.cpython.glue import is_glue, is_start
from dtrace_profiler.model.frame import FrameKind, StackFrame

PythonFrame = StackFrame | None
"""None: a C evaluation loop begins here (an entry frame)."""

_TRAMPOLINE = "py::"
"""How `-X perf` names the native stub of each Python function in the perf map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRequest:
    native: Sequence[StackFrame]
    """Root first, inlined frames behind the function they are in."""
    unwound: bool
    """The native frames were found by frame pointers that this interpreter keeps; else only the leaf is true."""
    python: Sequence[PythonFrame]
    """Leaf first, as the walk has it."""
    loops: Container[StackFrame]
    """Tells evaluation loops' frames."""
    glue: bool
    """Keep the interpreter's own frames."""
    native_truncated: bool = False
    """There were more native frames, on the root side."""
    python_truncated: bool = False


@dataclass(slots=True)
class _Native:
    """A native stack, cut at its evaluation loops: `parts[i]` leads to `loops[i]`, the last part is the leaf side."""

    parts: list[list[StackFrame]]
    loops: list[list[StackFrame]]

    @property
    def ends_in_loop(self) -> bool:
        return bool(self.loops) and not self.parts[-1]


def merge(request: MergeRequest) -> tuple[StackFrame, ...]:
    """The user-space part of a stack, root first. Empty only where both parts are."""
    segments = python_segments(request.python)
    if not segments:
        return tuple(request.native)
    native = _split(request.native, request.loops)
    keep = request.glue
    fitting = _fit(request, segments, native) if request.unwound else None
    if fitting is None:
        return (*_joined(segments), *_leaf_side(request, len(segments), native))
    # Segments of loops beyond what the kernel unwound come first, without native frames between them.
    beyond = len(fitting) - len(native.loops)
    out = _joined(fitting[:beyond])
    for index, (loop, segment) in enumerate(zip(native.loops, fitting[beyond:], strict=True)):
        part = native.parts[index]
        out += _between(part, keep) if index or beyond else _start(part, keep)
        if keep:
            out += loop
        out += segment
    return (*out, *_between(native.parts[-1], keep))


def python_segments(frames: Sequence[PythonFrame]) -> list[list[StackFrame]]:
    """The runs of Python frames that one C evaluation loop each executes; all root first.

    A loop that has no frame yet, or none any more, has none here.
    """
    segments: list[list[StackFrame]] = [[]]
    for frame in frames:
        if frame is not None:
            segments[-1].append(frame)
        elif segments[-1]:
            segments.append([])
    return [segment[::-1] for segment in reversed(segments) if segment]


def _fit(request: MergeRequest, segments: list[list[StackFrame]], native: _Native) -> list[list[StackFrame]] | None:
    """The segment of each loop; None where they can't be told. May add to `native` a loop that unwinding missed."""
    innermost_is_empty = request.python[0] is None
    wanted = [*segments, []] if innermost_is_empty else segments
    missing = len(wanted) - len(native.loops)
    if request.python_truncated:
        return None
    if missing == -1 and native.ends_in_loop and not innermost_is_empty:
        # Interrupted at its very beginning or end, when it has no Python frame and no entry frame.
        return [*wanted, []]
    leaf_at = _leaf_index(native.parts[-1])
    if missing == 1 and native.parts[-1] and not (request.native_truncated and _may_be_whole(native, leaf_at)):
        # A function that makes no frame of its own hides its caller, and that one only: here a loop.
        native.parts[-1:] = [native.parts[-1][:leaf_at], native.parts[-1][leaf_at:]]
        native.loops.append([])
        return wanted
    if missing == 0 or (missing > 0 and request.native_truncated and native.ends_in_loop):
        return wanted
    return None


def _may_be_whole(native: _Native, leaf_at: int) -> bool:
    """In a truncated stack a loop may be missing at either end: at the leaf only where nothing else is below it."""
    return leaf_at == 0 and bool(native.loops)


def _leaf_side(request: MergeRequest, segments: int, native: _Native) -> list[StackFrame]:
    """The native frames that are surely called by the innermost Python frame."""
    if native.ends_in_loop:
        return list(native.loops[-1]) if request.glue else []
    part = native.parts[-1]
    if not request.unwound or len(native.loops) < segments or request.python_truncated:
        # What lies between the last loop in sight and the interrupted function may be above another loop.
        part = part[_leaf_index(part) :]
    return _between(part, request.glue)


def _joined(segments: Sequence[Sequence[StackFrame]]) -> list[StackFrame]:
    return [frame for segment in segments for frame in segment]


def _split(native: Sequence[StackFrame], loops: Container[StackFrame]) -> _Native:
    parts: list[list[StackFrame]] = [[]]
    found: list[list[StackFrame]] = []
    inside = False
    for frame in native:
        if frame in loops:
            found.append([frame])
            parts.append([])
            inside = True
        elif inside and frame.kind is FrameKind.INLINED:
            found[-1].append(frame)
        else:
            inside = False
            parts[-1].append(frame)
    return _Native(parts, found)


def _is_trampoline(frame: StackFrame) -> bool:
    return frame.function_name.startswith(_TRAMPOLINE)


def _start(part: Sequence[StackFrame], keep: bool) -> list[StackFrame]:
    """What led to the first loop: of a plain interpreter nothing but its start; of an application its own code."""
    frames = [frame for frame in part if not _is_trampoline(frame)]
    if keep:
        return frames
    # Nameless functions here are the interpreter's static ones, on the way from its main to the first loop.
    return [f for f in frames if not is_glue(f) and not is_start(f) and not f.function_name.startswith("0x")]


def _between(part: Sequence[StackFrame], keep: bool) -> list[StackFrame]:
    return [frame for frame in part if not _is_trampoline(frame) and (keep or not is_glue(frame))]


def _leaf_index(frames: Sequence[StackFrame]) -> int:
    """Of the interrupted function: behind it comes only what is inlined in it."""
    for index in range(len(frames) - 1, -1, -1):
        if frames[index].kind is not FrameKind.INLINED:
            return index
    return 0
