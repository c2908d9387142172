"""pprof's profile.proto read: what `go tool pprof` and others write as `.pb.gz`, into a profile.

Nothing in the file is trusted: every number, offset and length is looked at, and the first that is wrong is told by
its offset. At most `MAX_BYTES` are taken from a file that may be packed, and at most `FRAMES_A_BYTE` frames are
walked for each of its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats.files import read_whole
from dtrace_profiler.formats.protobuf import BYTES, VARINT, CutOff, Field, fields, numbers, signed
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import MappedFile, Meta, Profile, Unit
from dtrace_profiler.symbols.frame_text import is_kernel_module

MAX_BYTES = 512 << 20
FRAMES_A_BYTE = 16
"""A location is one byte where it is used, and may have any number of lines: a small file could mean a huge tree."""
COMMENTS = {"engine": "engine: ", "target": "target: ", "system": "system: ", "version": "version: "}
LOST = "lost: "
_LOST = re.compile(rf"{LOST}(\S+) (\d{{1,18}})")
_WIRE = dict.fromkeys((1, 2, 3, 4, 5, 6, 11), BYTES) | dict.fromkeys((7, 8, 9, 10, 12, 14, 15), VARINT)
_PYTHON_FILE = re.compile(r".*\.pyw?|<.*>", re.DOTALL)
_IN_BRACKETS = re.compile(r"\[(?!vdso|vsyscall|heap|stack|anon|uprobes|unknown)(.*)\]", re.DOTALL)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{1,16}")
_PROCESS = ("pid", "process_id", "process id")
_THREAD = ("thread_id", "tid", "thread id", "thread")
_THREAD_NAME = ("thread_name", "thread name", "comm")
_OF_THREAD = frozenset((*_PROCESS, *_THREAD, *_THREAD_NAME))
"""The other labels are the program's."""
_WORD = 1 << 63
_T = TypeVar("_T")


def sniff(head: bytes) -> bool | None:
    """Whether the whole fields in this are a Profile's; None: not enough of them."""
    seen = 0
    typed = False
    try:
        for field, kind, value, end in fields(head, 0, len(head)):
            if field > 15 or _WIRE.get(field, kind) != kind or (field == 13 and kind not in (VARINT, BYTES)):
                return False
            if field in (1, 11):
                typed = True
                if any(inner[0] > 2 or inner[1] != VARINT for inner in fields(head, value, end)):
                    return False
            seen += 1
    except CutOff:
        pass
    except InputError:
        return False
    return True if typed and seen >= 2 else None


