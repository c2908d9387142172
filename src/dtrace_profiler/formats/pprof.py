"""pprof's profile.proto, as `go tool pprof`, Pyroscope, Parca and Grafana read it: writing. Reading: `pprof_reader`.

Equal stacks of one thread are one sample, so a file has the size of what is different, however long was sampled. A
frame and what was inlined into it are the lines of one location. See docs/formats.md for what stands where.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from operator import add
from typing import BinaryIO

from dtrace_profiler.formats.mapped_addresses import MappedAddresses
from dtrace_profiler.formats.pprof_reader import COMMENTS, LOST, read, sniff
from dtrace_profiler.formats.protobuf import block, number, packed, varint
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import MappedFile, Profile

__all__ = ("dropped", "read", "sniff", "write")

_MOST = (1 << 63) - 1
_FLUSH_BYTES = 1 << 20
_MANY_PLACES = 1_000_000
_MEMO_BYTES = 64 << 20
"""Of stacks that are kept as they are written, for other threads' samples."""


def dropped(profile: Profile) -> list[str]:
    """What of this profile the format can't hold."""
    out = []
    if any(profile.timestamp_ns):
        out.append("the samples' times")
    if profile.lost:
        out.append("when samples were lost")
    return out


def write(profile: Profile, file: BinaryIO) -> None:
    """Not compressed: `.pb.gz` is by its suffix. Equal profiles give equal files."""
    writer = _Writer(profile, file)
    writer.write()


