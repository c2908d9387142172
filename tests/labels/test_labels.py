"""Labels: of threads, tasks and worker threads; which samples get them; which files keep them."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import dtrace_profiler
from dtrace_profiler import DTraceProfiler, Profile, current_labels, label, with_labels
from dtrace_profiler.collector import MOST_LABEL_SETS, Collector
from dtrace_profiler.formats import dropped, read_profile, write_profile
from dtrace_profiler.formats.page_data import page_data
from dtrace_profiler.labels.history import HISTORY, KEPT_CHANGES, LabelHistory, LabelReader
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import Labels, StackFrame
from dtrace_profiler.model.profile import Meta, Thread
from dtrace_profiler.model.shown_threads import MOST_LABELLED, OTHER, ShownThreads


@pytest.fixture
def reader() -> Iterator[LabelReader]:
    reader = HISTORY.reader()
    yield reader
    reader.close()


def now(reader: LabelReader) -> dict[str, str]:
    """What a sample of this thread would get."""
    labels = reader.at(threading.get_native_id(), time.time_ns())
    assert labels is not None
    return dict(labels)


def test_of_a_block_within_another(reader: LabelReader) -> None:
    with label(route="/", customer=42):
        assert now(reader) == current_labels() == {"route": "/", "customer": "42"}
        with label({"http.method": "GET"}, route="/a"):
            assert now(reader) == {"route": "/a", "customer": "42", "http.method": "GET"}
        assert now(reader) == {"route": "/", "customer": "42"}
    assert now(reader) == current_labels() == {}


def test_of_a_function_and_a_coroutine_function(reader: LabelReader) -> None:
    @label(work="function")
    def function() -> dict[str, str]:
        return now(reader)

    @label(work="coroutine")
    async def coroutine() -> dict[str, str]:
        await asyncio.sleep(0)
        return now(reader)

    assert function() == {"work": "function"}
    assert asyncio.run(coroutine()) == {"work": "coroutine"}
    assert now(reader) == {}


def test_tasks_have_their_own(reader: LabelReader) -> None:
    seen: list[tuple[str, dict[str, str]]] = []

    async def task(name: str) -> None:
        with label(task=name):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append((name, now(reader)))
        await asyncio.sleep(0)
        seen.append(("", now(reader)))

    async def both() -> None:
        await asyncio.gather(task("a"), task("b"))

    asyncio.run(both())
    assert len(seen) == 8
    assert all(labels == ({"task": name} if name else {}) for name, labels in seen)


def test_worker_threads_have_those_of_who_sent_them(reader: LabelReader) -> None:
    async def main() -> list[dict[str, str]]:
        loop = asyncio.get_running_loop()
        with label(route="/x"):
            sent = await asyncio.to_thread(now, reader)
            carried = await loop.run_in_executor(None, with_labels(now), reader)
        return [sent, carried, await asyncio.to_thread(now, reader)]

    assert asyncio.run(main()) == [{"route": "/x"}, {"route": "/x"}, {}]


def test_what_was_entered_before_somebody_profiles_counts() -> None:
    with label(early="yes"):
        reader = HISTORY.reader()
        assert now(reader) == {"early": "yes"}
        reader.close()


def test_a_history_forgets_its_older_half_and_says_so() -> None:
    history = LabelHistory()
    reader = history.reader()
    thread = threading.get_native_id()
    for number in range(KEPT_CHANGES):
        history.change((("n", str(number)),))
    assert reader.at(thread, 1) is None
    assert reader.at(thread, time.time_ns()) == (("n", str(KEPT_CHANGES - 1)),)


def test_on_a_loop_whose_switches_cant_be_seen_there_are_none(reader: LabelReader) -> None:
    foreign = type("Foreign", (), {"__module__": "otherloop.loop"})
    asyncio._set_running_loop(foreign())
    try:
        with label(route="/"):
            assert now(reader) == {}
    finally:
        asyncio._set_running_loop(None)
    assert [note for note in HISTORY.notes if "otherloop" in note]
    HISTORY.notes.clear()


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(500))


def check_shares(profile: Profile) -> None:
    values: dict[Labels, int] = {}
    for sample in profile.samples():
        if any(frame.function_name == "burn" for frame in sample.stack_frames):
            values[sample.labels] = values.get(sample.labels, 0) + sample.cpu_time_ns
    total = sum(values.values())
    assert values[(("work", "long"),)] / total == pytest.approx(0.75, abs=0.1)
    assert values[(("work", "short"),)] / total == pytest.approx(0.25, abs=0.1)


def profiled(engine: str, record: Path) -> Profile:
    profiler = DTraceProfiler(engine=engine, record=record)  # type: ignore[arg-type]
    profiler.start(499)
    profiler.wait_ready(60)
    for _ in range(10):
        with label(work="long"):
            burn(0.09)
        with label(work="short"):
            burn(0.03)
    profiler.stop()
    return profiler.snapshot()


@pytest.mark.alone
def test_samples_of_the_sampler_have_them(tmp_path: Path) -> None:
    check_shares(profiled("sampler", tmp_path / "a.dtrace"))
    check_shares(read_profile(tmp_path / "a.dtrace"))


@pytest.mark.dtrace
def test_samples_of_dtrace_have_them(tmp_path: Path) -> None:
    check_shares(profiled("dtrace", tmp_path / "a.dtrace"))
    check_shares(read_profile(tmp_path / "a.dtrace"))


def labelled_profile() -> Profile:
    builder = ProfileBuilder()
    leaf = builder.add_stack([StackFrame("main"), StackFrame("work")])
    ids = (("span_id", "00f067aa0ba902b7"), ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"))
    for row, labels in enumerate([(), (("route", "/a"),), (("route", "/b"),), (("route", "/b"), *ids)]):
        builder.add_sample(1_700_000_000_000_000_000 + row, builder.add_thread(7, 8, "worker", labels), leaf, row + 1)
    return builder.snapshot(Meta(engine="dtrace", frequency_hz=99, start_ns=1_700_000_000_000_000_000))


@pytest.mark.parametrize("format", ["dtrace", "pprof", "otlp", "parquet"])
def test_files_keep_them(format: str) -> None:
    profile = labelled_profile()
    file = io.BytesIO()
    write_profile(profile, file, format)
    file.seek(0)
    again = read_profile(file, format)
    values = {again.threads[thread].labels: value for thread, value in zip(again.thread, again.value, strict=True)}
    assert values == {thread.labels: row + 1 for row, thread in enumerate(profile.threads)}
    assert {(thread.process_id, thread.thread_id, thread.name) for thread in again.threads} == {(7, 8, "worker")}
    assert "labels" not in dropped(profile, format)


@pytest.mark.parametrize("format", ["folded", "speedscope", "firefox", "trace", "svg"])
def test_files_without_a_place_for_them_have_each_thread_once(format: str) -> None:
    profile = labelled_profile()
    with_them, without = io.BytesIO(), io.BytesIO()
    write_profile(profile, with_them, format)
    write_profile(profile.without_labels(), without, format)
    assert with_them.getvalue() == without.getvalue()
    assert profile.without_labels().threads == (Thread(process_id=7, thread_id=8, name="worker"),)
    assert "labels" in dropped(profile, format)


def test_a_page_has_them_but_for_ids_of_traces() -> None:
    threads = page_data(labelled_profile())["threads"]
    assert [(thread["labels"], thread["samples"]) for thread in threads] == [
        ({}, 1),
        ({"route": "/a"}, 1),
        ({"route": "/b"}, 2),
    ]


def test_a_page_has_no_more_than_can_be_looked_through() -> None:
    shown = ShownThreads()
    threads = [Thread(process_id=1, thread_id=1, labels=(("n", str(n)),)) for n in range(2 * MOST_LABELLED)]
    shown.extend(threads)
    assert len(shown.threads) == MOST_LABELLED + 1
    assert shown.threads[-1].labels == OTHER
    assert len(shown.of) == len(threads)


def test_too_many_different_ones_are_left_out_and_counted() -> None:
    import os

    collector = Collector(labels=lambda thread, time: (("n", str(time)),))
    node = collector.node([StackFrame("main")])
    for row in range(MOST_LABEL_SETS + 10):
        collector.add(row, os.getpid(), 1, node, 1, 1)
    assert collector.labels_dropped == 10
    assert collector.snapshot(Meta()).total == MOST_LABEL_SETS + 10


def test_ids_of_the_current_span_are_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    context = types.SimpleNamespace(is_valid=True, trace_id=0x4BF9, span_id=0xF067)
    span = types.SimpleNamespace(get_span_context=lambda: context)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", types.SimpleNamespace(get_current_span=lambda: span))
    with dtrace_profiler.label(route="/"):
        assert current_labels() == {"route": "/", "span_id": f"{0xF067:016x}", "trace_id": f"{0x4BF9:032x}"}
