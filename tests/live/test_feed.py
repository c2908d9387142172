"""Deltas: whoever comes, whenever, and however far behind, ends with the profile as it is; nothing counts twice."""

from __future__ import annotations

import collections
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from live_sources import START_NS, PageModel, Source, row_sums, unpacked

from dtrace_profiler.collector import Collector
from dtrace_profiler.formats.page_data import page_data
from dtrace_profiler.live import feed as feed_module
from dtrace_profiler.live.feed import Feed

STACKS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4)
MOMENTS_MS = st.integers(0, 3000)
SAMPLES = st.tuples(STACKS, st.integers(1, 3), st.integers(1, 5), MOMENTS_MS)
Samples = list[tuple[list[str], int, int, int]]
STEPS = st.lists(st.one_of(SAMPLES, st.just("tick"), st.just("look"), st.just("come")), max_size=40)


def truth(source: Source) -> dict[tuple[int, tuple[str, ...]], int]:
    out: collections.Counter[tuple[int, tuple[str, ...]]] = collections.Counter()
    for sample in source.profile().samples():
        out[sample.thread_id, tuple(frame.function_name for frame in sample.stack_frames)] += 1
    return dict(out)


@given(STEPS)
def test_every_page_holds_what_the_profiler_has(steps: list[object]) -> None:
    source, pages = Source(), [PageModel()]
    feed = Feed(source)
    for step in [*steps, "tick", "come", "look"]:
        if step == "tick":
            feed.tick()
        elif step == "come":
            pages.append(PageModel())
        elif step == "look":
            for page in pages:
                page.take(feed.after(page.seq))
        else:
            names, thread, count, at_ms = step  # type: ignore[misc]
            source.sample(*names, thread=thread, count=count, at_ms=1000 + at_ms)
    exported = page_data(source.profile())
    for page in pages:
        assert page.stacks() == truth(source)
        assert row_sums(page.rows) == row_sums(unpacked(exported["times"]))
        assert page.data["threads"] == exported["threads"]
        assert len(page.data["nodes"]["parent"]) == len(exported["nodes"]["parent"])


@given(st.lists(SAMPLES, max_size=20), st.integers(0, 5))
def test_what_is_too_much_for_a_page_counts_for_the_callers(samples: Samples, most: int) -> None:
    source, page = Source(), PageModel()
    feed = Feed(source, max_nodes=most)
    page.take(feed.after(None))
    for names, thread, count, at_ms in samples:
        source.sample(*names, thread=thread, count=count, at_ms=at_ms)
        feed.tick()
        page.take(feed.after(page.seq))
    assert len(page.data["nodes"]["parent"]) <= most
    assert sum(page.stacks().values()) + sum(page.stacks("elided").values()) == len(source.profile())
    for (thread, kept), value in page.stacks().items():
        assert truth(source)[thread, kept] == value, "what is there has its own value"


@settings(max_examples=20)
@given(st.integers(1, 8), st.integers(1, 30))
def test_who_is_too_far_behind_begins_anew(kept: int, behind: int) -> None:
    source, slow = Source(), PageModel()
    feed = Feed(source)
    before = feed_module.KEPT_DELTAS
    feed_module.KEPT_DELTAS = kept
    try:
        source.sample("main")
        feed.tick()
        slow.take(feed.after(None))
        for number in range(behind):
            source.sample("main", f"f{number}")
            assert feed.tick()
        messages = feed.after(slow.seq)
        assert messages[0].is_snapshot == (behind > kept)
        assert len(messages) <= max(1, kept)
        slow.take(messages)
        assert slow.stacks() == truth(source)
    finally:
        feed_module.KEPT_DELTAS = before


def test_deltas_are_bounded_in_bytes(monkeypatch) -> None:
    monkeypatch.setattr(feed_module, "KEPT_BYTES", 2000)
    source = Source()
    feed = Feed(source)
    for number in range(50):
        source.sample("x" * 300 + str(number))
        feed.tick()
    assert sum(len(message.data) for message in feed._deltas) <= 2000
    assert feed.after(1)[0].is_snapshot


def test_nothing_new_is_nothing() -> None:
    source = Source()
    feed = Feed(source)
    assert feed.tick(), "what it is of"
    assert not feed.tick()
    source.losses["drops"] = 3
    assert feed.tick()
    assert json.loads(feed.after(1)[0].data).keys() == {"seq", "meta"}


def test_a_delta_is_small() -> None:
    source = Source()
    feed = Feed(source)
    for number in range(1000):
        source.sample("main", f"function_{number}")
    feed.tick()
    source.sample("main", "function_7", count=5)
    feed.tick()
    (delta,) = feed.after(1)
    assert json.loads(delta.data)["values"] == {"thread": [0], "node": [8], "value": [5]}
    assert len(delta.data) < 300


def test_values_that_are_times_have_their_squares() -> None:
    source, page = Source(unit="nanoseconds"), PageModel()
    feed = Feed(source)
    page.take(feed.after(None))
    source.sample("main", value=3, count=2)
    feed.tick()
    page.take(feed.after(page.seq))
    assert page.data["values"]["square"] == [18]
    assert page.data["values"]["value"] == [6]


def test_samples_that_the_profile_has_dropped_are_still_shown() -> None:
    source, page = Source(), PageModel()
    source.collector = Collector()
    source.collector._builder._max_samples = 8
    feed = Feed(source)
    page.take(feed.after(None))
    for number in range(40):
        source.sample("main", f"f{number % 3}")
        feed.tick()
        page.take(feed.after(page.seq))
    assert source.collector.expired
    assert sum(page.stacks().values()) == 40


@given(st.lists(SAMPLES, min_size=1, max_size=30), st.integers(1, 12))
def test_a_page_has_the_newest_times_that_the_server_has(samples: Samples, most: int) -> None:
    source, first = Source(), PageModel()
    feed = Feed(source, max_rows=most)
    first.take(feed.after(None))
    for names, thread, count, at_ms in samples:
        source.sample(*names, thread=thread, count=count, at_ms=at_ms)
        feed.tick()
        first.take(feed.after(first.seq))
        last = PageModel()
        last.take(feed.after(None))
        assert first.rows == last.rows
        assert 0 < len(first.rows["slot"]) <= most
        assert first.rows["slot"][-1] == at_ms // 20
    assert sum(first.stacks().values()) == len(source.profile()), "the sums are of all"


def test_nanoseconds_keep_each_sample_apart() -> None:
    source, page = Source(unit="nanoseconds"), PageModel()
    feed = Feed(source)
    page.take(feed.after(None))
    source.sample("main", value=3_000_000_007, count=2)
    feed.tick()
    page.take(feed.after(page.seq))
    late = PageModel()
    late.take(feed.after(None))
    assert page.rows["value"] == late.rows["value"] == [3_000_000_007] * 2


def test_losses_have_their_second() -> None:
    source, page = Source(), PageModel()
    feed = Feed(source)
    page.take(feed.after(None))
    source.sample("main", at_ms=500)
    source.collector.lost(START_NS + 1_200_000_000, 3)
    source.collector.lost(START_NS + 1_900_000_000, 4)
    source.losses["drops"] = 7
    feed.tick()
    page.take(feed.after(page.seq))
    assert page.data["lost"] == {"second": [1], "count": [7]}
    source.losses["missed_ticks"] = 5  # an engine that does not say when
    feed.tick()
    feed.tick()
    page.take(feed.after(page.seq))
    assert sum(page.data["lost"]["count"]) == 12
