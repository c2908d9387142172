"""Every format that is read, through the public reader; what was read can be written in every format."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Sequence
from functools import partial

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import FORMATS, read_profile, write_profile
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from fuzz.model_promises import broken_promises
from fuzz.target import Target, assert_one_sentence, files

MEMORY_A_BYTE = {"pprof": 4096, "otlp": 4096, "parquet": 4096}
"""Formats that say a stack in few bytes; see docs/formats.md."""
USUAL_MEMORY_A_BYTE = 256

_DATA = {
    "dtrace-text": ("dtrace/*.txt",),
    "folded": ("profilers/*.folded", "profilers/*.collapsed", "dtrace/*.folded"),
    "pprof": ("pprof/*.pb",),
    "otlp": ("otlp/*",),
    "speedscope": ("profilers/*.speedscope.json",),
    "trace": ("profilers/*.trace.json",),
    "tachyon-jsonl": ("profilers/*.jsonl",),
    "austin": ("profilers/*.austin",),
    "perf": ("profilers/*.perf",),
}
_FREEBSD = (
    b'{"dtrace":{"probes":[{"timestamp":"2024-01-10T12:00:00Z","cpu":0,"id":1,"provider":"profile","module":"",'
    b'"function":"","name":"tick-1s","output":[{"type":"stack","stack-frames":[{"symbol":"zfs.ko`zil_commit+0x4b",'
    b'"module":"zfs.ko","name":"zil_commit","offset":"0x4b"}]},{"aggregation-name":"a","aggregation-data":['
    b'{"keys":[{"value":"sh"},{"ustack-frames":[{"symbol":"libc.so.7`f+0x1"},{"module":"sh","offset":"0x1"}]}],'
    b'"count":3},{"keys":[{"stack-frames":[{"symbol":"kernel`g+0x1"}]}],"sum":7},'
    b'{"keys":[{"stack-frames":[{"symbol":"kernel`g+0x1"}]}],"max":7}]}]},'
    b'{"provider":"dtrace","name":"DROP","count":2,"msg":"2 dynamic variable drops"}]}}'
)


def sample_profile() -> Profile:
    """Every kind of frame, two threads, times, losses."""
    builder = ProfileBuilder()
    builder.add_thread(100, 101, "main")
    builder.add_thread(100, 102, "worker")
    stacks = (
        (
            StackFrame("_start", "a.out", 0x1040, kind=FrameKind.NATIVE),
            StackFrame("run", "app", 0, "/srv/app.py", 14, 12, FrameKind.PYTHON),
            StackFrame("add", "a.out", 0x1180, "/src/add.h", 5, 4, FrameKind.INLINED),
        ),
        (StackFrame("_start", "a.out", 0x1040), StackFrame("read", "vmlinux", 1 << 63, kind=FrameKind.KERNEL)),
        (StackFrame("0x7f00", address=0x7F00, kind=FrameKind.UNKNOWN),),
    )
    for row in range(6):
        builder.add_sample(1_700_000_000_000_000_000 + row * 10**7, row % 2, builder.add_stack(stacks[row % 3]))
    meta = Meta(engine="dtrace", frequency_hz=97, start_ns=1_700_000_000_000_000_000, duration_ns=10**9,
                target="./a.out", losses={"drops": 3}, notes=["A note."])  # fmt: skip
    return builder.snapshot(meta)


def _seeds(name: str) -> list[bytes]:
    out = files(*_DATA.get(name, ()))
    if name == "dtrace-json":
        out.append(_FREEBSD)
    if any(item.name == name and item.writes for item in FORMATS):
        file = io.BytesIO()
        write_profile(sample_profile(), file, name)
        out.append(file.getvalue())
    return out


_WRITTEN = tuple(item.name for item in FORMATS if item.writes and item.name not in ("html", "parquet", "otlp"))


def _check(data: bytes, name: str | None) -> None:
    try:
        profile = read_profile(io.BytesIO(data), name)
    except InputError as error:
        assert_one_sentence(error)
        return
    assert broken_promises(profile) == []
    if len(profile.parent) < 20_000:
        write_profile(profile, io.BytesIO(), _WRITTEN[zlib.crc32(data) % len(_WRITTEN)])


def _any_file() -> list[bytes]:
    each = [seeds[-1] for name in _NAMES if (seeds := _seeds(name))]
    return [*each, *(gzip.compress(data, mtime=0) for data in each[:3])]


_NAMES = tuple(item.name for item in FORMATS if item.reads)


def _target(name: str, chosen: str | None, seeds: Callable[[], Sequence[bytes]]) -> Target:
    memory = MEMORY_A_BYTE.get(name, USUAL_MEMORY_A_BYTE) if chosen else 0
    return Target(f"format-{name}", partial(_check, name=chosen), seeds, memory)


TARGETS = (
    *(_target(name, name, partial(_seeds, name)) for name in _NAMES),
    _target("any", None, _any_file),
)
