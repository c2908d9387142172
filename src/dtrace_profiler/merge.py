"""Native and Python frames → one stack, root first.

In: the native frames of a sample, its Python frames with a mark wherever a C evaluation loop began, its kernel
frames. Where the native stack can be trusted and has as many evaluation loops as the Python stack has segments, each
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


def merge(request: MergeRequest) -> tuple[StackFrame, ...]:
    """The user-space part of a stack, root first. Empty only where both parts are."""
    segments = python_segments(request.python)
    parts, loops = _split(request.native, request.loops)
    if not segments:
        return tuple(request.native)
    keep = request.glue
    if request.unwound and len(loops) == len(segments):
        out = _start(parts[0], keep)
        for loop, segment, part in zip(loops, segments, parts[1:], strict=True):
            if keep:
                out += loop
            out += segment
            out += _between(part, keep)
        return tuple(out)
    out = [frame for segment in segments for frame in segment]
    if loops:
        out += [*(loops[-1] if keep else ()), *_between(parts[-1], keep)]
    else:
        # No loop in sight: of the native frames only the interrupted one is surely below the Python ones.
        out += _between(_leaf(request.native), keep)
    return tuple(out)


def python_segments(frames: Sequence[PythonFrame]) -> list[list[StackFrame]]:
    """The runs of Python frames that one C evaluation loop each executes; all root first."""
    segments: list[list[StackFrame]] = [[]]
    for frame in frames:
        if frame is not None:
            segments[-1].append(frame)
        elif segments[-1]:
            segments.append([])
    return [segment[::-1] for segment in reversed(segments) if segment]


def _split(
    native: Sequence[StackFrame], loops: Container[StackFrame]
) -> tuple[list[list[StackFrame]], list[list[StackFrame]]]:
    """(what lies between the evaluation loops, the loops): one more of the first than of the second."""
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
    return parts, found


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


def _leaf(native: Sequence[StackFrame]) -> list[StackFrame]:
    """The interrupted function, with what is inlined in it."""
    for index in range(len(native) - 1, -1, -1):
        if native[index].kind is not FrameKind.INLINED:
            return list(native[index:])
    return []