def read(file: BinaryIO) -> Profile:
    """Raises `InputError` with the offset of what is wrong."""
    data = read_whole(file, MAX_BYTES)
    if not data:
        raise InputError("the file is empty.")
    return _Reader(data).profile()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._builder = ProfileBuilder(max_samples=_WORD)
        self._strings: list[str] = []
        self._top: dict[int, list[tuple[int, int]]] = {field: [] for field in (1, 2, 3, 4, 5, 11)}
        """Messages by their field's number: from where to where."""
        self._said: dict[int, int] = {}
        self._comments: list[int] = []
        for field in fields(data, 0, len(data)):
            self._take(field)
        if not self._strings or self._strings[0]:
            raise InputError("this is no pprof profile: its table of strings does not begin with an empty one.")
        self._functions = self._table(5, self._function)
        self._mappings = self._table(3, self._mapping)
        self._locations = self._table(4, self._location)
        self._threads: dict[bytes, int] = {}
        """A sample's labels as they stand there → its thread."""

    def _take(self, field: Field) -> None:
        which, kind, value, end = field
        if which == 13:
            self._comments += numbers(self._data, field)
        elif which in _WIRE and kind != _WIRE[which]:
            raise InputError(f"field {which} before offset {end} is not of the type that a pprof profile has there.")
        elif which == 6:
            self._strings.append(self._data[value:end].decode("utf-8", "replace"))
        elif which in self._top:
            self._top[which].append((value, end))
        elif kind == VARINT:
            self._said[which] = value

    def _string(self, index: int, where: int) -> str:
        if index >= len(self._strings):
            there = len(self._strings)
            raise InputError(f"the message at offset {where} names string {index}, and there are {there}.")
        return self._strings[index]

    def _message(self, at: int, end: int) -> dict[int, int]:
        """The numbers of a message."""
        return {field: value for field, kind, value, _ in fields(self._data, at, end) if kind == VARINT}

    def _table(self, which: int, read_one: Callable[[int, int, dict[int, int]], _T]) -> dict[int, _T]:
        """By the numbers that the entries give themselves."""
        out: dict[int, _T] = {}
        for at, end in self._top[which]:
            said = self._message(at, end)
            place = said.get(1, 0)
            if not place or place in out:
                what = f"has the number {place} of another" if place else "has no number"
                raise InputError(f"the {_NAMES[which]} at offset {at} {what}.")
            out[place] = read_one(at, end, said)
        return out

    def _function(self, at: int, end: int, said: dict[int, int]) -> tuple[str, str, str, int]:
        name, system_name, file = (self._string(said.get(field, 0), at) for field in (2, 3, 4))
        first_line = said.get(5, 0)
        return name, system_name, file, first_line if first_line < 1 << 31 else 0

    def _mapping(self, at: int, end: int, said: dict[int, int]) -> str:
        path = self._string(said.get(5, 0), at)
        start, stop, offset = (said.get(field, 0) for field in (2, 3, 4))
        if path and start < stop and offset < _WORD:
            build_id = self._string(said.get(6, 0), at)
            self._builder.add_mapped_file(
                MappedFile(process_id=0, start=start, end=stop, offset=offset, path=path, build_id=build_id)
            )
        return path

    def _location(self, at: int, end: int, said: dict[int, int]) -> list[int]:
        """Its frames, the outermost first."""
        mapping = said.get(2, 0)
        if mapping and mapping not in self._mappings:
            raise InputError(f"the location at offset {at} names mapping {mapping}, which is not there.")
        file = self._mappings[mapping] if mapping else ""
        brackets = _IN_BRACKETS.fullmatch(file)
        module = brackets[1] if brackets else re.split(r"[/\\]", file)[-1]
        module = "vmlinux" if brackets and module.startswith("kernel.") else module
        kernel = bool(brackets) or is_kernel_module(module)
        address = said.get(3, 0)
        out = []
        for field, kind, value, stop in fields(self._data, at, end):
            if field == 4 and kind == BYTES:
                line = self._message(value, stop)
                function = self._functions.get(line.get(1, 0))
                if function is None:
                    missing = line.get(1, 0)
                    raise InputError(f"the line at offset {value} names function {missing}, which is not there.")
                number = line.get(2, 0)
                out.append((function, number if number < 1 << 31 else 0))
        if not out:
            name = f"0x{address:x}" if address else "<unknown>"
            kind_of = FrameKind.KERNEL if kernel else FrameKind.NATIVE if module else FrameKind.UNKNOWN
            return [self._builder.add_frame(StackFrame(name, module, address, kind=kind_of))]
        out.reverse()
        kinds = [FrameKind.KERNEL if kernel else FrameKind.NATIVE] + [FrameKind.INLINED] * (len(out) - 1)
        return [
            self._builder.add_frame(_frame(function, line, module, address, kind))
            for (function, line), kind in zip(out, kinds, strict=True)
        ]

    def _value_types(self) -> list[tuple[str, str]]:
        out = []
        for at, end in self._top[1]:
            said = self._message(at, end)
            out.append((self._string(said.get(1, 0), at), self._string(said.get(2, 0), at)))
        if not out:
            raise InputError("this is no pprof profile: it names no type of its values.")
        return out

    def profile(self) -> Profile:
        kinds = self._value_types()
        wanted = self._string(self._said.get(14, 0), 0)
        names = [name for name, _ in kinds]
        chosen = names.index(wanted) if wanted in names else len(names) - 1
        factor, unit = _UNITS.get(kinds[chosen][1], (1, "samples"))
        frames_left = FRAMES_A_BYTE * len(self._data)
        total = 0
        builder = self._builder
        for at, end in self._top[2]:
            stack, values, thread = self._sample(at, end)
            if len(values) != len(kinds):
                has = f"{len(values)} values, and there are {len(kinds)} types"
                raise InputError(f"the sample at offset {at} has {has}.")
            value = signed(values[chosen]) * factor
            if not 0 <= value < _WORD:
                what = "negative, as in a difference of two profiles" if value < 0 else "too large"
                raise InputError(f"the sample at offset {at} has a value that is {what}.")
            total += value
            if total >= _WORD:
                raise InputError(f"the sum of all values is too large at offset {at}.")
            node = -1
            for place in reversed(stack):
                frames = self._locations.get(place)
                if frames is None:
                    raise InputError(f"the sample at offset {at} names location {place}, which is not there.")
                frames_left -= len(frames)
                if frames_left < 0:
                    raise InputError(f"the stacks up to offset {at} are longer than a file of this size can hold.")
                node = builder.add_path(frames, node)[-1]
            if node < 0:
                node = builder.add_stack((StackFrame("<unknown>", kind=FrameKind.UNKNOWN),))
            if value:
                builder.add_sample(0, thread, node, value)
        return builder.snapshot(self._meta(unit, f"{kinds[chosen][0]}/{kinds[chosen][1]}"))

    def _sample(self, at: int, end: int) -> tuple[list[int], list[int], int]:
        stack: list[int] = []
        values: list[int] = []
        labels: list[tuple[int, int]] = []
        for field in fields(self._data, at, end):
            if field[0] == 1:
                stack += numbers(self._data, field)
            elif field[0] == 2:
                values += numbers(self._data, field)
            elif field[0] == 3 and field[1] == BYTES:
                labels.append((field[2], field[3]))
        key = b"\0".join([self._data[start:stop] for start, stop in labels])
        thread = self._threads.get(key)
        if thread is None:
            thread = self._threads[key] = self._thread(labels)
        return stack, values, thread

    def _thread(self, labels: list[tuple[int, int]]) -> int:
        found: dict[str, str] = {}
        for at, end in labels:
            said = self._message(at, end)
            text = self._string(said.get(2, 0), at)
            found[self._string(said.get(1, 0), at)] = text or str(signed(said.get(3, 0)))
        process, thread = (_whole(found, keys) for keys in (_PROCESS, _THREAD))
        name = next((found[key] for key in _THREAD_NAME if key in found), "")
        own = tuple(sorted((key, text) for key, text in found.items() if key not in _OF_THREAD))
        return self._builder.add_thread(process, thread, name, own)

    def _meta(self, unit: Unit, kind: str) -> Meta:
        known: dict[str, list[str]] = {what: [] for what in COMMENTS}
        losses: dict[str, int] = {}
        notes = []
        for index in self._comments:
            text = self._string(index, 0)
            what = next((what for what, beginning in COMMENTS.items() if text.startswith(beginning)), "")
            if what:
                known[what].append(text[len(COMMENTS[what]) :])
            elif lost := _LOST.fullmatch(text):
                losses[lost[1]] = losses.get(lost[1], 0) + int(lost[2])
            elif text:
                notes.append(text)
        if kind not in ("samples/count", "cpu/nanoseconds"):
            notes.append(f"The values are {kind} of a pprof profile.")
        period = self._said.get(12, 0)
        rate = [self._message(at, end) for at, end in self._top[11]]
        in_time = bool(rate) and self._string(rate[-1].get(2, 0), self._top[11][-1][0]) == "nanoseconds"
        return Meta(
            engine=(known["engine"] or ["pprof"])[-1],
            unit=unit,
            frequency_hz=round(1e9 / period) if in_time and 0 < period < _WORD else 0,
            start_ns=_positive(self._said.get(9, 0)),
            duration_ns=_positive(self._said.get(10, 0)),
            target=(known["target"] or [""])[-1],
            system=(known["system"] or [""])[-1],
            versions=dict(text.partition(" ")[::2] for text in known["version"]),
            losses=losses,
            notes=notes,
        )


