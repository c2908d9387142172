"""speedscope's files, read and written: one sampled profile a thread, frames shared.

Written: samples in their order where they have times, else one a stack; weights are samples or nanoseconds. Frames
are functions: name, file and first line (`frame_labels`). Read: `sampled` and `evented` profiles in samples or any
unit of time, those of py-spy and pyinstrument among them. See docs/formats.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from dtrace_profiler._version import __version__
from dtrace_profiler.errors import InputError
from dtrace_profiler.formats.contents import present
from dtrace_profiler.formats.frame_labels import label, labelled, place_line
from dtrace_profiler.formats.json_document import WholeValues, begins_with, checked, member, number, read_object
from dtrace_profiler.formats.thread_rows import labelled_process, labelled_thread, rows_by_thread, thread_label
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.profile import Meta, Profile

SCHEMA = "https://www.speedscope.app/file-format-schema.json"
_SIGN = b"speedscope.app/file-format-schema.json"
_FACTORS = {"nanoseconds": 1, "microseconds": 1_000, "milliseconds": 1_000_000, "seconds": 1_000_000_000}
_KEPT_CHARACTERS = 1 << 26
"""Of stacks' texts, which samples share."""


def sniff(head: bytes) -> bool | None:
    if not begins_with(head, b"{"):
        return False if head.strip() else None
    return True if _SIGN in head.replace(b"\\/", b"/") else None


def dropped(profile: Profile) -> list[str]:
    return present(
        profile,
        "times",
        "addresses",
        "lines within functions",
        "modules of Python functions",
        "what was lost",
        "when and how it was taken",
        "notes",
    )


def write(profile: Profile, file: BinaryIO) -> None:
    for piece in _pieces(profile):
        file.write(piece.encode("ascii"))


def _pieces(profile: Profile) -> Iterator[str]:
    frames: dict[tuple[str, str, int], int] = {}
    of_frame = [
        frames.setdefault((label(frame), frame.file, place_line(frame)), len(frames)) for frame in profile.frames
    ]
    yield f'{{"$schema":"{SCHEMA}","exporter":"dtrace-profiler@{__version__}"'
    yield f',"name":{json.dumps(profile.meta.target or "CPU profile")},"activeProfileIndex":0,"shared":{{"frames":['
    for number_, (name, path, line) in enumerate(frames):
        facts: dict[str, object] = {"name": name}
        if path:
            facts["file"] = path
        if line:
            facts["line"] = line
        yield (",\n" if number_ else "\n") + json.dumps(facts, separators=(",", ":"))
    yield '\n]},"profiles":['

    kept: dict[int, str] = {}
    room = _KEPT_CHARACTERS

    def stack(node: int) -> str:
        nonlocal room
        text = kept.get(node)
        if text is None:
            path = []
            below = node
            while below >= 0:
                path.append(of_frame[profile.frame[below]])
                below = profile.parent[below]
            path.reverse()
            text = f"[{','.join(map(str, path))}]"
            if room >= len(text):
                room -= len(text)
                kept[node] = text
        return text

    unit = "nanoseconds" if profile.meta.unit == "nanoseconds" else "none"
    between = "\n"
    for thread, rows in rows_by_thread(profile):
        nodes: list[int] = []
        weights: list[int] = []
        for _, node, value in rows:
            if nodes and nodes[-1] == node:
                weights[-1] += value
            else:
                nodes.append(node)
                weights.append(value)
        yield f'{between}{{"type":"sampled","name":{json.dumps(thread_label(thread))},"unit":"{unit}"'
        yield f',"startValue":0,"endValue":{sum(weights)},"samples":['
        for place, node in enumerate(nodes):
            yield (",\n" if place else "\n") + stack(node)
        yield f'\n],"weights":{json.dumps(weights, separators=(",", ":"))}}}'
        between = ",\n"
    if between == "\n":  # the viewer opens no file without a profile
        yield f'{{"type":"sampled","name":"no samples","unit":"{unit}"'
        yield ',"startValue":0,"endValue":0,"samples":[],"weights":[]}'
    yield "\n]}\n"


def read(file: BinaryIO) -> Profile:
    """Raises `InputError` with the field that is wrong."""
    document = read_object(file)
    schema = document.get("$schema", SCHEMA)
    if not isinstance(schema, str) or not schema.endswith("speedscope.app/file-format-schema.json"):
        raise InputError(f"$schema is not {SCHEMA}.")
    return _Reader(document).profile()