class _Writer:
    def __init__(self, profile: Profile, file: BinaryIO) -> None:
        self._profile = profile
        self._file = file
        self._parts: list[bytes] = []
        self._size = 0
        self._strings: dict[str, int] = {"": 0}
        self._functions: dict[tuple[str, str, str, int], int] = {}
        self._mapped = MappedAddresses(profile)
        self._mappings: dict[MappedFile | str, int] = {}
        """A file, or the name of a module of which no more is known."""
        self._locations: dict[tuple[int, ...], int] = {}
        """Frames (indices), the innermost first → a location's number."""
        self._of_node: dict[int, tuple[bytes, int]] = {}
        """A node → its location's number as a varint, and the node above all of it."""
        self._inlined = bytearray(frame.kind is FrameKind.INLINED for frame in profile.frames)

    def write(self) -> None:
        meta = self._profile.meta
        counted, total = self._values()
        period = 0
        kinds = [("samples", "count")]
        if meta.unit == "nanoseconds":
            kinds.append(("cpu", "nanoseconds"))
        elif meta.frequency_hz:
            period = 1_000_000_000 // meta.frequency_hz
            if period and total * period <= _MOST:
                kinds.append(("cpu", "nanoseconds"))
        for name, unit in kinds:
            self._put(1, number(1, self._string(name)) + number(2, self._string(unit)))
        self._samples(counted, period if len(kinds) == 2 else 0)
        self._tables()
        self._about(kinds, period)
        self._flush()

    def _values(self) -> tuple[dict[int, int], int]:
        """node * number of threads + thread → sum of values; and the sum of all."""
        sums = self._added_up(self._profile.value)
        return sums, sum(sums.values())

    def _added_up(self, values: Iterable[int]) -> dict[int, int]:
        profile = self._profile
        threads = len(profile.threads)
        sums: dict[int, int] = {}
        keys = map(add, map(threads.__mul__, profile.node), profile.thread)
        size = len(profile.parent) * threads
        if size > len(profile) + _MANY_PLACES:
            known = sums.get
            for key, value in zip(keys, values, strict=False):
                sums[key] = known(key, 0) + value
            return sums
        # With many samples a list is faster than a dict, whose entries lie anywhere in memory.
        places: list[int | None] = [None] * size
        for key, value in zip(keys, values, strict=False):
            before = places[key]
            if before is None:
                places[key] = sums[key] = value
            else:
                places[key] = before + value
        return {key: places[key] or 0 for key in sums}

    def _samples(self, sums: dict[int, int], period: int) -> None:
        profile = self._profile
        threads = len(profile.threads)
        in_time = profile.meta.unit == "nanoseconds"
        counts = self._added_up(repeat(1)) if in_time else {}
        labels = self._labels()
        stacks: dict[int, bytes] = {}
        """Nodes → what is written of them, which several threads may share."""
        room = _MEMO_BYTES
        for key, value in sums.items():
            node, thread = divmod(key, threads)
            stack = stacks.get(node)
            if stack is None:
                stack = block(1, self._stack(node))
                if (room := room - len(stack)) > 0:
                    stacks[node] = stack
            count = counts.get(key, 0)
            # What is too large for one number goes into several samples.
            while True:
                part = min(value, _MOST)
                values = (count, part) if in_time else (part, part * period) if period else (part,)
                self._put(2, stack + packed(2, values) + labels[thread])
                value -= part
                count = 0
                if not value:
                    break

    def _put(self, field: int, content: bytes) -> None:
        part = block(field, content)
        self._parts.append(part)
        self._size += len(part)
        if self._size > _FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._file.write(b"".join(self._parts))
        self._parts.clear()
        self._size = 0

    def _string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))

    def _labels(self) -> list[bytes]:
        """Texts, not numbers: pprof shows numbers without a unit as bytes."""
        out = []
        for thread in self._profile.threads:
            pairs: list[tuple[str, int | str]] = [
                ("pid", thread.process_id),
                ("thread_id", thread.thread_id),
                ("thread_name", thread.name),
            ]
            pairs += thread.labels
            labels = [
                number(1, self._string(key)) + number(2, self._string(str(value))) for key, value in pairs if value
            ]
            out.append(b"".join(block(3, label) for label in labels))
        return out

    def _stack(self, node: int) -> bytes:
        """The numbers of a stack's locations, leaf first."""
        known = self._of_node
        out = []
        while node >= 0:
            place = known.get(node)
            if place is None:
                place = known[node] = self._location(node)
            out.append(place[0])
            node = place[1]
        return b"".join(out)

    def _location(self, node: int) -> tuple[bytes, int]:
        profile, frames = self._profile, []
        while True:
            frame = profile.frame[node]
            frames.append(frame)
            node = profile.parent[node]
            if node < 0 or not self._inlined[frame]:
                break
        key = tuple(frames)
        return varint(self._locations.setdefault(key, len(self._locations) + 1)), node

    def _function(self, frame: StackFrame) -> int:
        name, system_name = frame.function_name, frame.function_name
        if frame.kind is FrameKind.PYTHON and frame.module_name and name:
            system_name = f"{frame.module_name}.{name}"
        key = (name, system_name, frame.file, frame.first_line)
        return self._functions.setdefault(key, len(self._functions) + 1)

    def _mapping(self, frame: StackFrame) -> int:
        """The kernel's are in brackets, as perf has them; pprof looks for no such file."""
        if frame.kind is FrameKind.PYTHON or not (frame.module_name or frame.kind is FrameKind.KERNEL):
            return 0
        name = f"[{frame.module_name}]" if frame.kind is FrameKind.KERNEL else frame.module_name
        return self._mappings.setdefault(self._mapped.find(frame) or name, len(self._mappings) + 1)

    def _tables(self) -> None:
        frames = self._profile.frames
        for key, place in self._locations.items():
            outer = frames[key[-1]]
            content = number(1, place) + number(2, self._mapping(outer)) + number(3, outer.address)
            for index in key:
                frame = frames[index]
                content += block(4, number(1, self._function(frame)) + number(2, frame.line))
            self._put(4, content)
        for (name, system_name, file, first_line), place in self._functions.items():
            texts = (self._string(name), self._string(system_name), self._string(file))
            content = b"".join(number(field, text) for field, text in enumerate(texts, 2))
            self._put(5, number(1, place) + content + number(5, first_line))
        for mapped, place in self._mappings.items():
            if isinstance(mapped, str):
                content = number(5, self._string(mapped))
            else:
                content = number(2, mapped.start) + number(3, mapped.end) + number(4, mapped.offset)
                content += number(5, self._string(mapped.path)) + number(6, self._string(mapped.build_id))
            # All that is known is in the file: nobody need look for names in the binary.
            known = b"".join(number(field, 1) for field in (7, 8, 9, 10))
            self._put(3, number(1, place) + content + known)

    def _about(self, kinds: list[tuple[str, str]], period: int) -> None:
        meta = self._profile.meta
        said = {
            "engine": [meta.engine],
            "target": [meta.target],
            "system": [meta.system],
            "version": [f"{name} {text}" for name, text in meta.versions.items()],
        }
        comments = [f"{COMMENTS[what]}{text}" for what, texts in said.items() for text in texts if text]
        comments += [f"{LOST}{name} {count}" for name, count in meta.losses.items()]
        comments += list(meta.notes)
        comment = packed(13, [self._string(text) for text in comments]) if comments else b""
        by_default = number(14, self._string("cpu" if meta.unit == "nanoseconds" else "samples"))
        if meta.frequency_hz:
            period = period or 1_000_000_000 // meta.frequency_hz
            kind = number(1, self._string("cpu")) + number(2, self._string("nanoseconds"))
            rate = block(11, kind) + number(12, period)
        else:
            rate = b""
        self._parts.append(
            number(9, max(0, meta.start_ns)) + number(10, max(0, meta.duration_ns)) + rate + comment + by_default
        )
        # Last, as fields that are cut off leave no trace: without its last texts the file is refused.
        for text in self._strings:
            self._put(6, text.encode("utf-8", "replace"))
