"""The text of Linux `perf script`, read: samples with stacks (`perf record -g`), or of one function each.

A sample is a line with program, process and thread, time, period and event, then a line a frame, leaf first, and an
empty line. Values are nanoseconds where the event is a clock and says its period, else each sample counts 1. Of
several events only the first is read: they are samples of the same time. `perf_lines` says what is in a line.
"""

from __future__ import annotations

from typing import BinaryIO

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import perf_lines
from dtrace_profiler.formats.json_document import LARGEST
from dtrace_profiler.formats.perf_lines import Head
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.symbols.frame_text import Demangle, readable

_CLOCKS = ("cpu-clock", "task-clock", "cpu_clock", "task_clock")
_NO_FRAME = StackFrame("<unknown>")
_SHOWN = 60
_NOTED_EVENTS = 5

sniff = perf_lines.sniff


def read(file: BinaryIO, *, demangle: Demangle | None = None) -> Profile:
    """Raises `InputError` with the line's number where a line is neither a sample nor a part of one."""
    if demangle is None:
        from dtrace_profiler.symbols.demangle import demangle_names

        demangle = demangle_names
    reader = _Reader()
    for number, line in enumerate(file, 1):
        reader.take(line.decode("utf-8", "replace").rstrip("\r\n"), number)
    reader.end()
    return reader.profile(demangle)


class _Reader:
    def __init__(self) -> None:
        self._builder = ProfileBuilder(max_samples=1 << 62)
        self._frames: dict[str, int] = {}
        """A line → the frame's index."""
        self._head: Head | None = None
        self._stack: list[int] = []
        """Leaf first."""
        self._event = ""
        self._other_events: dict[str, int] = {}
        self._periods: list[int] = []
        """Of each sample; 0 where it has none."""
        self._facts: dict[str, str] = {}
        self._lost = 0
        self._cut_off = False

    def take(self, text: str, number: int) -> None:
        if self._head is None:
            self._outside(text, number)
        elif not text.strip():
            self.finish_sample()
        else:
            self._inside(text, number)

    def _outside(self, text: str, number: int) -> None:
        if not text.strip():
            return
        if text.startswith("#"):
            if fact := perf_lines.fact(text):
                self._facts.setdefault(*fact)
            return
        lost = perf_lines.lost(text)
        if lost is not None:
            self._lost = min(LARGEST, self._lost + lost)
            return
        if perf_lines.is_record(text):
            return
        head = perf_lines.head(text)
        if head is None:
            raise InputError(f"line {number} is no sample of perf's: {text[:_SHOWN]!r}.")
        if head.thread_id > LARGEST or head.process_id > LARGEST or head.time_ns > LARGEST:
            raise InputError(f"line {number} has a number that is too large.")
        self._head = head
        if head.frame is not None:  # without -g: all on one line
            self._add_frame(head.frame, number)
            self.finish_sample()

    def _inside(self, text: str, number: int) -> None:
        index = self._frames.get(text.strip())
        if index is not None:
            self._stack.append(index)
            return
        if perf_lines.frame(text) is not None:
            self._add_frame(text, number)
            return
        if self._stack and (place := perf_lines.source_line(text)) is not None:
            if place[1]:
                frame = self._builder.frames[self._stack[-1]]._replace(file=place[0], line=place[1])
                self._stack[-1] = self._builder.add_frame(frame)
            return
        head = perf_lines.head(text)
        if head is None and perf_lines.lost(text) is None and not perf_lines.is_record(text):
            raise InputError(f"line {number} is neither a frame nor a sample of perf's: {text[:_SHOWN]!r}.")
        self.finish_sample()
        self._outside(text, number)

    def _add_frame(self, text: str, number: int) -> None:
        frame = perf_lines.frame(text)
        if frame is None:
            raise InputError(f"line {number} has no frame of perf's: {text[:_SHOWN]!r}.")
        index = self._builder.add_frame(frame)
        self._frames[text.strip()] = index
        self._stack.append(index)

    def end(self) -> None:
        """perf writes an empty line below each stack."""
        self._cut_off = bool(self._stack)
        self.finish_sample()

    def finish_sample(self) -> None:
        head, stack = self._head, self._stack
        if head is None:
            return
        self._head, self._stack = None, []
        self._event = self._event or head.event
        if head.event != self._event:
            self._other_events[head.event] = self._other_events.get(head.event, 0) + 1
            return
        builder = self._builder
        stack.reverse()
        node = builder.add_path(stack)[-1] if stack else builder.add_stack((_NO_FRAME,))
        thread = builder.add_thread(head.process_id, head.thread_id, head.command)
        builder.add_sample(head.time_ns, thread, node, 1)
        self._periods.append(min(head.period, LARGEST))

    def profile(self, demangle: Demangle) -> Profile:
        if not self._periods:
            raise InputError("there are no samples in it.")
        base = self._event.partition(":")[0]
        in_time = base in _CLOCKS and all(self._periods)
        if in_time:
            if sum(self._periods) > LARGEST:
                raise InputError("the sum of its periods is too large.")
            for row, period in enumerate(self._periods):
                self._builder.value[row] = period
        notes = [f"Samples of perf's event `{self._event[:_SHOWN]}`."]
        if self._other_events:
            names = ", ".join(name[:_SHOWN] for name in list(self._other_events)[:_NOTED_EVENTS])
            count = sum(self._other_events.values())
            notes.append(f"Left out: {count:,} samples of other events ({names}).")
        if self._cut_off:
            notes.append("The text ends within a stack: that of the last sample may lack its callers.")
        if any(self._builder.timestamp_ns):
            notes.append("Times are those of perf's clock, which mostly begins with the machine.")
        facts = self._facts
        known = self._builder.snapshot(
            Meta(
                engine="perf",
                unit="nanoseconds" if in_time else "samples",
                target=facts.get("cmdline", ""),
                system=" ".join(facts[name] for name in ("os release", "arch") if name in facts),
                versions={"perf": facts["perf version"]} if "perf version" in facts else {},
                losses={"drops": self._lost} if self._lost else {},
                notes=tuple(notes),
            )
        )
        return _with_readable_names(known, demangle)


def _with_readable_names(profile: Profile, demangle: Demangle) -> Profile:
    """Names as a person reads them; frames that become equal become one, and so do their nodes."""
    native = [frame for frame in profile.frames if frame.kind in (FrameKind.NATIVE, FrameKind.INLINED)]
    names = list({frame.function_name: None for frame in native})
    plain = dict(zip(names, readable(names, demangle), strict=True))
    builder = ProfileBuilder(max_samples=1 << 62)
    frames = [
        builder.add_frame(
            frame._replace(function_name=plain[frame.function_name])
            if frame.kind in (FrameKind.NATIVE, FrameKind.INLINED)
            else frame
        )
        for frame in profile.frames
    ]
    nodes: list[int] = []
    for parent, index in zip(profile.parent, profile.frame, strict=True):
        nodes.append(builder.add_node(nodes[parent] if parent >= 0 else -1, frames[index]))
    for thread in profile.threads:
        builder.add_thread(thread.process_id, thread.thread_id, thread.name)
    for row, node in enumerate(profile.node):
        builder.add_sample(profile.timestamp_ns[row], profile.thread[row], nodes[node], profile.value[row])
    return builder.snapshot(profile.meta)
