"""Our own recordings (`.dtrace`): see `record.recording` for the text.

Reading is tolerant: a recording that was cut short, or damaged in the middle, gives all samples that can be named,
and counts the others.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO

from dtrace_profiler.errors import InputError
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.record.parse import Fact, Notice, Parser, ProcessEvent, Record, SampleRecord
from dtrace_profiler.record.recording import FIRST_LINE, RecordingWriter

_CHUNK_BYTES = 1 << 20
_UNKNOWN = StackFrame("<unknown>", kind=FrameKind.UNKNOWN)

Key = tuple[int, ...]


def sniff(head: bytes) -> bool | None:
    """Whether a file begins like a recording; None: more bytes are needed."""
    wanted = FIRST_LINE[: len(head)]
    if head[: len(wanted)] != wanted:
        return False
    return True if len(head) >= len(FIRST_LINE) else None


def read(file: BinaryIO) -> Profile:
    """The profile of a recording. Raises `InputError` where it is none."""
    first = file.readline(len(FIRST_LINE) + 2)
    if first.rstrip(b"\r\n") != FIRST_LINE:
        raise InputError("this is not a recording: its first line is not `# dtrace-profiler recording 1`.")
    reader = _Reader()
    parser = Parser()
    while data := file.read(_CHUNK_BYTES):
        for record in parser.feed(data):
            reader.take(record)
    for record in parser.close():
        reader.take(record)
    return reader.profile()


class _Reader:
    def __init__(self) -> None:
        self._builder = ProfileBuilder(max_samples=1 << 62)
        self._frames: dict[int, StackFrame] = {}
        self._nodes: dict[Key, int] = {}
        self._waiting: list[tuple[int, int, int, Key, int]] = []
        """Samples: (time, process, thread, stack key, value), until all stacks are known."""
        self._meta: dict[str, Any] = {}
        self._begins: list[int] = []
        self._ended = False
        self._last_ns = 0
        self._losses: dict[str, int] = {}

    def take(self, record: Record) -> None:
        if isinstance(record, SampleRecord):
            pc = 0 if record.native else record.pc
            key = (record.process_id, record.native, record.kernel, record.python, pc)
            self._waiting.append((record.timestamp_ns, record.process_id, record.thread_id, key, 1))
        elif isinstance(record, Fact):
            self._fact(record.text)
        elif isinstance(record, ProcessEvent):
            if record.what == "begin":
                self._begins.append(record.timestamp_ns)
        elif isinstance(record, Notice) and record.text.strip():
            self._lose("unreadable_lines")

    def _lose(self, what: str, count: int = 1) -> None:
        self._losses[what] = self._losses.get(what, 0) + count

    def _fact(self, text: bytes) -> None:
        try:
            fact = json.loads(text)
            ((name, value),) = fact.items()
            self._known_fact(name, value)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
            self._lose("unreadable_lines")

    def _known_fact(self, name: str, value: Any) -> None:
        if name == "frame":
            number, function, module, file, line, first_line, kind, address = value
            self._frames[int(number)] = StackFrame(
                str(function), str(module), int(address), str(file), int(line), int(first_line), FrameKind(kind)
            )
        elif name == "stack":
            key, numbers = value
            frames = tuple(self._frames.get(int(number), _UNKNOWN) for number in numbers)
            self._nodes[tuple(int(word) for word in key)] = self._builder.add_stack(frames or (_UNKNOWN,))
        elif name == "thread":
            process, thread, text = value
            self._builder.add_thread(int(process), int(thread), str(text))
        elif name == "sample":
            time, process, thread, node, nanoseconds = (int(word) for word in value)
            self._waiting.append((time, process, thread, (0, 0, 0, node, 0), nanoseconds))
        elif name in ("meta", "end"):
            self._meta.update(value)
            self._ended = self._ended or name == "end"

    def profile(self) -> Profile:
        builder = self._builder
        unknown = -1
        for time, process, thread, key, value in self._waiting:
            if not (0 <= time < 1 << 63 and 0 <= value < 1 << 63):
                self._lose("unreadable_lines")
                continue
            node = self._nodes.get(key, -1)
            if node < 0:
                if unknown < 0:
                    unknown = builder.add_stack((_UNKNOWN,))
                node = unknown
                self._lose("undefined_stacks")
            builder.add_sample(time, builder.add_thread(process, thread), node, value)
            self._last_ns = max(self._last_ns, time)
        return builder.snapshot(self._as_meta())

    def _as_meta(self) -> Meta:
        meta = self._meta
        losses = meta.get("losses")
        for name, count in losses.items() if isinstance(losses, dict) else ():
            if isinstance(count, int):
                self._lose(str(name), count)
        notes = [str(note) for note in meta.get("notes", ()) if isinstance(meta.get("notes"), list)]
        if not self._ended:
            notes.append("The recording has no end: it was cut short, or is still being written.")
        start = _number(meta.get("start_ns")) or (self._begins[0] if self._begins else 0)
        versions = meta.get("versions")
        return Meta(
            engine=str(meta.get("engine", "dtrace")),
            unit="nanoseconds" if meta.get("unit") == "nanoseconds" else "samples",
            frequency_hz=_number(meta.get("frequency_hz")),
            start_ns=start,
            duration_ns=_number(meta.get("duration_ns")) or max(0, self._last_ns - start),
            target=str(meta.get("target", "")),
            system=str(meta.get("system", "")),
            versions={str(k): str(v) for k, v in versions.items()} if isinstance(versions, dict) else {},
            losses=dict(self._losses),
            notes=notes,
        )


def _number(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 63 else 0


def write(profile: Profile, file: BinaryIO) -> None:
    """A recording of any profile: all of its samples, with their times, threads and values."""
    meta = profile.meta
    writer = RecordingWriter(
        file,
        {"frequency_hz": meta.frequency_hz, "start_ns": meta.start_ns, "target": meta.target, "system": meta.system},
    )
    for thread in profile.threads:
        writer.fact("thread", [thread.process_id, thread.thread_id, thread.name])
    for node in sorted(set(profile.node)):
        writer.stack((0, 0, 0, node, 0), profile.stack(node))
    rows = zip(profile.timestamp_ns, profile.thread, profile.node, profile.value, strict=True)
    for time, index, node, value in rows:
        thread = profile.threads[index]
        writer.fact("sample", [time, thread.process_id, thread.thread_id, node, value])
    writer.end(
        {
            "engine": meta.engine,
            "unit": meta.unit,
            "duration_ns": meta.duration_ns,
            "losses": dict(meta.losses),
            "notes": list(meta.notes),
            "versions": dict(meta.versions),
        }
    )
