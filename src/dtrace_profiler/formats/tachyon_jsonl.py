"""What CPython's `profiling.sampling --jsonl` writes: one JSON object a line, of schema version 0. Read only.

It holds no stacks: only how often each line of a function was the one that ran (`self`) or was somewhere on the stack
(`cumulative`). So each such line becomes a stack of one frame, with its `self`; a note says so. As the schema asks,
records and fields that aren't known are let pass, and runs written one after the other are told apart by `run_id`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats.frame_labels import NO_NAME, is_python_file
from dtrace_profiler.formats.json_document import LARGEST, begins_with, checked, member, parse
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile

_VERSION = 0
_MOST_LINES = (1 << 31) - 1


def sniff(head: bytes) -> bool | None:
    if not begins_with(head, b"{"):
        return False if head.strip() else None
    first, end, _ = head.lstrip().partition(b"\n")
    if b'"run_id"' in first and b'"type"' in first:
        return True
    return False if end or b'"' in first else None


def read(file: BinaryIO) -> Profile:
    """Raises `InputError` with the line and the field that is wrong."""
    reader = _Reader()
    number = 0
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            reader.take(checked(parse(line), dict, "it"))
        except InputError as error:
            raise InputError(f"line {number}: {error}") from error
    if not number:
        raise InputError("the file is empty.")
    return reader.profile()


class _Reader:
    def __init__(self) -> None:
        self._builder = ProfileBuilder(max_samples=1 << 62)
        self._thread = self._builder.add_thread(0, 0)
        self._strings: dict[tuple[str, int], str] = {}
        self._frames: dict[tuple[str, int], int] = {}
        """Run and number of a frame → the node that stands for it."""
        self._total = 0
        self._interval = 0
        self._mode = ""
        self._unfinished: dict[str, bool] = {}
        self._takers: dict[str, Callable[[str, dict[str, Any]], None]] = {
            "meta": self._meta,
            "string_table": self._string_table,
            "frame_table": self._frame_table,
            "agg": self._values,
            "end": self._end,
        }

    def take(self, record: dict[str, Any]) -> None:
        kind = member(record, "type", str)
        if member(record, "v", int) != _VERSION:
            found = str(record["v"])[:20]
            raise InputError(f"its version (`v`) is {found}, and only version {_VERSION} is known here.")
        run = member(record, "run_id", str)
        self._unfinished.setdefault(run, True)
        taker = self._takers.get(kind)
        if taker is not None:
            taker(run, record)

    def _meta(self, run: str, record: dict[str, Any]) -> None:
        self._interval = _count(record, "sample_interval_usec", "meta")
        self._mode = str(record.get("mode") or "")[:20]

    def _string_table(self, run: str, record: dict[str, Any]) -> None:
        for place, entry in enumerate(member(record, "strings", list)):
            where = f"strings[{place}]"
            entry = checked(entry, dict, where)
            self._strings[run, _count(entry, "str_id", where)] = member(entry, "value", str, where)

    def _frame_table(self, run: str, record: dict[str, Any]) -> None:
        for place, entry in enumerate(member(record, "frames", list)):
            where = f"frames[{place}]"
            entry = checked(entry, dict, where)
            path = self._string(run, entry, "path_str_id", where)
            function = self._string(run, entry, "func_str_id", where) or NO_NAME
            line = _count(entry, "line", where)
            if line > _MOST_LINES:
                raise InputError(f"{where}.line is too large a number.")
            if path == "~" and not line:  # `<GC>` and `<native>`, which have no file
                frame = StackFrame(function, kind=FrameKind.NATIVE if function == "<native>" else FrameKind.UNKNOWN)
            else:
                kind = FrameKind.PYTHON if is_python_file(path) or line else FrameKind.UNKNOWN
                frame = StackFrame(function, file=path, line=line, first_line=line, kind=kind)
            self._frames[run, _count(entry, "frame_id", where)] = self._builder.add_stack((frame,))

    def _string(self, run: str, entry: dict[str, Any], name: str, where: str) -> str:
        text = self._strings.get((run, _count(entry, name, where)))
        if text is None:
            raise InputError(f"{where}.{name} is a text that no string_table had before.")
        return text

    def _values(self, run: str, record: dict[str, Any]) -> None:
        if record.get("kind") != "frame" or record.get("scope") != "final":
            return
        for place, entry in enumerate(member(record, "entries", list)):
            where = f"entries[{place}]"
            entry = checked(entry, dict, where)
            node = self._frames.get((run, _count(entry, "frame_id", where)))
            if node is None:
                raise InputError(f"{where}.frame_id is a frame that no frame_table had before.")
            value = _count(entry, "self", where)
            self._total += value
            if self._total > LARGEST:
                raise InputError(f"the sum of all values is too large at {where}.")
            if value:
                self._builder.add_sample(0, self._thread, node, value)

    def _end(self, run: str, record: dict[str, Any]) -> None:
        self._unfinished[run] = False

    def profile(self) -> Profile:
        if not self._builder.node:
            raise InputError("there are no samples in it.")
        notes = ["The file has no stacks: each function that ran stands alone, with its own samples."]
        if self._mode:
            notes.append(f"Sampled in the mode `{self._mode}` of profiling.sampling.")
        if any(self._unfinished.values()):
            notes.append("The file has no end: it was cut short.")
        return self._builder.snapshot(
            Meta(
                engine="profiling.sampling",
                frequency_hz=1_000_000 // self._interval if self._interval else 0,
                notes=tuple(notes),
            )
        )


def _count(owner: dict[str, Any], name: str, where: str) -> int:
    value = member(owner, name, int, where)
    if not 0 <= value <= LARGEST:
        raise InputError(f"{where}.{name} is negative or too large a number.")
    return value
