"""Folded stacks: `root;…;leaf VALUE`, one stack a line, as FlameGraph's tools, inferno and speedscope read them.

A native or kernel frame is ``module`function``, as dtrace writes it; a Python one `function (file:first line)`. A
semicolon in a name would split it, so it is written as a colon; line ends become blanks. Other blanks stay: the value
is what stands after the last one. Inlined frames end in `_[i]`, as FlameGraph's stackcollapse programs mark them. A
frame of the kernel is known by its module, or by a caller that is the kernel's; only one for which that doesn't hold
ends in `_[k]`. See docs/formats.md.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from typing import BinaryIO

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats.frame_text import is_kernel_module
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile

MEMO_BYTES = 256 << 20
"""Of stacks' beginnings that are looked up whole. Beyond, stacks are taken frame by frame."""
_MARKS = {
    "_[k]": FrameKind.KERNEL,
    "_[i]": FrameKind.INLINED,
    "_[j]": FrameKind.NATIVE,
    "_[p]": FrameKind.PYTHON,
}
_CLEAN = str.maketrans({";": ":", "\n": " ", "\r": " "})
_NO_NAME = "<unknown>"
_PYTHON = re.compile(r"(.+) \((.+\.pyw?|<[^()]+>):(\d{1,9})\)", re.DOTALL)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{1,16}")


def sniff(head: bytes) -> bool | None:
    """Whether the first lines are folded stacks."""
    lines = head.split(b"\n")
    whole = [line for line in (lines[:-1] or lines) if line.strip() and not line.startswith(b"#")][:20]
    if not whole:
        return None
    for line in whole:
        stack, _, value = line.rstrip().rpartition(b" ")
        if not stack.strip() or not value.isdigit() or line[:1] in b" \t{" or b"\0" in line:
            return False
    # One word and a number is much else, too.
    return True if any(b";" in line for line in whole) else None


def write(profile: Profile, file: BinaryIO) -> None:
    """Sorted, so that equal profiles give equal files."""
    texts: list[str] = []
    inside_kernel = bytearray(len(profile.parent))
    names = [frame_name(frame) for frame in profile.frames]
    kernel = bytearray(frame.kind is FrameKind.KERNEL for frame in profile.frames)
    known = bytearray(is_kernel_module(frame.module_name) for frame in profile.frames)
    for node, (parent, frame) in enumerate(zip(profile.parent, profile.frame, strict=True)):
        name = names[frame]
        inside_kernel[node] = known[frame] or (parent >= 0 and inside_kernel[parent])
        if kernel[frame] and not inside_kernel[node]:
            name += "_[k]"
            inside_kernel[node] = 1
        texts.append(name if parent < 0 else f"{texts[parent]};{name}")
    values: dict[str, int] = {}
    for node, value in profile.stack_values().items():
        text = texts[node]
        values[text] = values.get(text, 0) + value
    for text in sorted(values):
        if values[text]:
            file.write(f"{text} {values[text]}\n".encode("utf-8", "replace"))


def frame_name(frame: StackFrame) -> str:
    """How a frame is written, but for the kernel's mark."""
    name = frame.function_name or _NO_NAME
    if frame.kind is FrameKind.PYTHON:
        if frame.file:
            name = f"{name} ({frame.file}:{frame.first_line})"
        elif frame.module_name:
            name = f"{frame.module_name}.{name}"
    elif frame.module_name:
        name = f"{frame.module_name}`{name}"
    name = name.translate(_CLEAN).strip() or _NO_NAME
    return name + "_[i]" if frame.kind is FrameKind.INLINED else name


