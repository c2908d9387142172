"""The Firefox Profiler's processed profile, for profiler.firefox.com: write only.

Version 47 on purpose: newer Profilers bring it up to theirs, and what came later is about the browser. A thread is a
thread of ours, with the frames and stacks that it has; the category of a frame is its kind. See docs/formats.md.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from dtrace_profiler._version import __version__
from dtrace_profiler.formats.facts import loss_words, title_of
from dtrace_profiler.model.frame import FrameKind
from dtrace_profiler.model.profile import Profile, Thread

VERSION = 47
_GECKO_VERSION = 29
_LIBRARY = 1
"""A resource's type."""
_COLOURS = {
    FrameKind.PYTHON: "yellow",
    FrameKind.NATIVE: "blue",
    FrameKind.INLINED: "lightblue",
    FrameKind.KERNEL: "orange",
    FrameKind.UNKNOWN: "grey",
}
_NAMES = {kind: str(kind).capitalize() for kind in _COLOURS} | {FrameKind.UNKNOWN: "Other"}
"""The Profiler wants a grey `Other`."""
_CATEGORY = {kind: place for place, kind in enumerate(_COLOURS)}


def dropped(profile: Profile) -> list[str]:
    """What of this profile the format can't hold."""
    return ["addresses"] if any(frame.address for frame in profile.frames) else []


def write(profile: Profile, file: BinaryIO) -> None:
    """UTF-8, one line a thread. Equal profiles give equal files."""
    start_ns = _start_ns(profile)
    file.write(f'{{"meta":{_json(_meta(profile, start_ns))},\n"libs":[],"pages":[],"threads":['.encode())
    for place, (index, rows) in enumerate(_with_samples(profile)):
        file.write(b",\n" if place else b"\n")
        file.write(_json(_thread(profile, start_ns, index, rows, first=not place)).encode())
    file.write(b"]}\n")


def _json(value: object) -> str:
    """Halves of surrogate pairs stay as their numbers, which every reader of JSON takes."""
    return json.dumps(value, separators=(",", ":"))


def _start_ns(profile: Profile) -> int:
    """Where time begins. A recording's first sample can come before the start that was written down."""
    first = min((time for time in profile.timestamp_ns if time > 0), default=0)
    start = profile.meta.start_ns
    return min(first, start) if first and start else first or start


def _interval_ms(profile: Profile) -> float:
    return 1000 / profile.meta.frequency_hz if profile.meta.frequency_hz else 1.0


def _with_samples(profile: Profile) -> Iterator[tuple[int, Sequence[int]]]:
    """A thread (index) and its samples (rows), in the order of their times. At least one."""
    rows = [array("q") for _ in profile.threads]
    for row, thread in enumerate(profile.thread):
        rows[thread].append(row)
    times = profile.timestamp_ns
    some = [(thread, sorted(mine, key=times.__getitem__)) for thread, mine in enumerate(rows) if mine]
    yield from some or [(-1, [])]


def _meta(profile: Profile, start_ns: int) -> dict[str, Any]:
    meta = profile.meta
    about = [("Command", meta.target), ("Engine", meta.engine), ("System", meta.system)]
    about += [(f"Version of {name}", text) for name, text in meta.versions.items()]
    lost = [(f"Lost: {loss_words(name)}", f"{count:,}") for name, count in meta.losses.items() if count]
    said = [("Note", note) for note in meta.notes]
    extra = [
        {"label": label, "entries": [{"label": key, "format": "string", "value": text} for key, text in rows if text]}
        for label, rows in (("Run", about), ("Incomplete", lost + said))
        if any(text for _, text in rows)
    ]
    return {
        "preprocessedProfileVersion": VERSION,
        "version": _GECKO_VERSION,
        "interval": _interval_ms(profile),
        "startTime": start_ns / 1e6,
        "processType": 0,
        "stackwalk": 1,
        "debug": False,
        "product": title_of(profile),
        "oscpu": meta.system,
        "importedFrom": f"dtrace-profiler {__version__}",
        "symbolicated": True,
        "usesOnlyOneStackType": True,
        "doesNotUseFrameImplementation": True,
        "sourceCodeIsNotOnSearchfox": True,
        "categories": [
            {"name": _NAMES[kind], "color": colour, "subcategories": ["Other"]} for kind, colour in _COLOURS.items()
        ],
        "markerSchema": [
            {
                "name": "Lost",
                "tableLabel": "{marker.data.count} lost",
                "chartLabel": "{marker.data.count} lost",
                "display": ["marker-chart", "marker-table", "timeline-overview"],
                "data": [{"key": "count", "label": "Lost", "format": "integer"}],
            }
        ],
        "extra": extra,
    }


