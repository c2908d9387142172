"""What dtrace prints for people's own one-liners, on every system, read as a profile. See docs/formats.md.

A stack without a number is one sample; values of equal stacks add up, over all aggregations and batches in the text.
The keys of an aggregation name a thread each, as far as they repeat.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from typing import BinaryIO

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats.json_document import LARGEST
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.record.messages import drops, is_notice, run_time_error
from dtrace_profiler.record.text import TextParser
from dtrace_profiler.record.text_lines import StackBlock, StackPart
from dtrace_profiler.symbols.frame_text import Demangle, dtrace_frames, readable

MAX_KEYS = 1_000
"""Different keys that become threads; the stacks of further ones have none."""
_CHUNK_BYTES = 1 << 18

_SIGNS = re.compile(
    rb"^[ \t]*(?:"
    rb"CPU[ \t]+(?:ID[ \t]+)?FUNCTION"  # header
    rb"|\d+[ \t]+\d+[ \t]+\S*:\S*[ \t]*$"  # probe
    rb"|[^\s`]+`[^\s`]"  # frame
    rb"|0x[0-9a-f]+[ \t]*$|\S+:0x[0-9a-f]+[ \t]*$|0x[0-9a-f]+ [A-Za-z]"
    rb"|value  -+ Distribution"
    rb")|^dtrace: |^ {2,}\S.*  +\d+[ \t]*$",
    re.MULTILINE,
)
_PERF_MAP = re.compile(rb"(?:[0-9a-f]{4,16} [0-9a-f]{1,8} \S[^\n]*(?:\n|\Z))+")
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b\b"))


def sniff(head: bytes) -> bool | None:
    """Whether this looks like dtrace's output; None: it's text, but there is no sign yet."""
    if b"\0" in head or len(head) - len(head.translate(None, _CONTROLS)) > len(head) // 100:
        return False
    return True if _SIGNS.search(head) or not head.strip() or _is_perf_map(head) else None


def _is_perf_map(head: bytes) -> bool:
    """The file that lies beside such texts, and is easily taken for one: addresses and names, no samples."""
    return _PERF_MAP.match(head, 0, 4096) is not None


def read(file: BinaryIO, *, demangle: Demangle | None = None) -> Profile:
    """Raises `InputError` where there is neither a stack nor any other sign of dtrace."""
    reader = StackReader(demangle or demangle_names())
    parser = TextParser()
    likely = False
    size = 0
    perf_map = False
    while data := file.read(_CHUNK_BYTES):
        perf_map = perf_map or (not size and _is_perf_map(data))
        size += len(data)
        likely = likely or bool(sniff(data))
        reader.take(parser.feed(data))
    reader.take(parser.close())
    lines = parser.lines
    if not reader.values and not lines.beside and not likely:
        raise InputError("there is nothing in it that dtrace prints." if size else "the file is empty.")
    losses = {
        "empty_stacks": lines.empty_stacks,
        "unfinished_stacks": lines.unfinished_stacks,
        "skipped_histograms": lines.histograms,
    }
    notes: list[str] = []
    for notice in lines.notices:
        text = notice.decode("utf-8", "replace")
        dropped = drops(text)
        if dropped is not None:
            losses[dropped[0]] = losses.get(dropped[0], 0) + dropped[1]
        elif run_time_error(text) is not None:
            losses["probe_errors"] = losses.get("probe_errors", 0) + 1
        elif not is_notice(text) and len(notes) < 10:
            notes.append(text)
    if not reader.values:
        if perf_map:
            notes = ["This is a perf map: it names addresses, but holds no samples."]
        elif lines.beside:
            reader.take([StackBlock((StackPart((name,)),), value, b"") for name, value in lines.beside.items()])
            notes.append("The text has no stacks: each function that it counts stands alone.")
        else:
            notes.append("The text has no stacks.")
    return reader.profile(
        Meta(
            engine="dtrace-text", losses={name: count for name, count in losses.items() if count}, notes=tuple(notes)
        )
    )


def demangle_names() -> Demangle:
    from dtrace_profiler.symbols import demangle

    return demangle.demangle_names


class StackReader:
    """Stacks to nodes, each distinct part of a stack once."""

    def __init__(self, demangle: Demangle) -> None:
        self._builder = ProfileBuilder(max_samples=1 << 62)
        self._demangle = demangle
        self._frames: tuple[dict[bytes, tuple[int, ...]], dict[bytes, tuple[int, ...]]] = ({}, {})
        """A line without its offset, of user stacks and of the kernel's → its frames' indices, root first."""
        self._threads: dict[bytes, int] = {}
        self.values: dict[tuple[int, int], int] = {}
        """Thread and node → value; stacks whose value is 0 (cleared) are not in it."""

    def take(self, blocks: Sequence[StackBlock]) -> None:
        new = [part for block in blocks for part in block.parts if part.resolved is None]
        if new:
            self._name(new)
        values = self.values
        for parts, value, key in blocks:
            if not value:
                continue
            node = -1
            for part in reversed(parts):
                node = self._below(node, part)
            thread = self._threads.get(key)
            place = (self._thread(key) if thread is None else thread, node)
            values[place] = values.get(place, 0) + value

    def _below(self, parent: int, part: StackPart) -> int:
        """The node that the part's leaf has when its root's parent is this node."""
        path, nodes = part.resolved
        node: int | None = nodes.get(parent)
        if node is None:
            node = nodes[parent] = self._builder.add_path(path, parent)[-1]
        return node

    def _name(self, parts: Sequence[StackPart]) -> None:
        """Gives each part its frames, root first, and an empty memo of its nodes."""
        keys = [[line.rpartition(b"+0x")[0] or line for line in _root_first(part.frames)] for part in parts]
        for kernel, frames in enumerate(self._frames):
            unknown: set[bytes] = set()
            for part, lines in zip(parts, keys, strict=True):
                if part.kernel == kernel:
                    unknown.update(lines)
            unknown.difference_update(frames)
            if unknown:
                self._name_lines(sorted(unknown), frames, kernel=bool(kernel))
        for part, lines in zip(parts, keys, strict=True):
            frames = self._frames[part.kernel]
            path = array("i")
            for line in lines:
                path.extend(frames[line])
            part.resolved = (path, {})

    def _name_lines(self, lines: Sequence[bytes], known: dict[bytes, tuple[int, ...]], *, kernel: bool) -> None:
        found = [dtrace_frames(line.strip().decode("utf-8", "replace"), kernel=kernel) for line in lines]
        names = list({frame.function_name: None for frames in found for frame in frames})
        plain = dict(zip(names, readable(names, self._demangle), strict=True))
        for line, frames in zip(lines, found, strict=True):
            known[line] = tuple(
                self._builder.add_frame(frame._replace(function_name=plain[frame.function_name])) for frame in frames
            )

    def _thread(self, key: bytes) -> int:
        number = len(self._threads)
        if number >= MAX_KEYS and key:
            return self._thread(b"") if b"" not in self._threads else self._threads[b""]
        name = " ".join(key.decode("utf-8", "replace").split())
        self._threads[key] = self._builder.add_thread(0, number, name)
        return self._threads[key]

    def profile(self, meta: Meta) -> Profile:
        if sum(self.values.values()) > LARGEST:
            raise InputError("its numbers are too large to be counts of samples.")
        for (thread, node), value in self.values.items():
            self._builder.add_sample(0, thread, node, value)
        return self._builder.snapshot(meta)


def _root_first(frames: Sequence[bytes]) -> list[bytes]:
    """An annotation says what the interpreter's frame above it ran: it comes after that frame."""
    out = list(frames)
    out.reverse()
    for place, line in enumerate(frames):
        if place and line[:2] == b"[ " and frames[place - 1][:2] != b"[ ":
            at = len(frames) - 1 - place
            out[at], out[at + 1] = out[at + 1], out[at]
    return out
