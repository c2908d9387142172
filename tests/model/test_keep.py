"""A builder that keeps only the last seconds shows what one would that was given nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.collector import Collector
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta

START_NS = 1_795_420_800_000_000_000
KEEP_S = 5
STEPS = st.lists(
    st.tuples(st.integers(0, 2_000), st.integers(-300, 0), st.integers(0, 3), st.sampled_from("abc")), max_size=200
)


@given(STEPS)
def test_what_is_kept(steps: list[tuple[int, int, int, str]]) -> None:
    """Time goes on by so many milliseconds; a sample comes that is a little older, of a thread, of a function."""
    kept, all_of_it = Collector(keep_s=KEEP_S), ProfileBuilder()
    now = START_NS
    for passed_ms, late_ms, thread, name in steps:
        now += passed_ms * 1_000_000
        time = now + late_ms * 1_000_000
        stack = [StackFrame(name)]
        kept.add(time, 1, thread, kept.node(stack), 1, 0)
        all_of_it.add_sample(time, all_of_it.add_thread(1, thread), all_of_it.add_stack(stack))
    whole = Meta(start_ns=START_NS - 1_000_000_000, duration_ns=now - START_NS + 1_000_000_000)
    meta = kept.kept(whole)
    assert meta.start_ns + meta.duration_ns == now
    assert meta.duration_ns == min(KEEP_S * 1_000_000_000, whole.duration_ns)
    found = kept.snapshot(meta)
    expected = all_of_it.snapshot(meta)
    rows = [row for row in range(len(expected)) if expected.timestamp_ns[row] >= meta.start_ns]

    def sample(profile, row):
        return profile.timestamp_ns[row], profile.threads[profile.thread[row]], profile.stack(profile.node[row])

    assert [sample(found, row) for row in range(len(found))] == [sample(expected, row) for row in rows]
    assert kept.expired == 0, "that they go is what was asked for"


def test_memory_holds_little_more_than_what_is_kept() -> None:
    collector = Collector(keep_s=10, ring_samples=10)
    node = collector.node([StackFrame("f")])
    most = 0
    for row in range(100_000):
        collector.add(START_NS + row * 10_000_000, 1, 1, node, 1, 0)
        collector.lost(START_NS + row * 10_000_000, 1)
        most = max(most, len(collector._builder.node))
    assert most <= 1000 * (1 + 1 / 8) + 1
    assert len(collector._builder.lost) <= 13
