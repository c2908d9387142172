"""Profiles with everything in them, as a Hypothesis strategy; what of them a format must keep; and damaged files."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable
from types import ModuleType

from hypothesis import strategies as st

from dtrace_profiler.errors import InputError
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.model.tree import CallTree

START_NS = 1_790_000_000_000_000_000
NAMES = st.one_of(
    st.sampled_from(["main", "f", "g g", "a::b(int, char)", "<lambda>", "0x12", "x_[i]", "C.method", 'say "x"; y\n']),
    st.text(max_size=6),
)
FRAMES = st.one_of(
    st.builds(
        StackFrame,
        NAMES,
        st.sampled_from(["", "a.out", "zfs", "libc.so.6", "vmlinux"]),
        address=st.sampled_from([0, 4096, 1 << 63]),
        file=st.just(""),
        line=st.just(0),
        first_line=st.just(0),
        kind=st.sampled_from([FrameKind.NATIVE, FrameKind.KERNEL, FrameKind.INLINED, FrameKind.UNKNOWN]),
    ),
    st.builds(
        StackFrame,
        NAMES,
        st.sampled_from(["", "mod.sub"]),
        file=st.sampled_from(["", "/a b/c.py", "<string>", "script", "x.pyw", "c:\\a\\b.py"]),
        line=st.integers(0, 9),
        first_line=st.integers(0, 9),
        kind=st.just(FrameKind.PYTHON),
    ),
)
STACKS = st.lists(FRAMES, min_size=1, max_size=6)
ROWS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 2), STACKS, st.integers(0, 9)), max_size=12)
META = st.builds(
    Meta,
    engine=st.just("dtrace"),
    unit=st.sampled_from(["samples", "nanoseconds"]),
    frequency_hz=st.sampled_from([0, 99]),
    target=st.sampled_from(["", "python app.py"]),
)


def build(rows: Iterable[tuple[int, int, list[StackFrame], int]], meta: Meta, *, timed: bool) -> Profile:
    """Rows of (milliseconds, thread, stack root first, value)."""
    builder = ProfileBuilder()
    for thread, name in enumerate(["MainThread", "", "worker (pid 3, tid 4); x"]):
        builder.add_thread(7, 70 + thread, name)
    for time, thread, stack, value in rows:
        builder.add_sample(START_NS + time * 1_000_000 if timed else 0, thread, builder.add_stack(stack), value)
    return builder.snapshot(meta)


PROFILES = st.builds(build, ROWS, META, timed=st.booleans())

MAIN = StackFrame("main", "a.out", 64, kind=FrameKind.NATIVE)
SMALL = build(
    [
        (0, 0, [MAIN, StackFrame("f", "libc.so.6", 65, kind=FrameKind.NATIVE)], 2),
        (
            10,
            2,
            [
                StackFrame("Job.run", "jobs", 0, "/srv/jobs.py", 12, 10, FrameKind.PYTHON),
                StackFrame("inner", "a.out", 70, "a.c", 5, 3, FrameKind.INLINED),
                StackFrame("do_syscall_64", "vmlinux", 80, kind=FrameKind.KERNEL),
                StackFrame("zil_commit", "zfs", 81, kind=FrameKind.KERNEL),
            ],
            1,
        ),
        (20, 0, [MAIN], 3),
    ],
    Meta(engine="dtrace", target="python app.py", frequency_hz=99),
    timed=True,
)


def written(module: ModuleType, profile: Profile) -> bytes:
    file = io.BytesIO()
    module.write(profile, file)
    return file.getvalue()


def stacks_by_thread(
    profile: Profile, frame: Callable[[StackFrame], object] = lambda frame: frame
) -> Counter[tuple[object, ...]]:
    """Thread and stack → value; each frame as the function has it."""
    out: Counter[tuple[object, ...]] = Counter()
    for thread, node, value in zip(profile.thread, profile.node, profile.value, strict=True):
        who = profile.threads[thread]
        stack = tuple(map(frame, profile.stack(node)))
        out[who.process_id, who.thread_id, who.name, stack] += value
    return +out


def read_or_refused(module: ModuleType, data: bytes) -> Profile | None:
    """Reads any bytes: a profile that can be shown, or one sentence."""
    try:
        profile: Profile = module.read(io.BytesIO(data))
    except InputError as error:
        text = str(error)
        assert text.endswith(".")
        assert "\n" not in text
        assert len(text) < 400
        return None
    assert len(profile.node) == len(profile.value) == len(profile.thread) == len(profile.timestamp_ns)
    assert profile.total == CallTree.from_profile(profile).total[0]
    return profile


HURTFUL = [b"-1", b"1e999", b"NaN", b"9" * 20, b"null", b"[]", b"{}", b'"', b"]", b"0", b"true", b"\n", b";"]


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """A valid file with parts cut out, doubled, or replaced by what may hurt."""
    data = valid
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 12)))
        new = draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from(HURTFUL),
                st.just(data[at:end] * 2),
            )
        )
        data = data[:at] + new + data[end:]
    return data
