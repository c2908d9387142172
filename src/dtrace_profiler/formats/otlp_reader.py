"""OpenTelemetry's profiles read: one `ProfilesData` message, as an exporter of files writes it.

The message is taken apart by the library of the extra `otlp`; every index into a table is looked at here, and the
first that leads nowhere is told by its table. The same limits as for pprof: see `pprof_reader`.
"""

from __future__ import annotations

import importlib
import re
from typing import Any, BinaryIO

from dtrace_profiler.errors import InputError, UsageError
from dtrace_profiler.formats.files import read_whole
from dtrace_profiler.formats.pprof_reader import FRAMES_A_BYTE, MAX_BYTES
from dtrace_profiler.formats.protobuf import BYTES, read_varint
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import SPAN_ID, TRACE_ID, FrameKind, StackFrame
from dtrace_profiler.model.profile import MappedFile, Meta, Profile
from dtrace_profiler.symbols.frame_text import is_kernel_module

FRAME_TYPE = "profile.frame.type"
BUILD_ID = "process.executable.build_id.gnu"
OURS = "dtrace_profiler."
TYPES = {"cpython": FrameKind.PYTHON, "kernel": FrameKind.KERNEL, "native": FrameKind.NATIVE}
OF_THREAD = ("process.pid", "thread.id", "thread.name")
_COMPILED = ("native", "go", "rust")
_UNKNOWN = StackFrame("<unknown>", kind=FrameKind.UNKNOWN)
_WORD = 1 << 63


def messages() -> Any:
    """The generated module. Raises `UsageError` where it is not installed."""
    try:
        return importlib.import_module("opentelemetry.proto.profiles.v1development.profiles_pb2")
    except ImportError as error:
        raise UsageError(
            "OTLP profiles need opentelemetry-proto, which is not installed.",
            remedy="pip install 'dtrace-profiler[otlp]'",
        ) from error


def sniff(head: bytes) -> bool | None:
    """Whether it begins with a resource and its profiles; None: with a dictionary, or it is pprof's samples."""
    at = 0
    try:
        while at < len(head):
            key, at = read_varint(head, at, len(head))
            length, at = read_varint(head, at, len(head))
            if key not in (1 << 3 | BYTES, 2 << 3 | BYTES):
                return False
            if key >> 3 == 1:
                return _like_resource(head, at, at + length)
            at += length
    except InputError:
        pass
    return None


def _like_resource(head: bytes, at: int, end: int) -> bool | None:
    seen = None
    while at < min(end, len(head)):
        key = head[at]
        if key not in (0x0A, 0x12, 0x1A):
            return False
        length, at = read_varint(head, at + 1, len(head))
        if at + length > end or (length and at < len(head) and head[at] not in b"\x0a\x10\x12\x1a"):
            return key == 0x1A and at + length <= end
        seen = True if key == 0x12 else seen
        at += length
    return seen


def read(file: BinaryIO) -> Profile:
    """Raises `InputError` with the table of what is wrong."""
    data = read_whole(file, MAX_BYTES)
    module = messages()
    errors = importlib.import_module("google.protobuf.message")
    try:
        message = module.ProfilesData.FromString(data)
    except errors.DecodeError as error:
        raise InputError("this is no OTLP profile: it can't be taken apart as a ProfilesData message.") from error
    return _Reader(message, len(data)).profile()


