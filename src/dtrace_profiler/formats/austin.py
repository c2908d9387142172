"""The text of Austin 3, and of its binary files after `mojo2austin`: `P7;T0:72;app.py:run:12;… 10097`. Read only.

Lines that begin with `#` say how it was taken. A value is microseconds; with `-m` bytes; with `-f` microseconds,
whether the thread was idle (such samples are left out), and bytes.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats.folded_threads import python_place
from dtrace_profiler.formats.frame_labels import NO_NAME
from dtrace_profiler.formats.json_document import LARGEST
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile

_HEAD = re.compile(
    rb"(?:[ \t]*(?:#[^\n]*)?\r?\n)*(?:# austin: |P\d+;T[^;\n]*(?:;[^\n]*)? -?\d+(?:,[01],-?\d+)?\r?$"
    rb"|P\d+;T[^;\n]*;[^\n]{60000})",
    re.MULTILINE,
)
_SAMPLE = re.compile(
    r"P(\d{1,18});T(?:\d{1,18}:)?([^;]*)(?:;(.*))? (?:(-?\d{1,19})|(\d{1,19}),([01]),-?\d{1,19})", re.DOTALL
)
_FACT = re.compile(r"# *([\w-]+): *(.*)")
_SHOWN = 60


def sniff(head: bytes) -> bool | None:
    return bool(_HEAD.match(head))


def read(file: BinaryIO) -> Profile:
    """Raises `InputError` with the line's number where a line is no sample."""
    builder = ProfileBuilder(max_samples=1 << 62)
    facts: dict[str, str] = {}
    frames: dict[str, int] = {}
    threads: dict[tuple[str, str], int] = {}
    total = idle = freed = 0
    number = 0
    for number, line in enumerate(file, 1):
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text.strip():
            continue
        if text.startswith("#"):
            if fact := _FACT.fullmatch(text):
                facts[fact[1]] = fact[2].strip()
            continue
        sample = _SAMPLE.fullmatch(text)
        if sample is None:
            shown = text[:_SHOWN]
            raise InputError(
                f"line {number} is no sample of Austin's (`P7;T0:72;file:function:line VALUE`): {shown!r}."
            )
        process, thread, stack, alone, full, is_idle = sample.groups()
        value = int(alone or full)
        if is_idle == "1":
            idle += 1
            continue
        if value < 0:
            freed += 1
            continue
        total += value
        if total > LARGEST // 1000:
            raise InputError(f"the sum of all values is too large at line {number}.")
        if value:
            path = [_frame(name, frames, builder) for name in (stack or NO_NAME).split(";")]
            who = threads.get((process, thread))
            if who is None:
                who = threads[process, thread] = _add_thread(builder, int(process), thread)
            builder.add_sample(0, who, builder.add_path(path)[-1], value)
    if not number:
        raise InputError("the file is empty.")
    if not builder.node:
        raise InputError("there are no samples in it.")
    return _finished(builder, facts, idle, freed)


def _finished(builder: ProfileBuilder, facts: dict[str, str], idle: int, freed: int) -> Profile:
    notes = []
    in_bytes = facts.get("mode") == "memory"
    if in_bytes:
        notes.append("The values are bytes, not samples.")
    else:
        for row, value in enumerate(builder.value):
            builder.value[row] = value * 1000
    if facts.get("mode") == "wall":
        notes.append("Austin sampled by the clock: the values are of threads that ran and of those that waited.")
    if idle:
        notes.append(f"{idle:,} samples of idle threads were left out.")
    if freed:
        notes.append(f"{freed:,} samples in which memory was freed were left out.")
    versions = {name: value for name, value in facts.items() if name in ("austin", "python")}
    interval = _whole(facts.get("interval", ""))
    return builder.snapshot(
        Meta(
            engine="austin",
            unit="samples" if in_bytes else "nanoseconds",
            frequency_hz=1_000_000 // interval if interval else 0,
            duration_ns=_whole(facts.get("duration", "")) * 1000,
            versions=versions,
            notes=tuple(notes),
        )
    )


def _whole(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else 0


def _frame(name: str, known: dict[str, int], builder: ProfileBuilder) -> int:
    index = known.get(name)
    if index is None:
        frame = python_place(name) or StackFrame(name or NO_NAME, kind=FrameKind.UNKNOWN)
        index = known[name] = builder.add_frame(frame)
    return index


def _add_thread(builder: ProfileBuilder, process: int, text: str) -> int:
    """Austin 3 says the thread's number, Austin 4 its name."""
    if re.fullmatch(r"[0-9]{1,18}|0x[0-9a-f]{1,15}", text):
        return builder.add_thread(process, int(text, 16 if text[:2] == "0x" else 10))
    return builder.add_thread(process, len(builder.threads), text)
