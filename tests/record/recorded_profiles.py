"""Profiles of every kind as a Hypothesis strategy, and what two must share to be the same."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile

NAMES = st.text(max_size=12) | st.sampled_from(["main", "", "a;b", "\ud800", "x\ny", "# {", "</script>"])
FRAMES = st.builds(
    StackFrame,
    NAMES,
    NAMES,
    st.integers(0, (1 << 64) - 1),
    NAMES,
    st.integers(0, 1 << 20),
    st.integers(0, 1 << 20),
    st.sampled_from(FrameKind),
)
COUNTS = st.dictionaries(st.text(max_size=8), st.integers(0, 1 << 40), max_size=3)
METAS = st.builds(
    Meta,
    engine=st.sampled_from(["dtrace", "sampler", "folded", ""]),
    unit=st.sampled_from(["samples", "nanoseconds"]),
    frequency_hz=st.integers(0, 4999),
    start_ns=st.integers(0, (1 << 63) - 1),
    duration_ns=st.integers(0, (1 << 63) - 1),
    target=NAMES,
    system=NAMES,
    versions=st.dictionaries(NAMES, NAMES, max_size=3),
    losses=COUNTS,
    notes=st.lists(NAMES, max_size=3).map(list),
)
WORDS = st.integers(0, (1 << 63) - 1)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    builder = ProfileBuilder()
    for process, thread, name in draw(st.lists(st.tuples(WORDS, WORDS, NAMES), max_size=4)):
        builder.add_thread(process, thread, name)
    stacks = draw(st.lists(st.lists(FRAMES, min_size=1, max_size=6), min_size=1, max_size=6))
    nodes = [builder.add_stack(stack) for stack in stacks]
    left = (1 << 63) - 1  # all values together are a word, too
    for _ in range(draw(st.integers(0, 12)) if builder.threads else 0):
        thread = draw(st.integers(0, len(builder.threads) - 1))
        value = draw(st.integers(0, left))
        left -= value
        builder.add_sample(draw(WORDS), thread, draw(st.sampled_from(nodes)), value)
    return builder.snapshot(draw(METAS))


def essence(profile: Profile) -> tuple[Any, ...]:
    """All that a reader of a profile can see, without the numbers of its nodes."""
    rows = [
        (time, thread, profile.stack(node), value)
        for time, thread, node, value in zip(
            profile.timestamp_ns, profile.thread, profile.node, profile.value, strict=True
        )
    ]
    return rows, list(profile.threads), profile.meta
