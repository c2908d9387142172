"""Trace events (JSON), written for Perfetto, chrome://tracing and others that show functions over time.

Written: `X` events (a function, from when on and how long), one track a thread. A sample lasts as long as the CPU
time that it stands for; neighbours with the same callers join. Where samples have no times their stacks stand side by
side, as in a flame graph. `otherData` says how long one sample lasts, so that what we write reads back with its
numbers.
See `trace_events` for reading, and docs/formats.md.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from dtrace_profiler._version import __version__
from dtrace_profiler.formats import trace_events
from dtrace_profiler.formats.contents import present
from dtrace_profiler.formats.frame_labels import label, place_line
from dtrace_profiler.formats.thread_rows import Row, rows_by_thread
from dtrace_profiler.model.profile import Profile, Thread

VERSION = 1
_NS_PER_SAMPLE = 1_000_000
"""Where the frequency isn't known."""
_LATEST_NS = 1 << 62
_EXACT = 1 << 53
"""Up to here a JSON reader has all digits of a number."""

sniff = trace_events.sniff
read = trace_events.read


def dropped(profile: Profile) -> list[str]:
    return present(
        profile,
        "addresses",
        "lines within functions",
        "modules of Python functions",
        "what was lost",
        "versions",
        "notes",
    )


def write(profile: Profile, file: BinaryIO) -> None:
    for piece in _pieces(profile):
        file.write(piece.encode("ascii"))


def _pieces(profile: Profile) -> Iterator[str]:
    meta = profile.meta
    timed = any(profile.timestamp_ns)
    first = min((time for time in profile.timestamp_ns if time), default=0)
    start = min(meta.start_ns, first) if meta.start_ns else first
    scale = _ns_per_value(profile)
    about = {
        "writer": trace_events.WRITER,
        "version": VERSION,
        "exporter": f"dtrace-profiler@{__version__}",
        "unit": meta.unit,
        "ns_per_value": scale,
        "start_ns": start if timed else 0,
        "frequency_hz": meta.frequency_hz,
        "duration_ns": meta.duration_ns,
        "target": meta.target,
        "system": meta.system,
    }
    yield f'{{"displayTimeUnit":"ns","otherData":{json.dumps(about)},"traceEvents":['
    tracks = _Tracks(profile, scale, start)
    between = "\n"
    for thread, rows in rows_by_thread(profile):
        for event in tracks.events(thread, rows, timed=timed):
            yield between + event
            between = ",\n"
    yield "\n]}\n"


def _ns_per_value(profile: Profile) -> int:
    meta = profile.meta
    if meta.unit == "nanoseconds":
        return 1
    scale = 1_000_000_000 // meta.frequency_hz if meta.frequency_hz else _NS_PER_SAMPLE
    if scale and profile.total * scale < _EXACT:
        return scale
    return 1000 if profile.total * 1000 < _LATEST_NS else 1


class _Tracks:
    def __init__(self, profile: Profile, scale: int, start_ns: int) -> None:
        self._profile = profile
        self._scale = scale
        self._start_ns = start_ns
        names: dict[tuple[str, str, int, str], int] = {}
        self._of_frame = array(
            "i",
            [
                names.setdefault((label(frame), frame.file, place_line(frame), frame.kind), len(names))
                for frame in profile.frames
            ],
        )
        self._functions = [_function(*facts) for facts in names]
        """The part of an event that is the function's."""
        self._rank: array[int] | None = None
        self._used: set[tuple[int, int]] = set()
        self._named: set[int] = set()

    def events(self, thread: Thread, rows: Sequence[Row], *, timed: bool) -> Iterator[str]:
        process, number = self._numbers(thread)
        where = f'"pid":{process},"tid":{number}'
        if process not in self._named:
            self._named.add(process)
            name = json.dumps(self._profile.meta.target or f"process {thread.process_id}")
            yield f'{{"ph":"M","name":"process_name",{where},"args":{{"name":{name}}}}}'
        if thread.name:
            yield f'{{"ph":"M","name":"thread_name",{where},"args":{{"name":{json.dumps(thread.name)}}}}}'
        if not timed:
            rank = self._order()
            rows = sorted(rows, key=lambda row: rank[row.node])
        spans = self._spans(rows, timed=timed)
        for begin, end, frame in zip(*spans, strict=True):
            times = f'"ts":{_microseconds(begin)},"dur":{_microseconds(end - begin)}'
            yield f'{{"ph":"X",{where},{times},{self._functions[frame]}}}'

    def _spans(self, rows: Sequence[Row], *, timed: bool) -> tuple[array[int], array[int], array[int]]:
        """When each function began and ended, and which: in the order of their beginnings, callers first."""
        begins, ends, frames = array("Q"), array("Q"), array("i")
        open_: list[int] = []
        """Spans that have not ended."""
        end = 0
        for time, node, value in rows:
            length = value * self._scale
            at = min(max(0, time - self._start_ns), _LATEST_NS) if timed else end
            # As the clock jitters samples come a little early or late: that is neither an overlap nor a pause.
            begin = at if at - end >= length / 2 or not open_ else end
            path = self._path(node)
            common = 0
            if begin == end:
                while common < min(len(open_), len(path)) and frames[open_[common]] == path[common]:
                    common += 1
            for span in open_[common:]:
                ends[span] = end
            del open_[common:]
            for frame in path[common:]:
                open_.append(len(begins))
                begins.append(begin)
                ends.append(0)
                frames.append(frame)
            end = begin + length
        for span in open_:
            ends[span] = end
        return begins, ends, frames

    def _numbers(self, thread: Thread) -> tuple[int, int]:
        """Process and thread as they are written: 0 is the idle thread to the viewers, so it gets another number."""
        process = thread.process_id or 1
        number = thread.thread_id or process
        while (process, number) in self._used:
            number += 1
        self._used.add((process, number))
        return process, number

    def _path(self, node: int) -> list[int]:
        profile, out = self._profile, []
        while node >= 0:
            out.append(self._of_frame[profile.frame[node]])
            node = profile.parent[node]
        out.reverse()
        return out

    def _order(self) -> array[int]:
        """Of each node: its place when the tree is walked, children by name, each before its own."""
        if self._rank is None:
            profile = self._profile
            children: list[list[int]] = [[] for _ in range(len(profile.parent) + 1)]
            for node, parent in enumerate(profile.parent):
                children[parent].append(node)  # -1: the last
            self._rank = array("i", bytes(4 * len(profile.parent)))
            waiting = children[-1]
            waiting.sort(key=self._name_of, reverse=True)
            place = 0
            while waiting:
                node = waiting.pop()
                self._rank[node] = place
                place += 1
                waiting.extend(sorted(children[node], key=self._name_of, reverse=True))
        return self._rank

    def _name_of(self, node: int) -> tuple[str, int]:
        index = self._of_frame[self._profile.frame[node]]
        return self._functions[index], index


def _function(name: str, file: str, line: int, kind: str) -> str:
    args: dict[str, object] = {}
    if file:
        args["file"] = file
    if line:
        args["line"] = line
    text = f'"cat":"{kind}","name":{json.dumps(name)}'
    return f'{text},"args":{json.dumps(args, separators=(",", ":"))}' if args else text


def _microseconds(ns: int) -> str:
    whole, rest = divmod(ns, 1000)
    return f"{whole}.{rest:03d}" if rest else str(whole)
