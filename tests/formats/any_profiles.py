"""Profiles of every kind of frame, for the tests of formats: one by hand, and any as a Hypothesis strategy."""

from __future__ import annotations

import io
from types import ModuleType
from typing import Any

from hypothesis import strategies as st

from dtrace_profiler.errors import InputError
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import MappedFile, Meta, Profile

SMALL_STACKS = (
    (
        StackFrame("_start", "a.out", 0x1040, kind=FrameKind.NATIVE),
        StackFrame("run", "app.main", 0, "/srv/app/main.py", 14, 12, FrameKind.PYTHON),
        StackFrame("work", "a.out", 0x1180, "/src/work.c", 30, 20, FrameKind.NATIVE),
        StackFrame("add", "a.out", 0x1180, "/src/add.h", 5, 4, FrameKind.INLINED),
        StackFrame("carry", "a.out", 0x1180, "/src/add.h", 9, 8, FrameKind.INLINED),
    ),
    (
        StackFrame("_start", "a.out", 0x1040, kind=FrameKind.NATIVE),
        StackFrame("do_syscall_64", "vmlinux", 0xFFFF_FFFF_8100_0000, kind=FrameKind.KERNEL),
        StackFrame("zfs_read", "zfs", 0xFFFF_FFFF_A000_0010, kind=FrameKind.KERNEL),
    ),
    (StackFrame("0x7f00", address=0x7F00, kind=FrameKind.UNKNOWN),),
)
MAPPED = MappedFile(process_id=100, start=0x1000, end=0x2000, offset=0x1000, path="/srv/a.out", build_id="c0ffee01")
START_NS = 1_700_000_000_000_000_000


def small_profile() -> Profile:
    """Six samples of two threads in one second, at 97 Hz, with a loss."""
    builder = ProfileBuilder()
    for thread, name in ((101, "main"), (102, "worker")):
        builder.add_thread(100, thread, name)
    for row, which in enumerate((0, 0, 1, 2, 0, 1)):
        builder.add_sample(START_NS + row * 100_000_000, row % 2, builder.add_stack(SMALL_STACKS[which]))
    builder.add_loss(START_NS, 3)
    builder.add_mapped_file(MAPPED)
    meta = Meta(
        engine="dtrace",
        frequency_hz=97,
        start_ns=START_NS,
        duration_ns=1_000_000_000,
        target="./a.out 7",
        system="Linux 6.1 x86_64",
        versions={"python": "3.13.1"},
        losses={"drops": 3},
        notes=["A note."],
    )
    return builder.snapshot(meta)


_TEXT = st.text(max_size=8)
FRAMES = st.builds(
    StackFrame,
    _TEXT,
    st.sampled_from(["", "a.out", "zfs", "vmlinux", "libc.so.6", "app.main"]),
    st.sampled_from([0, 1, 0x7FFF_0000_0000, (1 << 64) - 1]),
    st.sampled_from(["", "/srv/app.py", "<string>", "x.c"]),
    st.integers(0, 9),
    st.integers(0, 9),
    st.sampled_from(list(FrameKind)),
)


@st.composite
def profiles(draw: st.DrawFn, most: int = 1 << 40) -> Profile:
    builder = ProfileBuilder()
    threads = draw(st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 9), _TEXT), min_size=1, max_size=3))
    for process, thread, name in threads:
        builder.add_thread(process, thread, name)
    row: Any = st.tuples(
        st.integers(0, 1 << 61), st.integers(0, 2), st.lists(FRAMES, min_size=1, max_size=6), st.integers(0, most)
    )
    for time, thread, stack, value in draw(st.lists(row, max_size=12)):
        builder.add_sample(time, thread % len(builder.threads), builder.add_stack(stack), value)
    meta = Meta(
        engine="dtrace",
        unit=draw(st.sampled_from(["samples", "nanoseconds"])),
        frequency_hz=draw(st.sampled_from([0, 1, 97, 999, 20_000])),
        start_ns=draw(st.integers(0, 1 << 62)),
        duration_ns=draw(st.integers(0, 1 << 62)),
        target=draw(_TEXT),
        losses=draw(st.dictionaries(st.sampled_from(["drops", "truncated"]), st.integers(0, 1 << 40))),
    )
    return builder.snapshot(meta)


def written(module: ModuleType, profile: Profile) -> bytes:
    file = io.BytesIO()
    module.write(profile, file)
    return file.getvalue()


def by_thread(profile: Profile) -> dict[tuple[int, int], int]:
    """(process, thread) → value; those without any are left out."""
    out: dict[tuple[int, int], int] = {}
    for thread, value in zip(profile.thread, profile.value, strict=True):
        who = profile.threads[thread]
        key = (who.process_id, who.thread_id)
        out[key] = out.get(key, 0) + value
    return {key: value for key, value in out.items() if value}


def by_stack(profile: Profile) -> dict[tuple[StackFrame, ...], int]:
    out: dict[tuple[StackFrame, ...], int] = {}
    for node, value in profile.stack_values().items():
        stack = profile.stack(node)
        out[stack] = out.get(stack, 0) + value
    return {stack: value for stack, value in out.items() if value}


def by_names(profile: Profile) -> dict[tuple[str, ...], int]:
    """As `by_stack`, by the functions' names alone."""
    out: dict[tuple[str, ...], int] = {}
    for stack, value in by_stack(profile).items():
        key = tuple(frame.function_name or "<unknown>" for frame in stack)
        out[key] = out.get(key, 0) + value
    return out


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file with some of its bytes changed, cut out or doubled."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        what = draw(st.sampled_from(["change", "cut", "double", "end"]))
        if what == "change" and data:
            data[at] = draw(st.integers(0, 255))
        elif what == "cut":
            del data[at : at + draw(st.integers(1, 20))]
        elif what == "double":
            data[at:at] = data[at : at + draw(st.integers(1, 20))]
        elif what == "end":
            del data[at:]
    return bytes(data)


def complaint(module: ModuleType, data: bytes) -> str:
    """What is said of these bytes: a sentence, or `.` where they are read. Only `InputError` is caught."""
    try:
        profile = module.read(io.BytesIO(data))
    except InputError as error:
        return str(error)
    assert profile.total >= 0
    assert all(0 <= node < len(profile.parent) for node in profile.node)
    return "."
