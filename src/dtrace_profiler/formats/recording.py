"""Our own recordings (`.dtrace`): see `record.recording` for the text.

Reading is tolerant: a recording that was cut short, damaged or put out of order gives all samples that are whole, and
counts what is missing: `unreadable_lines`, samples without their stack (`undefined_stacks`), frames without their
name (`undefined_frames`). A sample takes 28 bytes of memory; each different stack comes on top.
"""

from __future__ import annotations

import json
from array import array
from typing import Any, BinaryIO

from dtrace_profiler.errors import InputError
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, Labels, StackFrame
from dtrace_profiler.model.profile import MappedFile, Meta, Profile
from dtrace_profiler.record.parse import Fact, Notice, Parser, ProcessEvent, Record, SampleRecord
from dtrace_profiler.record.recording import FIRST_LINE, RecordingWriter

_CHUNK_BYTES = 1 << 20
_ROWS_A_FLUSH = 4096
_UNKNOWN = StackFrame("<unknown>", kind=FrameKind.UNKNOWN)
_WORD = 1 << 63
_KINDS = {str(kind): kind for kind in FrameKind}
_TITLE, _, _VERSION = FIRST_LINE.rpartition(b" ")

Key = tuple[int, ...]


def sniff(head: bytes) -> bool | None:
    """Whether a file begins like a recording, of whatever version; None: more bytes are needed."""
    if not head.startswith(_TITLE[: len(head)]):
        return False
    return True if len(head) > len(_TITLE) else None


def dropped(profile: Profile) -> list[str]:
    """Nothing."""
    return []


def read(file: BinaryIO) -> Profile:
    """The profile of a recording. Raises `InputError` where it is none."""
    title, _, version = file.readline(len(FIRST_LINE) + 20).rstrip(b"\r\n").rpartition(b" ")
    if title != _TITLE:
        raise InputError(f"this is not a recording: its first line is not `{FIRST_LINE.decode()}`.")
    if version != _VERSION:
        raise InputError(
            f"this is a recording of version {version.decode('ascii', 'backslashreplace')!r}, and only version"
            f" {_VERSION.decode()} is known here.",
            remedy="read it with a newer dtrace-profiler",
        )
    reader = _Reader()
    parser = Parser()
    while data := file.read(_CHUNK_BYTES):
        for record in parser.feed(data):
            reader.take(record)
    for record in parser.close():
        reader.take(record)
    return reader.profile()