class _Reader:
    def __init__(self, document: dict[str, Any]) -> None:
        self._builder = ProfileBuilder(max_samples=1 << 62)
        self._name = str(document.get("name") or "")
        self._profiles = [
            checked(profile, dict, f"profiles[{place}]")
            for place, profile in enumerate(member(document, "profiles", list))
        ]
        self._by_py_spy = str(document.get("exporter")).startswith("py-spy") and not any(
            "events" in profile for profile in self._profiles
        )
        shared = member(document, "shared", dict)
        self._frames: list[int] = []
        self._marks: dict[int, tuple[int, int, str] | int] = {}
        """Frames of py-spy's that say which thread (process) the rest of the stack is of."""
        for place, frame in enumerate(member(shared, "frames", list, "shared")):
            self._frame(place, checked(frame, dict, f"shared.frames[{place}]"))
        self._skipped: list[str] = []
        self._profile_number = 0
        self._unit = self._unit_of_all()

    def _frame(self, place: int, facts: dict[str, Any]) -> None:
        where = f"shared.frames[{place}]"
        name = member(facts, "name", str, where)
        path = facts.get("file")
        line = facts.get("line")
        known = "" if path is None else checked(path, str, f"{where}.file")
        known_line = 0 if line is None else int(number(line, f"{where}.line"))
        mark = None
        if self._by_py_spy and not known:
            mark = labelled_thread(name) or labelled_process(name)
        if mark is not None:
            self._marks[place] = mark
            self._frames.append(-1)
        else:
            self._frames.append(self._builder.add_frame(labelled(name, known, known_line)))

    def _unit_of_all(self) -> str:
        """Time, samples or bytes: what the first profile with something in it is of."""
        for place, facts in enumerate(self._profiles):
            if facts.get("samples") or facts.get("events"):
                return _quantity(facts, f"profiles[{place}]")
        raise InputError("there are no samples in it.")

    def profile(self) -> Profile:
        total = 0
        for place, facts in enumerate(self._profiles):
            where = f"profiles[{place}]"
            self._profile_number = place
            if _quantity(facts, where) != self._unit:
                self._skipped.append(str(facts.get("name", where)))
                continue
            values = WholeValues(_FACTORS.get(facts["unit"], 1))
            values.total = total
            kind = facts.get("type")
            if kind == "sampled":
                self._sampled(facts, where, values)
            elif kind == "evented":
                self._evented(facts, where, values)
            else:
                raise InputError(f"{where}.type is neither `sampled` nor `evented`.")
            total = values.total
        notes = []
        if self._unit == "bytes":
            notes.append("The values are bytes, not samples.")
        if self._skipped:
            notes.append(f"Left out, being of another unit: {', '.join(self._skipped[:5])}.")
        return self._builder.snapshot(
            Meta(
                engine="speedscope",
                unit="nanoseconds" if self._unit == "time" else "samples",
                target=self._name,
                notes=tuple(notes),
            )
        )

    def _thread(self, facts: dict[str, Any], place: int) -> int:
        name = str(facts.get("name") or "")
        return self._builder.add_thread(*(labelled_thread(name) or (0, place, name)))

    def _sampled(self, facts: dict[str, Any], where: str, values: WholeValues) -> None:
        samples = member(facts, "samples", list, where)
        weights = member(facts, "weights", list, where)
        if len(samples) != len(weights):
            raise InputError(f"{where} has {len(samples):,} samples, but {len(weights):,} weights.")
        ordinary = self._thread(facts, self._profile_number)
        for place, (sample, weight) in enumerate(zip(samples, weights, strict=True)):
            stack = checked(sample, list, f"{where}.samples[{place}]")
            path, thread = self._path(stack, ordinary, f"{where}.samples[{place}]")
            if not path:
                number(weight, f"{where}.weights[{place}]")
                continue
            value = values.take(weight, f"{where}.weights[{place}]")
            if value:
                self._builder.add_sample(0, thread, self._builder.add_path(path)[-1], value)

    def _path(self, stack: list[Any], thread: int, where: str) -> tuple[list[int], int]:
        """The stack's frames without those that name its thread, and the thread."""
        frames, marks = self._frames, self._marks
        path: list[int] = []
        process = 0
        for place, index in enumerate(stack):
            if type(index) is not int or not 0 <= index < len(frames):
                raise InputError(f"{where}[{place}] is no number of a frame: {len(frames):,} are there.")
            mark = marks.get(index)
            if mark is None:
                path.append(frames[index])
            elif isinstance(mark, int):
                process = mark
            else:
                thread = self._builder.add_thread(process or mark[0], mark[1], mark[2])
        return path, thread

    def _evented(self, facts: dict[str, Any], where: str, values: WholeValues) -> None:
        thread = self._thread(facts, self._profile_number)
        factor = _FACTORS.get(facts["unit"], 1)
        nodes: list[int] = []
        last: int | float | None = None
        last_value = 0
        for place, event in enumerate(member(facts, "events", list, where)):
            here = f"{where}.events[{place}]"
            event = checked(event, dict, here)
            at = number(event.get("at"), f"{here}.at")
            if last is not None and at < last:
                raise InputError(f"{here}.at is before that of the event in front of it.")
            now = at * factor if isinstance(at, int) else round(at * factor)
            if nodes and last is not None and now > last_value:
                self._builder.add_sample(0, thread, nodes[-1], values.add(now - last_value, here))
            last, last_value = at, now
            index = event.get("frame")
            if type(index) is not int or not 0 <= index < len(self._frames):
                raise InputError(f"{here}.frame is no number of a frame: {len(self._frames):,} are there.")
            if event.get("type") == "O":
                nodes.append(self._builder.add_node(nodes[-1] if nodes else -1, self._frames[index]))
            elif event.get("type") != "C":
                raise InputError(f"{here}.type is neither `O` nor `C`.")
            elif not nodes or self._builder.frame[nodes[-1]] != self._frames[index]:
                raise InputError(f"{here} closes a frame that is not the innermost one.")
            else:
                nodes.pop()


def _quantity(facts: dict[str, Any], where: str) -> str:
    unit = member(facts, "unit", str, where)
    if unit in _FACTORS:
        return "time"
    if unit in ("none", "bytes"):
        return unit
    raise InputError(f"{where}.unit is none of speedscope's: {unit[:40]!r}.")
