"""OpenTelemetry's profiles as one `ProfilesData` message: writing. Reading: `otlp_reader`.

The schema is that of `opentelemetry-proto` (the extra `otlp`), and still changes: its name is `v1development`. Equal
stacks of one thread are one sample with all of its times and values. See docs/formats.md for what stands where.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, BinaryIO

from dtrace_profiler._version import __version__
from dtrace_profiler.formats.mapped_addresses import MappedAddresses
from dtrace_profiler.formats.otlp_reader import BUILD_ID, FRAME_TYPE, OURS, TYPES, messages, read, sniff
from dtrace_profiler.model.frame import SPAN_ID, TRACE_ID, FrameKind, Labels, StackFrame
from dtrace_profiler.model.profile import MappedFile, Profile

__all__ = ("dropped", "read", "require", "sniff", "write")

_TRACE_ID = re.compile("[0-9a-f]{32}")
_SPAN_ID = re.compile("[0-9a-f]{16}")
_TYPE_OF = {kind: name for name, kind in TYPES.items()}


def dropped(profile: Profile) -> list[str]:
    """What of this profile the format can't hold."""
    return ["when samples were lost"] if profile.lost else []


def require() -> None:
    """Raises `UsageError` where opentelemetry-proto is not installed."""
    messages()


def write(profile: Profile, file: BinaryIO) -> None:
    """Equal profiles give equal files. Raises `UsageError` where opentelemetry-proto is not installed."""
    file.write(_Writer(profile, messages()).data().SerializeToString(deterministic=True))


