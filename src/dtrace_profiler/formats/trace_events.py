"""Reads trace events (JSON): functions that begin and end, as viztracer, Chrome and `chrome_trace` write them.

In: `X` events (begin and duration) and pairs of `B` and `E`. Out: the time in each function without that in those
it called. Events that overlap without being nested are cut at the end of the one around them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats.files import read_whole
from dtrace_profiler.formats.frame_labels import LARGEST_LINE, labelled
from dtrace_profiler.formats.json_document import LARGEST, MAX_BYTES, WholeValues, begins_with, checked, number, parse
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile

WRITER = "dtrace-profiler"
_VERSION = 1
_NAMED_PLACE = re.compile(r"(.+) \((.+):(\d{1,9})\)", re.DOTALL)


def sniff(head: bytes) -> bool | None:
    if begins_with(head, b"{"):
        return True if b'"traceEvents"' in head else None
    if begins_with(head, b"["):
        return b'"ph"' in head
    return False if head.strip() else None


def read(file: BinaryIO) -> Profile:
    """Raises `InputError` with the event and the field that is wrong."""
    document = _parse(read_whole(file, MAX_BYTES))
    if isinstance(document, list):
        return _Reader({}).take(document)
    document = checked(document, dict, "the file")
    if "traceEvents" not in document:
        raise InputError("traceEvents is missing.")
    about = document.get("otherData")
    if not isinstance(about, dict) or about.get("writer") != WRITER:
        about = {}
    elif about.get("version") != _VERSION:
        raise InputError(f"otherData.version is not {_VERSION}, the only one that is known here.")
    return _Reader(about).take(checked(document["traceEvents"], list, "traceEvents"))


def _parse(data: bytes) -> Any:
    try:
        return parse(data)
    except InputError:
        # The last bracket may be missing: so the format's description has it, for programs that end early.
        open_list = data.strip().removesuffix(b",")
        if not open_list.startswith(b"[") or open_list.endswith(b"]"):
            raise
        try:
            return parse(open_list + b"]")
        except InputError:
            pass
        raise


class _Span(NamedTuple):
    begin: int
    end: int
    order: int
    frame: int


class _Track:
    """One thread's events: spans that are whole, and those that are still open."""

    __slots__ = ("last", "open", "spans")

    def __init__(self) -> None:
        self.spans: list[_Span] = []
        self.open: list[tuple[int, int, int]] = []
        """Begin, order, frame."""
        self.last = 0