_NAMES = {3: "mapping", 4: "location", 5: "function"}
_UNITS: dict[str, tuple[int, Unit]] = {
    "nanoseconds": (1, "nanoseconds"),
    "microseconds": (1_000, "nanoseconds"),
    "milliseconds": (1_000_000, "nanoseconds"),
    "seconds": (1_000_000_000, "nanoseconds"),
}


def _frame(function: tuple[str, str, str, int], line: int, module: str, address: int, kind: FrameKind) -> StackFrame:
    name, system_name, file, first_line = function
    if not module and _PYTHON_FILE.fullmatch(file):
        module = system_name[: -len(name) - 1] if name and system_name.endswith(f".{name}") else ""
        return StackFrame(name or "<unknown>", module, 0, file, line, first_line, FrameKind.PYTHON)
    if (
        kind is FrameKind.NATIVE
        and not module
        and not file
        and (_ADDRESS.fullmatch(name) or name in ("", "<unknown>"))
    ):
        kind = FrameKind.UNKNOWN
    return StackFrame(name or system_name or "<unknown>", module, address, file, line, first_line, kind)


def _whole(found: dict[str, str], keys: tuple[str, ...]) -> int:
    for key in keys:
        text = found.get(key, "")
        if text.isascii() and text.isdigit() and len(text) < 19:
            return int(text)
    return 0


def _positive(value: int) -> int:
    return value if value < _WORD else 0
