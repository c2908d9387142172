"""Folded stacks: `root;…;leaf VALUE`, one stack a line, as FlameGraph's tools and speedscope read them.

A semicolon in a name would split it, so it is written as a colon; line ends become blanks. Kernel frames carry
`_[k]`, inlined ones `_[i]`, as FlameGraph's stackcollapse programs mark them; both are understood on reading. A
Python frame is `module.function`, a native one its function. Reading takes the last word as the value.
"""

from __future__ import annotations

from typing import BinaryIO

from dtrace_profiler.errors import InputError
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile

_MARKS = {"_[k]": FrameKind.KERNEL, "_[i]": FrameKind.INLINED, "_[j]": FrameKind.NATIVE, "_[p]": FrameKind.PYTHON}
_SUFFIX = {FrameKind.KERNEL: "_[k]", FrameKind.INLINED: "_[i]", FrameKind.PYTHON: "_[p]"}
_MAX_VALUE = 1 << 62
_CLEAN = str.maketrans({";": ":", "\n": " ", "\r": " "})


def sniff(head: bytes) -> bool | None:
    """Whether the first lines are folded stacks."""
    lines = head.split(b"\n")
    whole = [line.rstrip(b"\r") for line in lines[:-1] if line.strip()]
    if not whole:
        return None
    for line in whole[:20]:
        if line.startswith(b"#"):
            continue
        stack, _, value = line.rpartition(b" ")
        if not stack.strip() or not value.isdigit() or line[:1] in b" \t{":
            return False
    return True


def frame_name(frame: StackFrame) -> str:
    name = frame.function_name
    if frame.kind is FrameKind.PYTHON and frame.module_name:
        name = f"{frame.module_name}.{name}"
    return name.translate(_CLEAN) + _SUFFIX.get(frame.kind, "")


def write(profile: Profile, file: BinaryIO) -> None:
    """Sorted, so that equal profiles give equal files."""
    names = [frame_name(frame) for frame in profile.frames]
    texts: list[str] = []
    for parent, frame in zip(profile.parent, profile.frame, strict=True):
        texts.append(names[frame] if parent < 0 else f"{texts[parent]};{names[frame]}")
    values: dict[str, int] = {}
    for node, value in profile.stack_values().items():
        values[texts[node]] = values.get(texts[node], 0) + value
    for text in sorted(values):
        if values[text]:
            file.write(f"{text} {values[text]}\n".encode("utf-8", "replace"))


def read(file: BinaryIO) -> Profile:
    """Raises `InputError` with the line's number where a line is no folded stack."""
    builder = ProfileBuilder(max_samples=1 << 62)
    frames: dict[str, int] = {}
    thread = builder.add_thread(0, 0)
    for number, raw in enumerate(file, 1):
        line = raw.strip()
        if not line or line.startswith(b"#"):
            continue
        stack, _, value = line.rpartition(b" ")
        if not stack or not value.isdigit() or len(value) > 18:
            shown = line[:60].decode("utf-8", "backslashreplace")
            raise InputError(f"line {number} is no folded stack (`name;name;name VALUE`): {shown!r}.")
        node = -1
        for name in stack.decode("utf-8", "backslashreplace").split(";"):
            frame = frames.get(name)
            if frame is None:
                kind = _MARKS.get(name[-4:], FrameKind.UNKNOWN)
                plain = name[:-4] if name[-4:] in _MARKS else name
                frame = frames[name] = builder.add_frame(StackFrame(plain or "<unknown>", kind=kind))
            node = builder.add_node(node, frame)
        builder.add_sample(0, thread, node, int(value))
    if not len(builder.node):
        raise InputError("the file has no stacks.")
    return builder.snapshot(Meta(engine="folded"))