class _Reader:
    def __init__(self, about: dict[str, Any]) -> None:
        self._about = about
        self._builder = ProfileBuilder(max_samples=1 << 62)
        self._tracks: dict[int, _Track] = {}
        self._frames: dict[tuple[str, str, int], int] = {}
        self._threads: dict[tuple[object, object], int] = {}
        self._names: dict[int, str] = {}
        self._values = WholeValues()
        self._lone_ends = 0

    def take(self, events: list[Any]) -> Profile:
        for order, event in enumerate(events):
            event = checked(event, dict, f"traceEvents[{order}]")
            phase = event.get("ph")
            if phase == "M":
                self._name(event)
            elif phase in ("X", "B", "E"):
                self._event(phase, event, order)
        scale = self._scale()
        start = self._count("start_ns")
        for thread, track in self._tracks.items():
            for begin, order, frame in track.open:
                track.spans.append(_Span(begin, max(begin, track.last), order, frame))
            self._fold(thread, track, scale, start)
        if not self._builder.node:
            raise InputError("there are no functions with a duration in it (events `X`, or `B` and `E`).")
        return self._profile()

    def _event(self, phase: str, event: dict[str, Any], order: int) -> None:
        where = f"traceEvents[{order}]"
        at = _nanoseconds(event.get("ts"), f"{where}.ts")
        track = self._track(event)
        track.last = max(track.last, at)
        if phase == "E":
            if not track.open:
                self._lone_ends += 1
                return
            begin, place, frame = track.open.pop()
            track.spans.append(_Span(begin, max(begin, at), place, frame))
            return
        frame = self._frame(event, where)
        if phase == "B":
            track.open.append((at, order, frame))
            return
        length = _nanoseconds(event.get("dur"), f"{where}.dur")
        if length < 0:
            raise InputError(f"{where}.dur is negative.")
        track.last = max(track.last, at + length)
        track.spans.append(_Span(at, at + length, order, frame))

    def _track(self, event: dict[str, Any]) -> _Track:
        thread = self._thread(event)
        track = self._tracks.get(thread)
        if track is None:
            track = self._tracks[thread] = _Track()
        return track

    def _thread(self, event: dict[str, Any]) -> int:
        process, thread = event.get("pid", 0), event.get("tid", 0)
        if isinstance(process, (dict, list)) or isinstance(thread, (dict, list)):
            raise InputError("a pid or tid is neither a number nor a text.")
        key = process, thread
        index = self._threads.get(key)
        if index is None:
            named = isinstance(thread, str)
            index = self._threads[key] = self._builder.add_thread(
                process if type(process) is int and 0 <= process <= LARGEST else 0,
                thread if type(thread) is int and 0 <= thread <= LARGEST else len(self._threads),
                thread if named else "",
            )
        return index

    def _name(self, event: dict[str, Any]) -> None:
        args = event.get("args")
        if event.get("name") == "thread_name" and isinstance(args, dict) and isinstance(args.get("name"), str):
            self._names[self._thread(event)] = args["name"]

    def _frame(self, event: dict[str, Any], where: str) -> int:
        name = checked(event.get("name", ""), str, f"{where}.name")
        path, line = "", 0
        if self._about:
            args = event.get("args")
            if isinstance(args, dict):
                path, line = args.get("file", ""), args.get("line", 0)
                path = path if isinstance(path, str) else ""
                line = line if type(line) is int and 0 <= line <= LARGEST_LINE else 0
        index = self._frames.get((name, path, line))
        if index is None:
            frame = labelled(name, path, line) if self._about else _named_frame(name)
            index = self._frames[name, path, line] = self._builder.add_frame(frame)
        return index

    def _fold(self, thread: int, track: _Track, scale: int, start: int) -> None:
        """What is left of each span when those in it are taken out, as samples."""
        add_node = self._builder.add_node
        sums: dict[int, int] = {}

        def spend(node: int, begin: int, end: int) -> None:
            if start:
                if value := self._values.add((end - begin + scale // 2) // scale, "its end"):
                    self._builder.add_sample(min(LARGEST, start + max(0, begin)), thread, node, value)
            else:
                sums[node] = sums.get(node, 0) + end - begin

        spans = track.spans
        spans.sort(key=lambda span: (span.begin, -span.end, span.order))
        open_: list[tuple[int, int]] = []
        """End and node of those around."""
        now = 0
        for begin, end, _, frame in spans:
            now = _leave(open_, now, begin, spend)
            if open_:
                end = min(end, open_[-1][0])
            open_.append((end, add_node(open_[-1][1] if open_ else -1, frame)))
        if spans:
            _leave(open_, now, max(span.end for span in spans), spend)
        for node, length in sums.items():
            if value := self._values.add((length + scale // 2) // scale, "its end"):
                self._builder.add_sample(0, thread, node, value)

    def _scale(self) -> int:
        return self._count("ns_per_value") or 1 if self._about.get("unit") == "samples" else 1

    def _count(self, name: str) -> int:
        value = self._about.get(name)
        return value if type(value) is int and 0 <= value <= LARGEST else 0

    def _profile(self) -> Profile:
        for thread, name in self._names.items():
            who = self._builder.threads[thread]
            self._builder.add_thread(who.process_id, who.thread_id, name)
        notes = []
        if not self._about:
            notes.append("The values are the time between begin and end of functions, whether they ran or waited.")
        if self._lone_ends:
            notes.append(f"{self._lone_ends:,} ends of functions without a beginning were left out.")
        return self._builder.snapshot(
            Meta(
                engine="trace-events",
                unit="samples" if self._about.get("unit") == "samples" else "nanoseconds",
                frequency_hz=self._count("frequency_hz"),
                start_ns=self._count("start_ns"),
                duration_ns=self._count("duration_ns"),
                target=str(self._about.get("target") or ""),
                system=str(self._about.get("system") or ""),
                notes=tuple(notes),
            )
        )


def _leave(open_: list[tuple[int, int]], now: int, until: int, spend: Callable[[int, int, int], None]) -> int:
    """Gives the time from `now` until `until` to the innermost functions, closing those that end. Returns `until`."""
    while open_:
        end, node = open_[-1]
        if end > until:
            if until > now:
                spend(node, now, until)
            return until
        if end > now:
            spend(node, now, end)
            now = end
        open_.pop()
    return until


def _nanoseconds(value: object, where: str) -> int:
    """Of a time in microseconds."""
    known = number(value, where)
    whole = known * 1000 if isinstance(known, int) else round(known * 1000)
    if not -2 * LARGEST <= whole <= 2 * LARGEST:
        raise InputError(f"{where} is too large a number.")
    return whole


def _named_frame(name: str) -> StackFrame:
    """viztracer names Python functions `function (file:line)`."""
    match = _NAMED_PLACE.fullmatch(name)
    if match is None or int(match[3]) > LARGEST_LINE:
        return labelled(name)
    return labelled(match[1], match[2], int(match[3]))