class _Writer:
    """Entry 0 of each table of the dictionary is empty, as the schema asks for."""

    def __init__(self, profile: Profile, m: Any) -> None:
        self._profile = profile
        self._m = m
        self._strings = {"": 0}
        self._attributes: dict[tuple[str, str | int], int] = {}
        self._functions: dict[tuple[str, str, str, int], int] = {}
        self._mapped = MappedAddresses(profile)
        self._mappings: dict[MappedFile | str, int] = {}
        self._locations: dict[tuple[int, ...], int] = {}
        self._stacks: dict[int, int] = {}
        self._links: dict[tuple[str, str], int] = {}
        self._out = m.ProfilesData()
        self._tables = self._out.dictionary
        for name in ("mapping", "location", "function", "link", "attribute", "stack"):
            getattr(self._tables, f"{name}_table").add()

    def data(self) -> Any:
        meta = self._profile.meta
        of_resource = self._out.resource_profiles.add()
        for key, text in (("process.command_line", meta.target), ("os.description", meta.system)):
            if text:
                attribute = of_resource.resource.attributes.add()
                attribute.key = key
                attribute.value.string_value = _clean(text)
        scope = of_resource.scope_profiles.add()
        scope.scope.name = "dtrace-profiler"
        scope.scope.version = __version__
        out = scope.profiles.add()
        kind = ("cpu", "nanoseconds") if meta.unit == "nanoseconds" else ("samples", "count")
        out.sample_type.type_strindex, out.sample_type.unit_strindex = map(self._string, kind)
        out.time_unix_nano = max(0, meta.start_ns)
        out.duration_nano = max(0, meta.duration_ns)
        if meta.frequency_hz:
            out.period_type.type_strindex, out.period_type.unit_strindex = map(self._string, ("cpu", "nanoseconds"))
            out.period = 1_000_000_000 // meta.frequency_hz
        self._samples(out)
        about: list[tuple[str, str | int]] = [("engine", meta.engine)]
        about += [(f"version.{name}", text) for name, text in meta.versions.items()]
        about += [(f"lost.{name}", count) for name, count in meta.losses.items()]
        about += [(f"note.{number}", note) for number, note in enumerate(meta.notes)]
        out.attribute_indices.extend(
            self._attribute(OURS + key, value) for key, value in about if value or key.startswith("lost.")
        )
        for (key, value), _ in self._attributes.items():
            entry = self._tables.attribute_table.add()
            entry.key_strindex = self._string(key)
            if isinstance(value, int):
                entry.value.int_value = min(value, (1 << 63) - 1)
            else:
                entry.value.string_value = _clean(value)
        self._tables.string_table.extend(_clean(text) for text in self._strings)
        out.profile_id = hashlib.blake2b(self._out.SerializeToString(deterministic=True), digest_size=16).digest()
        return self._out

    def _samples(self, out: Any) -> None:
        profile = self._profile
        rows: dict[int, list[tuple[int, int]]] = {}
        for time, thread, node, value in zip(
            profile.timestamp_ns, profile.thread, profile.node, profile.value, strict=True
        ):
            rows.setdefault(thread << 32 | node, []).append((time, value))
        labels = [self._labels(index) for index in range(len(profile.threads))]
        links = [self._link(thread.labels) for thread in profile.threads]
        for key, found in rows.items():
            timed = sorted(row for row in found if row[0] > 0)
            rest = [value for time, value in found if time <= 0]
            # Those without times add up; what is too large for one number stands alone.
            if sum(rest) < 1 << 63:
                rest = [sum(rest)] if rest else []
            parts = [([time for time, _ in timed], [value for _, value in timed])] if timed else []
            for times, values in [*parts, *(([], [value]) for value in rest)]:
                sample = out.samples.add()
                sample.stack_index = self._stack(key & 0xFFFF_FFFF)
                sample.attribute_indices.extend(labels[key >> 32])
                sample.link_index = links[key >> 32]
                sample.values.extend(values)
                sample.timestamps_unix_nano.extend(times)

    def _string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))

    def _attribute(self, key: str, value: str | int) -> int:
        return self._attributes.setdefault((key, value), len(self._attributes) + 1)

    def _labels(self, index: int) -> list[int]:
        thread = self._profile.threads[index]
        pairs: list[tuple[str, str | int]] = [
            ("process.pid", thread.process_id),
            ("thread.id", thread.thread_id),
            ("thread.name", thread.name),
        ]
        if self._link(thread.labels):
            pairs += [pair for pair in thread.labels if pair[0] not in (TRACE_ID, SPAN_ID)]
        else:
            pairs += thread.labels
        return [self._attribute(key, value) for key, value in pairs if value]

    def _link(self, labels: Labels) -> int:
        """The link to a span, 0 where these labels name none."""
        said = dict(labels)
        ids = said.get(TRACE_ID, ""), said.get(SPAN_ID, "")
        if not (_TRACE_ID.fullmatch(ids[0]) and _SPAN_ID.fullmatch(ids[1])):
            return 0
        place = self._links.get(ids)
        if place is None:
            link = self._tables.link_table.add()
            link.trace_id, link.span_id = bytes.fromhex(ids[0]), bytes.fromhex(ids[1])
            place = self._links[ids] = len(self._links) + 1
        return place

    def _stack(self, node: int) -> int:
        place = self._stacks.get(node)
        if place is None:
            place = self._stacks[node] = len(self._tables.stack_table)
            profile, locations = self._profile, []
            while node >= 0:
                frames = []
                while True:
                    frames.append(profile.frame[node])
                    node = profile.parent[node]
                    if node < 0 or profile.frames[frames[-1]].kind is not FrameKind.INLINED:
                        break
                locations.append(self._location(tuple(frames)))
            self._tables.stack_table.add().location_indices.extend(locations)
        return place

    def _location(self, key: tuple[int, ...]) -> int:
        """Frames (indices), the innermost first: what was inlined, and where into."""
        place = self._locations.get(key)
        if place is None:
            location = self._tables.location_table.add()
            place = self._locations[key] = len(self._locations) + 1
            outer = self._profile.frames[key[-1]]
            location.mapping_index = self._mapping(outer)
            location.address = outer.address
            if outer.kind in _TYPE_OF:
                location.attribute_indices.append(self._attribute(FRAME_TYPE, _TYPE_OF[outer.kind]))
            for index in key:
                line = location.lines.add()
                line.function_index = self._function(self._profile.frames[index])
                line.line = self._profile.frames[index].line
        return place

    def _function(self, frame: StackFrame) -> int:
        name = frame.function_name
        qualified = frame.kind is FrameKind.PYTHON and frame.module_name and name
        key = (name, f"{frame.module_name}.{name}" if qualified else name, frame.file, frame.first_line)
        place = self._functions.get(key)
        if place is None:
            place = self._functions[key] = len(self._functions) + 1
            function = self._tables.function_table.add()
            function.name_strindex = self._string(key[0])
            function.system_name_strindex = self._string(key[1])
            function.filename_strindex = self._string(frame.file)
            function.start_line = frame.first_line
        return place

    def _mapping(self, frame: StackFrame) -> int:
        if frame.kind is FrameKind.PYTHON or not frame.module_name:
            return 0
        mapped = self._mapped.find(frame)
        key = mapped or frame.module_name
        place = self._mappings.get(key)
        if place is None:
            place = self._mappings[key] = len(self._mappings) + 1
            entry = self._tables.mapping_table.add()
            entry.filename_strindex = self._string(mapped.path if mapped else frame.module_name)
            if mapped is not None:
                entry.memory_start, entry.memory_limit = mapped.start, mapped.end
                entry.file_offset = mapped.offset
                if mapped.build_id:
                    entry.attribute_indices.append(self._attribute(BUILD_ID, mapped.build_id))
        return place


def _clean(text: str) -> str:
    """Halves of surrogate pairs are no text there."""
    return text.encode("utf-8", "replace").decode()
