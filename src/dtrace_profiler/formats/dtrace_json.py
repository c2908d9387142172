"""What FreeBSD's dtrace writes with `-x oformat=json` (or `--libxo json`), read. After its manual page of 2025.

    {"dtrace": {"probes": [{"timestamp": …, "cpu": …, "provider": …, "name": …, "output": [ … ]}]}}

`output` holds what the probe's actions gave: aggregations, whose keys may be stacks (`stack-frames` of the kernel,
`ustack-frames` of the process), or stacks alone, which are one sample each. Counts and sums add up; stacks and names
become what they are in dtrace's plain text. Times are those of the output, so they are not taken.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats.dtrace_text import StackReader, demangle_names
from dtrace_profiler.formats.json_document import (
    LARGEST,
    WholeValues,
    begins_with,
    checked,
    member,
    number,
    read_object,
)
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.record.messages import drops
from dtrace_profiler.record.text_lines import StackBlock, StackPart
from dtrace_profiler.symbols.frame_text import Demangle

_COUNTED = ("count", "sum")
_NOT_COUNTED = ("min", "max", "avg", "stddev")
_STACKS = (("stack-frames", True), ("ustack-frames", False))
_AT_A_TIME = 10_000


def sniff(head: bytes) -> bool | None:
    if not begins_with(head, b"{"):
        return False if head.strip() else None
    start = head[:4096].replace(b" ", b"").replace(b"\n", b"").replace(b"\r", b"").replace(b"\t", b"")
    if b'"dtrace":{"probes":[' in start:
        return True
    return None if len(start) < 20 else False


def read(file: BinaryIO, *, demangle: Demangle | None = None) -> Profile:
    """Raises `InputError` with the field that is wrong."""
    dtrace = member(read_object(file), "dtrace", dict)
    reader = _Reader(demangle or demangle_names())
    for place, probe in enumerate(member(dtrace, "probes", list, "dtrace")):
        where = f"dtrace.probes[{place}]"
        reader.probe(checked(probe, dict, where), where)
    return reader.profile()


class _Reader:
    def __init__(self, demangle: Demangle) -> None:
        self._stacks = StackReader(demangle)
        self._blocks: list[StackBlock] = []
        self._values = WholeValues()
        self._losses: dict[str, int] = {}
        self._skipped: set[str] = set()

    def probe(self, probe: dict[str, Any], where: str) -> None:
        if probe.get("name") == "DROP" and probe.get("provider") == "dtrace":
            self._drop(probe, where)
            return
        output = probe.get("output", [])
        alone: list[StackPart] = []
        for place, item in enumerate(checked(output, list, f"{where}.output")):
            here = f"{where}.output[{place}]"
            item = checked(item, dict, here)
            if "aggregation-data" in item:
                for row, entry in enumerate(member(item, "aggregation-data", list, here)):
                    inside = f"{here}.aggregation-data[{row}]"
                    self._aggregated(checked(entry, dict, inside), inside)
            alone += _parts(item, here)
        if alone:
            self._add(alone, self._values.add(1, where), "")

    def _drop(self, probe: dict[str, Any], where: str) -> None:
        count = number(probe.get("count", 0), f"{where}.count")
        said = drops(f"dtrace: {probe.get('msg', '')}".strip())
        name = said[0] if said else "drops"
        self._losses[name] = min(LARGEST, self._losses.get(name, 0) + max(0, int(count)))

    def _aggregated(self, entry: dict[str, Any], where: str) -> None:
        parts: list[StackPart] = []
        words: list[str] = []
        for place, key in enumerate(member(entry, "keys", list, where)):
            here = f"{where}.keys[{place}]"
            if not isinstance(key, dict):
                words.append(str(key))
                continue
            found = _parts(key, here)
            parts += found
            if not found:
                words += [str(value) for value in key.values() if isinstance(value, (str, int))][:1]
        if not parts:
            return
        if "buckets" in entry:
            self._losses["skipped_histograms"] = self._losses.get("skipped_histograms", 0) + 1
            return
        for name in _COUNTED:
            if name in entry:
                value = self._values.take(entry[name], f"{where}.{name}")
                self._add(parts, value, " ".join(words))
                return
        self._skipped.update(name for name in _NOT_COUNTED if name in entry)

    def _add(self, parts: list[StackPart], value: int, key: str) -> None:
        parts.sort(key=lambda part: not part.kernel)  # the kernel's is nearer the leaf
        self._blocks.append(StackBlock(tuple(parts), value, key.encode("utf-8", "replace")))
        if len(self._blocks) >= _AT_A_TIME:
            self._flush()

    def _flush(self) -> None:
        self._stacks.take(self._blocks)
        self._blocks.clear()

    def profile(self) -> Profile:
        self._flush()
        notes = []
        if self._skipped:
            notes.append(f"Left out, being no counts: aggregations by {', '.join(sorted(self._skipped))}.")
        if not self._stacks.values:
            notes.append("The file has no stacks.")
        return self._stacks.profile(Meta(engine="dtrace-json", losses=dict(self._losses), notes=tuple(notes)))


def _parts(owner: dict[str, Any], where: str) -> list[StackPart]:
    """The stacks of an object, without those that have no frames."""
    found = []
    for name, kernel in _STACKS:
        if name in owner:
            frames = member(owner, name, list, where)
            lines = tuple(_line(frame, f"{where}.{name}[{place}]") for place, frame in enumerate(frames))
            if lines:
                found.append(StackPart(lines, kernel))
    return found


def _line(frame: object, where: str) -> bytes:
    """The frame as dtrace's plain text has it: ``module`function+0x1f``, or an address."""
    facts = checked(frame, dict, where)
    symbol = facts.get("symbol")
    if symbol is None:
        module, name = facts.get("module"), facts.get("name") or facts.get("offset")
        if not isinstance(name, str) or not isinstance(module, str | None):
            raise InputError(f"{where} has no symbol.")
        symbol = f"{module}`{name}" if module else name
    text: str = checked(symbol, str, f"{where}.symbol")
    return text.encode("utf-8", "replace") or b"<unknown>"
