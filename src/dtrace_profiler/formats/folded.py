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
from collections.abc import Callable, Sequence
from typing import BinaryIO

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats.contents import present
from dtrace_profiler.formats.files import HEAD_BYTES
from dtrace_profiler.formats.folded_threads import with_threads
from dtrace_profiler.formats.frame_labels import MARKS, NO_NAME
from dtrace_profiler.formats.json_document import LARGEST
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.symbols.frame_text import is_kernel_module

MEMO_BYTES = 384 << 20
"""Of stacks' beginnings that are looked up whole. Beyond, stacks are taken frame by frame."""
_LONG_STACK = 1 << 14
"""Bytes of a stack whose beginnings would cost too much: their sum grows as the square."""
_CLEAN = str.maketrans({";": ":", "\n": " ", "\r": " "})
_PYTHON = re.compile(r"(.+) \((.+\.pyw?|<[^()]+>):(\d{1,9})\)", re.DOTALL)
_SAYS_NOTHING = re.compile(rb"#.*|\s*| [0-9]+\s*", re.DOTALL)
"""A comment, an empty line, or a stack of nothing, which is like a number of dtrace's."""
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{1,16}")


def sniff(head: bytes) -> bool | None:
    """Whether the first lines are folded stacks; None: some are, or they are words and numbers, as much else is."""
    lines = head.split(b"\n")
    whole = [line for line in (lines[:-1] or lines) if not _SAYS_NOTHING.fullmatch(line)][:20]
    if b"\0" in head or not whole:
        return False if whole else None
    if len(lines) == 1 and len(head) >= HEAD_BYTES and b";" in head:
        return None  # one stack that is longer than what can be seen here
    fits = [_fits(line) for line in whole]
    if all(fits):
        return True if any(b";" in line for line in whole) else None
    return None if fits[0] and b";" in whole[0] else False


def _fits(line: bytes) -> bool:
    stack, _, value = line.rstrip().rpartition(b" ")
    return bool(stack.strip()) and value.isdigit() and line[:1] not in b" \t{"


def dropped(profile: Profile) -> list[str]:
    return present(
        profile,
        "times",
        "threads",
        "addresses",
        "files of native functions",
        "lines within functions",
        "modules of Python functions",
        "what was lost",
        "when and how it was taken",
        "notes",
    )


def write(profile: Profile, file: BinaryIO) -> None:
    """Sorted, so that equal profiles give equal files."""
    values: dict[str, int] = {}
    texts = _texts(profile)
    for node, value in profile.stack_values().items():
        text = texts(node)
        values[text] = values.get(text, 0) + value
    for text in sorted(values):
        if values[text]:
            # A line that begins with # would be a comment.
            blank = " " if text[:1] == "#" else ""
            file.write(f"{blank}{text} {values[text]}\n".encode("utf-8", "replace"))


def _texts(profile: Profile) -> Callable[[int], str]:
    """The text of each stack. That of every node is kept, for those below it, as long as it is short."""
    names = [frame_name(frame) for frame in profile.frames]
    kernel = bytearray(frame.kind is FrameKind.KERNEL for frame in profile.frames)
    known = bytearray(is_kernel_module(frame.module_name) for frame in profile.frames)
    inside_kernel = bytearray(len(profile.parent))
    marked = bytearray(len(profile.parent))
    kept: list[str | None] = []
    for node, (parent, frame) in enumerate(zip(profile.parent, profile.frame, strict=True)):
        inside_kernel[node] = known[frame] or (parent >= 0 and inside_kernel[parent])
        name = names[frame]
        if kernel[frame] and not inside_kernel[node]:
            inside_kernel[node] = 1
            if not name.endswith("_[k]"):
                marked[node] = 1
                name += "_[k]"
        above = kept[parent] if parent >= 0 else ""
        if above is None or len(above) > _LONG_STACK:
            kept.append(None)
        else:
            kept.append(f"{above};{name}" if above else name)

    def text_of(node: int) -> str:
        below: list[str] = []
        while (text := kept[node]) is None:
            below.append(names[profile.frame[node]] + ("_[k]" if marked[node] else ""))
            node = profile.parent[node]
        below.append(text)
        below.reverse()
        return ";".join(below) if len(below) > 1 else text

    return text_of


def frame_name(frame: StackFrame) -> str:
    """How a frame is written, but for the kernel's mark."""
    name = frame.function_name.strip() or NO_NAME
    if frame.kind is FrameKind.PYTHON:
        if frame.file:
            name = f"{name} ({frame.file}:{frame.first_line})"
        elif frame.module_name:
            name = f"{frame.module_name}.{name}"
    elif frame.module_name:
        name = f"{frame.module_name}`{name}"
    name = name.translate(_CLEAN).strip() or NO_NAME
    if not name.isascii():
        name = name.encode("utf-8", "replace").decode()
    if frame.kind is FrameKind.INLINED:
        return name + "_[i]"
    if name[-4:] in MARKS:  # the function's own name, not a mark
        return name + ("_[k]" if frame.kind is FrameKind.KERNEL else "_[j]")
    return name