def _thread(profile: Profile, start_ns: int, index: int, rows: Sequence[int], *, first: bool) -> dict[str, Any]:
    who = profile.threads[index] if index >= 0 else Thread(process_id=0, thread_id=0)
    tables = _Tables(profile, {profile.node[row] for row in rows})
    in_time = profile.meta.unit == "nanoseconds"
    value = profile.value
    timed = bool(rows) and profile.timestamp_ns[rows[-1]] > 0
    step = _interval_ms(profile)
    times = profile.timestamp_ns
    return {
        "name": who.name or title_of(profile),
        "processType": "default",
        "processName": title_of(profile),
        "isMainThread": who.process_id == who.thread_id,
        "pid": str(who.process_id),
        "tid": who.thread_id,
        "registerTime": 0,
        "unregisterTime": None,
        "processStartupTime": 0,
        "processShutdownTime": None,
        "pausedRanges": [],
        "showMarkersInTimeline": True,
        "samples": {
            "stack": [tables.stack_of[profile.node[row]] for row in rows],
            "time": [
                round((times[row] - start_ns) / 1e6, 6) if timed else place * step for place, row in enumerate(rows)
            ],
            "weight": [value[row] / 1e6 if in_time else value[row] for row in rows],
            "weightType": "tracing-ms" if in_time else "samples",
            "length": len(rows),
        },
        "markers": _markers(sorted(profile.lost) if first else [], start_ns, tables),
        **tables.columns(),
    }


def _markers(lost: Sequence[tuple[int, int]], start_ns: int, tables: _Tables) -> dict[str, Any]:
    """When something was lost. The first thread has them: a loss is no thread's own."""
    return {
        "data": [{"type": "Lost", "count": count} for _, count in lost],
        "name": [tables.string("Lost") for _ in lost],
        "startTime": [max(0.0, round((time - start_ns) / 1e6, 6)) for time, _ in lost],
        "endTime": [None for _ in lost],
        "phase": [0 for _ in lost],
        "category": [_CATEGORY[FrameKind.UNKNOWN] for _ in lost],
        "length": len(lost),
    }


class _Tables:
    """One thread's stacks, and the frames, functions, modules and strings in them."""

    def __init__(self, profile: Profile, leaves: set[int]) -> None:
        self._strings: dict[str, int] = {}
        self._functions: dict[tuple[int, int, int | None, int], int] = {}
        self._modules: dict[int, int] = {}
        needed = set(leaves)
        for leaf in leaves:
            node = profile.parent[leaf]
            while node >= 0 and node not in needed:
                needed.add(node)
                node = profile.parent[node]
        nodes = sorted(needed)
        self.stack_of = {node: place for place, node in enumerate(nodes)}
        """A node's place in the thread's table of stacks. Parents come first, as in a profile."""
        self._prefix = [self.stack_of.get(profile.parent[node]) for node in nodes]
        frames: dict[int, int] = {}
        self._frame = [frames.setdefault(profile.frame[node], len(frames)) for node in nodes]
        self._frames = [profile.frames[index] for index in frames]
        self._function = [
            self._function_of(frame.function_name, frame.module_name, frame.file, frame.first_line)
            for frame in self._frames
        ]

    def string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))

    def _function_of(self, name: str, module: str, file: str, first_line: int) -> int:
        resource = self._modules.setdefault(self.string(module), len(self._modules)) if module else -1
        key = (self.string(name or "<unknown>"), resource, self.string(file) if file else None, first_line)
        return self._functions.setdefault(key, len(self._functions))

    def columns(self) -> dict[str, Any]:
        """Last, as the strings must all be there."""
        count = len(self._frames)
        kinds = [_CATEGORY[frame.kind] for frame in self._frames]
        functions = list(self._functions)
        size = len(functions)
        modules = list(self._modules)
        return {
            "stackTable": {
                "frame": self._frame,
                "category": [kinds[frame] for frame in self._frame],
                "subcategory": [0] * len(self._frame),
                "prefix": self._prefix,
                "length": len(self._frame),
            },
            "frameTable": {
                "address": [-1] * count,
                "inlineDepth": [int(frame.kind is FrameKind.INLINED) for frame in self._frames],
                "category": kinds,
                "subcategory": [0] * count,
                "func": self._function,
                "nativeSymbol": [None] * count,
                "innerWindowID": [0] * count,
                "implementation": [None] * count,
                "line": [frame.line or None for frame in self._frames],
                "column": [None] * count,
                "length": count,
            },
            "funcTable": {
                "name": [key[0] for key in functions],
                "isJS": [False] * size,
                "relevantForJS": [False] * size,
                "resource": [key[1] for key in functions],
                "fileName": [key[2] for key in functions],
                "lineNumber": [key[3] or None for key in functions],
                "columnNumber": [None] * size,
                "length": size,
            },
            "resourceTable": {
                "lib": [None] * len(modules),
                "name": modules,
                "host": [None] * len(modules),
                "type": [_LIBRARY] * len(modules),
                "length": len(modules),
            },
            "nativeSymbols": {"libIndex": [], "address": [], "name": [], "functionSize": [], "length": 0},
            "stringArray": list(self._strings),
        }