class _Reader:
    def __init__(self, message: Any, size: int) -> None:
        self._message = message
        self._tables = message.dictionary
        self._builder = ProfileBuilder(max_samples=_WORD)
        self._frames_left = FRAMES_A_BYTE * size
        self._total = 0
        self._locations: dict[int, list[int]] = {}
        self._stacks: dict[int, int] = {}
        self._threads: dict[tuple[int, ...], int] = {}

    def _entry(self, table: str, index: int) -> Any:
        entries = getattr(self._tables, f"{table}_table")
        if index == 0 and not entries:
            return "" if table == "string" else None
        if not 0 <= index < len(entries):
            raise InputError(f"it names entry {index} of {table}_table, which has {len(entries)}.")
        return entries[index]

    def _attributes(self, indices: Any) -> dict[str, str | int]:
        """Texts and whole numbers."""
        out: dict[str, str | int] = {}
        for index in indices:
            entry = self._entry("attribute", index)
            if entry is None:
                continue
            which = entry.value.WhichOneof("value")
            value: Any = getattr(entry.value, which) if which else None
            if which == "string_value_strindex":
                value = self._entry("string", value)
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                out[self._entry("string", entry.key_strindex)] = value
        return out

    def profile(self) -> Profile:
        found = [
            (of_resource, profile)
            for of_resource in self._message.resource_profiles
            for scope in of_resource.scope_profiles
            for profile in scope.profiles
        ]
        if not found:
            raise InputError("there is no profile in it.")
        kinds = [self._kind(profile) for _, profile in found]
        chosen = kinds[0]
        notes = [] if chosen[1] in ("count", "nanoseconds") else [f"The values are {'/'.join(chosen)} of OTLP."]
        if others := sorted({"/".join(kind) for kind in kinds if kind != chosen}):
            notes.append(f"Profiles of other types are left out: {', '.join(others)}.")
        used = [item for item, kind in zip(found, kinds, strict=True) if kind == chosen]
        for _, profile in used:
            for sample in profile.samples:
                self._sample(sample)
        return self._builder.snapshot(self._meta(*used[0], chosen[1], notes))

    def _kind(self, profile: Any) -> tuple[str, str]:
        kind = profile.sample_type
        return self._entry("string", kind.type_strindex), self._entry("string", kind.unit_strindex)

    def _sample(self, sample: Any) -> None:
        times, values = sample.timestamps_unix_nano, sample.values
        if times and values and len(times) != len(values):
            raise InputError(f"a sample has {len(values)} values and {len(times)} timestamps.")
        node = self._stack(sample.stack_index)
        key = (sample.link_index, *sample.attribute_indices)
        thread = self._threads.get(key)
        if thread is None:
            thread = self._threads[key] = self._thread(self._attributes(key[1:]), key[0])
        for row in range(max(len(times), len(values))):
            time, value = times[row] if times else 0, values[row] if values else 1
            if value < 0:
                raise InputError(f"a sample has the value {value}, and none can be negative.")
            self._total += value
            if self._total >= _WORD:
                raise InputError(f"the sum of all values is too large at a sample with the value {value}.")
            if time >= _WORD:
                raise InputError(f"a sample has the time {time}, which is after the year 2262.")
            self._builder.add_sample(time, thread, node, value)

    def _thread(self, said: dict[str, str | int], link: int) -> int:
        numbers = [said.get(key, 0) for key in ("process.pid", "thread.id")]
        process, thread = (number if isinstance(number, int) and number >= 0 else 0 for number in numbers)
        labels = {key: str(value) for key, value in said.items() if key not in OF_THREAD}
        linked = self._entry("link", link)
        if linked is not None and linked.trace_id:
            labels |= {TRACE_ID: linked.trace_id.hex(), SPAN_ID: linked.span_id.hex()}
        return self._builder.add_thread(
            process, thread, str(said.get("thread.name", "")), tuple(sorted(labels.items()))
        )

    def _stack(self, index: int) -> int:
        node = self._stacks.get(index)
        if node is None:
            stack = self._entry("stack", index)
            node = -1
            for place in reversed(stack.location_indices if stack is not None else ()):
                frames = self._location(place)
                self._frames_left -= len(frames)
                if self._frames_left < 0:
                    raise InputError("its stacks are longer than a file of this size can hold.")
                node = self._builder.add_path(frames, node)[-1]
            self._stacks[index] = node = node if node >= 0 else self._builder.add_stack((_UNKNOWN,))
        return node

    def _location(self, index: int) -> list[int]:
        """Its frames, the outermost first."""
        known = self._locations.get(index)
        if known is None:
            location = self._entry("location", index)
            frames = [_UNKNOWN] if location is None else self._frames(location)
            known = self._locations[index] = [self._builder.add_frame(frame) for frame in frames]
        return known

    def _frames(self, location: Any) -> list[StackFrame]:
        mapping = self._entry("mapping", location.mapping_index)
        path = self._entry("string", mapping.filename_strindex) if mapping is not None else ""
        if (
            mapping is not None
            and path
            and mapping.memory_start < mapping.memory_limit
            and mapping.file_offset < _WORD
        ):
            self._builder.add_mapped_file(
                MappedFile(
                    process_id=0,
                    start=mapping.memory_start,
                    end=mapping.memory_limit,
                    offset=mapping.file_offset,
                    path=path,
                    build_id=str(self._attributes(mapping.attribute_indices).get(BUILD_ID, "")),
                )
            )
        module = re.split(r"[/\\]", path)[-1]
        kind_name = str(self._attributes(location.attribute_indices).get(FRAME_TYPE, ""))
        kind = TYPES.get("native" if kind_name in _COMPILED else kind_name, FrameKind.UNKNOWN)
        if not kind_name and is_kernel_module(module):
            kind = FrameKind.KERNEL
        elif not kind_name and module:
            kind = FrameKind.NATIVE
        if not location.lines:
            name = f"0x{location.address:x}" if location.address else "<unknown>"
            return [StackFrame(name, module, location.address, kind=kind)]
        out: list[StackFrame] = []
        for line in reversed(location.lines):
            function = self._entry("function", line.function_index)
            name, system_name, file = "", "", ""
            first_line = 0
            if function is not None:
                indices = (function.name_strindex, function.system_name_strindex, function.filename_strindex)
                name, system_name, file = (self._entry("string", index) for index in indices)
                first_line = _line(function.start_line)
            of = module
            if kind is FrameKind.PYTHON:
                of = system_name[: -len(name) - 1] if name and system_name.endswith(f".{name}") else ""
            what = FrameKind.INLINED if out and kind is not FrameKind.PYTHON else kind
            address = 0 if kind is FrameKind.PYTHON else location.address
            out.append(
                StackFrame(name or system_name or "<unknown>", of, address, file, _line(line.line), first_line, what)
            )
        return out

    def _meta(self, of_resource: Any, profile: Any, unit: str, notes: list[str]) -> Meta:
        said = self._attributes(profile.attribute_indices)
        about = {entry.key: entry.value.string_value for entry in of_resource.resource.attributes}
        ours = {key[len(OURS) :]: value for key, value in said.items() if key.startswith(OURS)}
        period = profile.period if self._entry("string", profile.period_type.unit_strindex) == "nanoseconds" else 0
        return Meta(
            engine=str(ours.get("engine", "otlp")),
            unit="nanoseconds" if unit == "nanoseconds" else "samples",
            frequency_hz=round(1e9 / period) if period > 0 else 0,
            start_ns=profile.time_unix_nano if profile.time_unix_nano < _WORD else 0,
            duration_ns=profile.duration_nano if profile.duration_nano < _WORD else 0,
            target=about.get("process.command_line", ""),
            system=about.get("os.description", ""),
            versions={key[8:]: str(text) for key, text in ours.items() if key.startswith("version.")},
            losses={
                key[5:]: count
                for key, count in ours.items()
                if key.startswith("lost.") and isinstance(count, int) and 0 <= count < _WORD
            },
            notes=[str(text) for key, text in ours.items() if key.startswith("note.")] + notes,
        )


def _line(number: int) -> int:
    return number if 0 <= number < 1 << 31 else 0