def frame_of(name: str, *, in_kernel: bool) -> StackFrame:
    """The frame that is written like this, below a caller that is the kernel's or not."""
    kind = MARKS.get(name[-4:]) if len(name) > 4 else None
    if kind is not None:
        name = name[:-4]
    python = _PYTHON.fullmatch(name)
    if python and kind in (None, FrameKind.PYTHON):
        line = int(python[3])
        return StackFrame(python[1], file=python[2], line=line, first_line=line, kind=FrameKind.PYTHON)
    module, tick, function = name.partition("`")
    if not tick or not module or not function:
        module, function = "", name
    address = int(function, 16) if _ADDRESS.fullmatch(function) else 0
    if kind is None:
        if in_kernel or is_kernel_module(module):
            kind = FrameKind.KERNEL
        elif not module and (address or function == NO_NAME):
            kind = FrameKind.UNKNOWN
        else:
            kind = FrameKind.NATIVE
    return StackFrame(function or NO_NAME, module, address, kind=kind)


def read(file: BinaryIO) -> Profile:
    """Raises `InputError` with the line's number where a line is no folded stack."""
    reader = _Reader()
    known, frames = reader.known.get, reader.frames
    parents, leaves, values = reader.parents, reader.leaves, reader.values
    try:
        for number, line in enumerate(file, 1):
            stack, _, digits = line.rpartition(b" ")
            digits = digits.strip()
            if not digits.isdigit() or not stack or line[0] in b"#;":
                reader.odd_line(line, number)
                continue
            beginning, _, name = stack.rpartition(b";")
            place = known(beginning)
            if place is None:
                place = reader.beginning(beginning)
            in_kernel = place & 1
            frame = frames[in_kernel].get(name)
            parents.append(place >> 1)
            leaves.append(reader.new_frame(name, in_kernel) if frame is None else frame)
            values.append(int(digits))
    except (OverflowError, ValueError) as error:
        raise InputError(f"line {number} has a value that is too large.") from error
    if not values:
        raise InputError("there are no stacks in it.")
    if sum(values) > LARGEST:
        raise InputError("the sum of its values is too large.")
    return reader.profile()


class _Reader:
    """Stacks to nodes.

    Most stacks differ from others in their last frames only. So the beginning, all but the leaf, is looked up whole;
    where it is new, so is its own beginning, and so on: a stack costs as many steps as it has new frames.

    A place is a node (-1: above the roots) and whether it is the kernel's, as one number: 2 * node + 1 if it is.
    """

    def __init__(self) -> None:
        self._builder = ProfileBuilder(max_samples=1 << 62)
        self._thread = self._builder.add_thread(0, 0)
        self.frames: tuple[dict[bytes, int], dict[bytes, int]] = ({}, {})
        """A frame's text → its index, below callers that are not, and that are, the kernel's."""
        self._kernel: set[int] = set()
        """Frames that are the kernel's."""
        self.known: dict[bytes, int] = {b"": -2}
        """The beginning of a stack → its place."""
        self._memo_bytes = 0
        self.parents = array("i")
        """Of each stack's leaf."""
        self.leaves = array("i")
        """Each stack's last frame."""
        self.values = array("q")

    def new_frame(self, name: bytes, in_kernel: int) -> int:
        text = name.decode("utf-8", "replace").strip()
        index = self.frames[in_kernel][name] = self._builder.add_frame(frame_of(text, in_kernel=bool(in_kernel)))
        if self._builder.frames[index].kind is FrameKind.KERNEL:
            self._kernel.add(index)
        return index

    def beginning(self, stack: bytes) -> int:
        """The place of a beginning that isn't known: from the longest one that is."""
        if self._memo_bytes > MEMO_BYTES or len(stack) > _LONG_STACK:
            return self._below(-2, stack.split(b";"))[-1]
        new = []
        rest: bytes = stack
        found = None
        while found is None:
            new.append(rest)
            rest, _, _ = rest.rpartition(b";")
            found = self.known.get(rest)
        new.reverse()
        places = self._below(found, stack[len(rest) + 1 if rest else 0 :].split(b";"))
        self.known.update(zip(new, places, strict=True))
        self._memo_bytes += sum(map(len, new)) + 100 * len(new)
        return places[-1]

    def _below(self, place: int, names: Sequence[bytes]) -> list[int]:
        """The places on the way down from this one."""
        in_kernel = place & 1
        path: list[int] = []
        marks: list[int] = []
        for name in names:
            frame = self.frames[in_kernel].get(name)
            if frame is None:
                frame = self.new_frame(name, in_kernel)
            if frame in self._kernel:
                in_kernel = 1
            path.append(frame)
            marks.append(in_kernel)
        nodes = self._builder.add_path(path, place >> 1)
        return [2 * node + mark for node, mark in zip(nodes, marks, strict=True)]

    def odd_line(self, line: bytes, number: int) -> None:
        """Comments, empty lines, and semicolons before the first name are let pass. A blank and a value alone, as
        py-spy writes for a thread that has ended, is a stack that nobody knows."""
        text = line.strip()
        if not text or text.startswith(b"#"):
            return
        stack, _, digits = text.rpartition(b" ")
        stack = stack.strip().lstrip(b";")
        if not stack and line[:1] == b" ":
            stack = NO_NAME.encode()
        if not stack or not digits.isdigit():
            shown = text[:60].decode("utf-8", "backslashreplace")
            raise InputError(f"line {number} is no folded stack (`name;name;name VALUE`): {shown!r}.")
        place = self._below(-2, stack.split(b";"))[-1]
        self.parents.append(self._builder.parent[place >> 1])
        self.leaves.append(self._builder.frame[place >> 1])
        self.values.append(int(digits))

    def profile(self) -> Profile:
        self.known.clear()
        nodes = self._builder.add_nodes(self.parents, self.leaves)
        self._builder.add_values(self._thread, nodes, self.values)
        return with_threads(self._builder.snapshot(Meta(engine="folded")))