class _Reader:
    """Until all is read the builder's `node` column holds what the stack was known as when the sample came: the
    index of its definition, or -1 minus that of its key where it was not defined yet."""

    def __init__(self) -> None:
        self._builder = ProfileBuilder(max_samples=_WORD)
        self._frames: dict[int, StackFrame] = {}
        self._definitions: list[array[int]] = []
        """Frame numbers of each stack, root first."""
        self._current: dict[Key, int] = {}
        """What a key means at this place of the file."""
        self._early: dict[Key, int] = {}
        """Keys that samples used before their stack came."""
        self._labels: dict[int, Labels] = {}
        self._meta: dict[str, Any] = {}
        self._total = 0
        self._begin_ns = 0
        self._last_ns = 0
        self._from_sampler = False
        self._ended = False
        self._losses: dict[str, int] = {}

    def take(self, record: Record) -> None:
        if isinstance(record, SampleRecord):
            pc = 0 if record.native else record.pc
            key = (record.process_id, record.native, record.kernel, record.python, pc)
            self._sample(record.timestamp_ns, record.process_id, record.thread_id, key, 1)
        elif isinstance(record, Fact):
            self._fact(record.text)
        elif isinstance(record, ProcessEvent):
            if record.what == "begin":
                self._begin_ns = self._begin_ns or record.timestamp_ns
        elif isinstance(record, Notice) and record.text.strip():
            self._lose("unreadable_lines")

    def _lose(self, what: str, count: int = 1) -> None:
        self._losses[what] = self._losses.get(what, 0) + count

    def _sample(self, time: int, process: int, thread: int, key: Key, value: int) -> None:
        if not all(0 <= word < _WORD for word in (time, process, thread, value, self._total + value)):
            self._lose("unreadable_lines")
            return
        self._total += value
        stack = self._current.get(key)
        if stack is None:
            stack = -1 - self._early.setdefault(key, len(self._early))
        self._builder.add_sample(time, self._builder.add_thread(process, thread), stack, value)
        self._last_ns = max(self._last_ns, time)

    def _fact(self, text: bytes) -> None:
        try:
            fact = json.loads(text)
            ((name, value),) = fact.items()
            self._known_fact(name, value)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
            self._lose("unreadable_lines")

    def _known_fact(self, name: str, value: Any) -> None:
        """Facts with other names are a later version's: nothing to count."""
        if name == "frame":
            number, function, module, file, line, first_line, kind, address = value
            self._frames[_whole(number)] = StackFrame(
                _text(function),
                _text(module),
                _whole(address, 1 << 64),
                _text(file),
                _whole(line, 1 << 31),
                _whole(first_line, 1 << 31),
                _KINDS.get(kind, FrameKind.UNKNOWN),
            )
        elif name == "stack":
            words, numbers = value
            key = tuple(int(word) for word in words)
            frames = array("i", numbers)
            self._current[key] = len(self._definitions)
            self._definitions.append(frames)
        elif name == "thread":
            process, thread, text = value
            self._builder.add_thread(_whole(process), _whole(thread), _text(text))
        elif name == "mapped":
            process, start, end, offset, path, build_id = value
            self._builder.add_mapped_file(
                MappedFile(
                    process_id=_whole(process),
                    start=_whole(start, 1 << 64),
                    end=_whole(end, 1 << 64),
                    offset=_whole(offset),
                    path=_text(path),
                    build_id=_text(build_id),
                )
            )
        elif name == "sample":
            time, process, thread, stack, nanoseconds = (int(word) for word in value)
            self._from_sampler = True
            self._sample(time, process, thread, (0, 0, 0, stack, 0), nanoseconds)
        elif name == "labels":
            number, labels = value
            self._labels[_whole(number)] = tuple((_text(key), _text(text)) for key, text in labels)
        elif name == "labelled":
            self._labelled(*value)
        elif name == "lost":
            time, count = value
            self._builder.add_loss(_whole(time), _whole(count))
        elif name in ("meta", "end"):
            self._meta.update(value)
            self._ended = self._ended or name == "end"

    def _labelled(self, time: Any, number: Any) -> None:
        """The sample before this had labels; its time tells whether it is still there."""
        builder = self._builder
        if not builder.timestamp_ns or builder.timestamp_ns[-1] != time:
            raise ValueError(time)
        who = builder.threads[builder.thread[-1]]
        labels = self._labels[number]
        builder.thread[-1] = builder.add_thread(who.process_id, who.thread_id, labels=labels)

    def profile(self) -> Profile:
        builder = self._builder
        nodes = [self._node(definition) for definition in self._definitions]
        late = {index: self._current[key] for key, index in self._early.items() if key in self._current}
        unknown = -1
        column = builder.node
        for row, stack in enumerate(column):
            if stack < 0:
                stack = late.get(-1 - stack, -1)
            if stack >= 0:
                column[row] = nodes[stack]
                continue
            if unknown < 0:
                unknown = builder.add_stack((_UNKNOWN,))
            column[row] = unknown
            self._lose("undefined_stacks")
        return builder.snapshot(self._as_meta())

    def _node(self, definition: array[int]) -> int:
        builder, node = self._builder, -1
        for number in definition:
            frame = self._frames.get(number)
            if frame is None:
                self._lose("undefined_frames")
                frame = _UNKNOWN
            node = builder.add_node(node, builder.add_frame(frame))
        return node if node >= 0 else builder.add_stack((_UNKNOWN,))

    def _as_meta(self) -> Meta:
        meta = self._meta
        losses, notes, versions = meta.get("losses"), meta.get("notes"), meta.get("versions")
        for name, count in losses.items() if isinstance(losses, dict) else ():
            if count == 0 or _number(count):
                self._lose(str(name), count)
        said = [str(note) for note in notes] if isinstance(notes, list) else []
        if not self._ended:
            said.append("The recording has no end: it was cut short, or is still being written.")
        start = _number(meta.get("start_ns")) or self._begin_ns
        duration = _number(meta.get("duration_ns")) if "duration_ns" in meta else max(0, self._last_ns - start)
        # One that was cut short says nothing of these; only the embedded sampler's samples are facts.
        unit = meta.get("unit", "nanoseconds" if self._from_sampler else "samples")
        return Meta(
            engine=str(meta.get("engine", "sampler" if self._from_sampler else "dtrace")),
            unit="nanoseconds" if unit == "nanoseconds" else "samples",
            frequency_hz=_number(meta.get("frequency_hz")),
            start_ns=start,
            duration_ns=duration,
            target=str(meta.get("target", "")),
            system=str(meta.get("system", "")),
            versions={str(k): str(v) for k, v in versions.items()} if isinstance(versions, dict) else {},
            losses=dict(self._losses),
            notes=said,
        )


def _number(value: object) -> int:
    return value if type(value) is int and 0 <= value < _WORD else 0


def _whole(value: Any, limit: int = _WORD) -> int:
    if not isinstance(value, int) or not 0 <= value < limit:
        raise ValueError(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def write(profile: Profile, file: BinaryIO) -> None:
    """A recording of any profile: all of its samples, with their times, threads and values."""
    meta = profile.meta
    about = {
        "engine": meta.engine,
        "unit": meta.unit,
        "frequency_hz": meta.frequency_hz,
        "start_ns": meta.start_ns,
        "duration_ns": meta.duration_ns,
        "target": meta.target,
        "system": meta.system,
        "versions": dict(meta.versions),
    }
    writer = RecordingWriter(file, about)
    for thread in profile.without_labels().threads:
        writer.fact("thread", [thread.process_id, thread.thread_id, thread.name])
    for file_of_code in profile.mapped_files:
        writer.mapped(file_of_code)
    for row, node in enumerate(sorted(set(profile.node))):
        writer.stack((0, 0, 0, node, 0), profile.stack(node))
        if row % _ROWS_A_FLUSH == 0:
            writer.flush()
    columns = zip(profile.timestamp_ns, profile.thread, profile.node, profile.value, strict=True)
    for row, (time, index, node, value) in enumerate(columns):
        thread = profile.threads[index]
        writer.fact("sample", [time, thread.process_id, thread.thread_id, node, value])
        if thread.labels:
            writer.labelled(time, thread.labels)
        if row % _ROWS_A_FLUSH == 0:
            writer.flush()
    for time, count in profile.lost:
        writer.fact("lost", [time, count])
    writer.end({"losses": dict(meta.losses), "notes": list(meta.notes)})
