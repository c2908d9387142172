"""Small profiles for tests: from lists of stacks, and as a Hypothesis strategy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import strategies as st

from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile, Unit


def native(name: str, *, address: int = 0, line: int = 0, first_line: int = 0) -> StackFrame:
    return StackFrame(
        name, module_name="a.out", address=address, line=line, first_line=first_line, kind=FrameKind.NATIVE
    )


def profile_of(
    rows: Iterable[tuple[int, Sequence[StackFrame], int]], *, unit: Unit = "samples", threads: int = 3
) -> Profile:
    """Rows of (thread index, stack root first, value)."""
    builder = ProfileBuilder()
    for thread in range(threads):
        builder.add_thread(1, thread + 1)
    for thread, stack, value in rows:
        builder.add_sample(0, thread, builder.add_stack(stack), value)
    return builder.snapshot(Meta(unit=unit))


FRAMES = st.builds(
    native,
    st.sampled_from(["f", "g", "h", "main"]),
    address=st.integers(0, 2),
    line=st.integers(0, 2),
    first_line=st.integers(0, 2),
)
STACKS = st.lists(FRAMES, min_size=1, max_size=7)
ROWS = st.lists(st.tuples(st.integers(0, 2), STACKS, st.integers(0, 5)), max_size=25)