def frame_of(name: str, *, in_kernel: bool) -> StackFrame:
    """The frame that is written like this, below a caller that is the kernel's or not."""
    kind = _MARKS.get(name[-4:])
    if kind is not None:
        name = name[:-4]
    python = _PYTHON.fullmatch(name)
    if python and kind in (None, FrameKind.PYTHON):
        line = int(python[3])
        return StackFrame(python[1], file=python[2], line=line, first_line=line, kind=FrameKind.PYTHON)
    module, tick, function = name.partition("`")
    if not tick:
        module, function = "", name
    address = int(function, 16) if _ADDRESS.fullmatch(function) else 0
    if kind is None:
        if in_kernel or is_kernel_module(module):
            kind = FrameKind.KERNEL
        elif not module and (address or function == _NO_NAME):
            kind = FrameKind.UNKNOWN
        else:
            kind = FrameKind.NATIVE
    return StackFrame(function or _NO_NAME, module, address, kind=kind)


def read(file: BinaryIO) -> Profile:
    """Raises `InputError` with the line's number where a line is no folded stack."""
    reader = _Reader()
    nodes, values = array("i"), array("q")
    try:
        for stack, value in _lines(file):
            nodes.append(reader.leaf(stack))
            values.append(value)
    except OverflowError as error:
        raise InputError("it has more stacks than can be held.") from error
    if not nodes:
        raise InputError("there are no stacks in it.")
    return reader.profile(nodes, values)


def _lines(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    for number, line in enumerate(file, 1):
        stack, _, digits = line.rstrip().rpartition(b" ")
        if stack and digits.isdigit() and len(digits) <= 18 and line[0] != 35:
            yield stack, int(digits)
        elif line.strip() and line[0] != 35:
            shown = line.strip()[:60].decode("utf-8", "backslashreplace")
            raise InputError(f"line {number} is no folded stack (`name;name;name VALUE`): {shown!r}.")


class _Reader:
    """Stacks to nodes.

    Most stacks differ from others in their last frames only. So the beginning, all but the leaf, is looked up whole;
    where it is new, so is its own beginning, and so on: a stack costs as many steps as it has new frames.
    """

    def __init__(self) -> None:
        self._builder = ProfileBuilder(max_samples=1 << 62)
        self._thread = self._builder.add_thread(0, 0)
        self._nodes: dict[bytes, int] = {b"": -1}
        """The beginning of a stack → its node."""
        self._memo_bytes = 0
        self._frames: tuple[dict[bytes, int], dict[bytes, int]] = ({}, {})
        """Text → frame, below callers that are not, and that are, the kernel's."""
        self._kernel = bytearray()
        """1 for each frame that is the kernel's."""

    def leaf(self, stack: bytes) -> int:
        beginning, _, name = stack.lstrip(b";").rpartition(b";")
        node = self._nodes.get(beginning)
        if node is None:
            node = self._beginning(beginning)
        return self._below(node, name)

    def _below(self, node: int, name: bytes) -> int:
        builder = self._builder
        in_kernel = node >= 0 and self._kernel[builder.frame[node]]
        frame = self._frames[in_kernel].get(name)
        if frame is None:
            text = name.decode("utf-8", "replace").strip()
            frame = self._frames[in_kernel][name] = builder.add_frame(frame_of(text, in_kernel=bool(in_kernel)))
            self._kernel.extend(bytes(len(builder.frames) - len(self._kernel)))
            self._kernel[frame] = builder.frames[frame].kind is FrameKind.KERNEL
        return builder.add_node(node, frame)

    def _beginning(self, stack: bytes) -> int:
        """The node of a beginning that isn't known: from the longest one that is."""
        if self._memo_bytes > MEMO_BYTES:
            node = -1
            for name in stack.split(b";"):
                node = self._below(node, name)
            return node
        new = []
        known = None
        while known is None:
            new.append(stack)
            stack, _, _ = stack.rpartition(b";")
            known = self._nodes.get(stack)
        node = known
        for beginning in reversed(new):
            node = self._below(node, beginning[len(stack) + 1 if stack else 0 :])
            self._nodes[beginning] = node
            self._memo_bytes += len(beginning) + 33
            stack = beginning
        return node

    def profile(self, nodes: array[int], values: array[int]) -> Profile:
        self._nodes.clear()
        self._builder.add_values(self._thread, nodes, values)
        return self._builder.snapshot(Meta(engine="folded"))
