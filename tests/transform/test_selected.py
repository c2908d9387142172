"""A part of a profile has the samples that were chosen, their stacks, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.transform.selected import between, labelled, selected

SAMPLE = st.tuples(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=4), st.integers(0, 2), st.sampled_from(["", "x", "y"])
)


def profile_of(samples: list[tuple[list[str], int, str]]) -> Profile:
    builder = ProfileBuilder()
    for time, (names, thread_id, request) in enumerate(samples):
        labels = (("request", request), ("route", "/")) if request else ()
        thread = builder.add_thread(1, thread_id, labels=labels)
        builder.add_sample(time, thread, builder.add_stack([StackFrame(name) for name in names]), time + 1)
    return builder.snapshot(Meta())


def told(profile: Profile) -> list[tuple[int, str, int, dict[str, str]]]:
    return [
        (time, "".join(f.function_name for f in profile.stack(node)), value, dict(profile.threads[thread].labels))
        for time, thread, node, value in zip(
            profile.timestamp_ns, profile.thread, profile.node, profile.value, strict=True
        )
    ]


@given(samples=st.lists(SAMPLE, max_size=30))
def test_samples_with_a_label_are_all_of_these(samples: list[tuple[list[str], int, str]]) -> None:
    whole = profile_of(samples)
    for request in ("x", "y"):
        part = labelled(whole, "request", request)
        assert told(part) == [row for row in told(whole) if row[3].get("request") == request]
        assert len(part.frames) == len(set(part.frame))
        assert all(parent < node for node, parent in enumerate(part.parent))
        assert set(part.thread) == set(range(len(part.threads)))


@given(samples=st.lists(SAMPLE, max_size=30), begin=st.integers(0, 30), end=st.integers(0, 30))
def test_samples_of_a_time_are_all_of_it(samples: list[tuple[list[str], int, str]], begin: int, end: int) -> None:
    whole = profile_of(samples)
    assert told(between(whole, begin, end)) == [row for row in told(whole) if begin <= row[0] < end]


@given(samples=st.lists(SAMPLE, max_size=30))
def test_all_samples_are_the_whole(samples: list[tuple[list[str], int, str]]) -> None:
    whole = profile_of(samples)
    assert told(selected(whole, range(len(whole)))) == told(whole)
