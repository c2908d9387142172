from __future__ import annotations

import functools
import http.server
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from held_profiles import PROFILES, SMALL, damaged, read_or_refused, stacks_by_thread, written
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import detect, read_profile, speedscope
from dtrace_profiler.formats.frame_labels import label, labelled, place_line
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.top import top_functions
from dtrace_profiler.model.tree import CallTree
from viewers import VIEWERS

DATA = Path(__file__).parents[1] / "data" / "profilers"
VIEWER = VIEWERS / "speedscope" / "dist" / "release"


def read(document: object) -> Profile:
    return speedscope.read(io.BytesIO(json.dumps(document).encode()))


def kept(frame: StackFrame) -> StackFrame:
    """What is left of a frame: name, file, line and, mostly, kind."""
    return labelled(label(frame), frame.file, place_line(frame))


@given(PROFILES)
def test_stacks_threads_and_totals_are_kept(profile: Profile) -> None:
    data = written(speedscope, profile)
    if not profile.total:
        with pytest.raises(InputError, match="no samples"):
            speedscope.read(io.BytesIO(data))
        return
    again = speedscope.read(io.BytesIO(data))
    assert stacks_by_thread(again) == stacks_by_thread(profile, kept)
    assert again.meta.unit == profile.meta.unit
    assert stacks_by_thread(speedscope.read(io.BytesIO(written(speedscope, again)))) == stacks_by_thread(again)


def test_what_is_written_stays_the_same(golden: Callable[[Path, bytes], None]) -> None:
    data = written(speedscope, SMALL)
    version = json.loads(data)["exporter"]
    golden(DATA / "small.speedscope.json", data.replace(version.encode(), b"dtrace-profiler@VERSION"))


def test_what_gets_lost_is_told() -> None:
    assert speedscope.dropped(SMALL) == [
        "times",
        "addresses",
        "lines within functions",
        "modules of Python functions",
        "when and how it was taken",
    ]
    assert speedscope.dropped(read({**EMPTY, "profiles": [SAMPLED]})) == []


EMPTY: dict[str, Any] = {"$schema": speedscope.SCHEMA, "shared": {"frames": [{"name": "f"}, {"name": "g"}]}}
SAMPLED = {
    "type": "sampled",
    "name": "t",
    "unit": "none",
    "startValue": 0,
    "endValue": 3,
    "samples": [[0], [], [0, 1]],
    "weights": [1, 4, 2],
}
EVENTS = [("O", 10, 0), ("O", 10.25, 1), ("C", 10.75, 1), ("C", 12, 0), ("O", 13, 1), ("C", 13.5, 1)]
EVENTED = {
    "type": "evented",
    "name": "t",
    "unit": "seconds",
    "startValue": 10,
    "endValue": 12,
    "events": [{"type": kind, "at": at, "frame": frame} for kind, at, frame in EVENTS],
}


def test_events_become_time_in_each_stack() -> None:
    profile = read({**EMPTY, "profiles": [EVENTED]})
    assert profile.meta.unit == "nanoseconds"
    tree = CallTree.from_profile(profile)
    assert {tree.stack(node)[-1].function_name: tree.total[node] for node in tree.children(0)} == {
        "f": 2_000_000_000,
        "g": 500_000_000,
    }
    assert profile.total == 2_500_000_000


SPANS = st.lists(st.tuples(st.lists(st.integers(0, 1), max_size=5), st.integers(0, 1000)), max_size=20)


@given(SPANS, st.integers(0, 1 << 40), st.sampled_from(["nanoseconds", "microseconds"]))
def test_events_say_the_same_as_samples(spans: list[tuple[list[int], int]], start: int, unit: str) -> None:
    events: list[dict[str, Any]] = []
    now, open_ = start, list[int]()
    for stack, length in [*spans, ([], 0)]:
        events += [{"type": "C", "at": now, "frame": frame} for frame in reversed(open_)]
        events += [{"type": "O", "at": now, "frame": frame} for frame in stack]
        now, open_ = now + length, stack
    evented = {**EVENTED, "unit": unit, "events": events}
    sampled = {**SAMPLED, "unit": unit, "samples": [stack for stack, _ in spans], "weights": [w for _, w in spans]}
    if not any(length for stack, length in spans if stack):
        return
    found = stacks_by_thread(read({**EMPTY, "profiles": [evented]}))
    assert found == stacks_by_thread(read({**EMPTY, "profiles": [sampled]}))


def test_parts_of_a_unit_add_up() -> None:
    third = {**SAMPLED, "samples": [[0]] * 300, "weights": [1 / 3] * 300}
    assert read({**EMPTY, "profiles": [third]}).total == 100


def test_profiles_of_another_unit_are_left_out_and_told() -> None:
    profile = read({**EMPTY, "profiles": [SAMPLED, {**EVENTED, "name": "later"}]})
    assert profile.total == 3
    assert profile.meta.notes == ("Left out, being of another unit: later.",)


@pytest.mark.parametrize(
    ("name", "seconds", "threads", "top"),
    [
        ("pyspy.speedscope.json", 2.44, ["", "worker", "packer; a"], "leaf.<locals>.<genexpr>"),
        ("pyinstrument.speedscope.json", None, None, "<genexpr>"),
    ],
)
def test_files_of_others_have_the_right_totals(
    name: str, seconds: float | None, threads: list[str] | None, top: str
) -> None:
    profile = read_profile(DATA / name)
    document = json.loads((DATA / name).read_text())
    expected = 0.0
    for facts in document["profiles"]:
        expected += sum(facts.get("weights", ())) or facts["events"][-1]["at"] - facts["events"][0]["at"]
    assert profile.total == pytest.approx(expected * 1e9, abs=1)
    if seconds is not None:
        assert profile.total == pytest.approx(seconds * 1e9)
    if threads is not None:
        assert [thread.name for thread in profile.threads] == threads
    assert not any(frame.function_name.startswith("thread (") for frame in profile.frames)
    assert top_functions(profile)[0].frame.function_name == top


def spoiled(**changes: object) -> dict[str, Any]:
    return {**EMPTY, "profiles": [{**SAMPLED, **changes}]}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "the file is not an object"),
        ({}, "profiles is missing"),
        ({**EMPTY, "$schema": "x", "profiles": []}, r"\$schema"),
        ({**EMPTY, "profiles": []}, "no samples"),
        ({**EMPTY, "profiles": [3]}, r"profiles\[0\] is not an object"),
        ({**EMPTY, "shared": {"frames": [{"name": 3}]}, "profiles": []}, r"shared\.frames\[0\]\.name is not a text"),
        (spoiled(unit="hours"), r"profiles\[0\]\.unit .*'hours'"),
        (spoiled(type="other"), r"profiles\[0\]\.type"),
        (spoiled(weights=[1]), "3 samples, but 1 weights"),
        (spoiled(weights=[1, 1, -1]), r"profiles\[0\]\.weights\[2\] is negative"),
        (spoiled(weights=[1, 1, "1"]), r"profiles\[0\]\.weights\[2\] is not a number"),
        (spoiled(weights=[1 << 62, 1, 1 << 62]), r"the sum of all values is too large at .*weights\[2\]"),
        (spoiled(weights=[1 << 64, 1, 1]), r"weights\[0\] is too large"),
        (spoiled(samples=[[0], [2], [0]]), r"samples\[1\]\[0\] is no number of a frame"),
        (spoiled(samples=[[0], [-1], [0]]), r"samples\[1\]\[0\] is no number of a frame"),
        (spoiled(samples=[[0], [True], [0]]), r"samples\[1\]\[0\] is no number of a frame"),
        ({**EMPTY, "profiles": [{**EVENTED, "events": EVENTED["events"][::-1]}]}, r"events\[0\] closes a frame"),  # type: ignore[index]
        ({**EMPTY, "profiles": [{**EVENTED, "events": [EVENTED["events"][2]]}]}, r"events\[0\] closes"),  # type: ignore[index]
        (
            {**EMPTY, "profiles": [{**EVENTED, "events": [EVENTED["events"][at] for at in (1, 0)]}]},  # type: ignore[index]
            r"events\[1\]\.at is before",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_field(document: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a":\n  1,,}', "line 2, column 5 is no JSON"),
        (b'{"a": NaN}', "it has NaN, which is no number in JSON"),
        (b'{"a": "\xff"}', "byte at offset 7"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "more digits than can be read"),
    ],
)
def test_what_is_no_json_is_said_with_its_place(text: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        speedscope.read(io.BytesIO(text))


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refused(speedscope, data)


@given(damaged(written(speedscope, SMALL)))
def test_damaged_files_are_read_or_refused(data: bytes) -> None:
    read_or_refused(speedscope, data)


@given(damaged(json.dumps({**EMPTY, "profiles": [SAMPLED | {"unit": "seconds"}, EVENTED]}).encode()))
def test_damaged_files_of_others_are_read_or_refused(data: bytes) -> None:
    read_or_refused(speedscope, data)


def test_a_stack_of_100_000_frames() -> None:
    profile = read({**EMPTY, "profiles": [{**SAMPLED, "samples": [[0, 1] * 50_000], "weights": [2]}]})
    assert CallTree.from_profile(profile).max_depth == 100_000
    assert speedscope.read(io.BytesIO(written(speedscope, profile))).parent == profile.parent


def test_100_000_functions_that_begin_one_in_the_other() -> None:
    events = [{"type": "O", "at": at, "frame": at % 2} for at in range(100_000)]
    assert CallTree.from_profile(read({**EMPTY, "profiles": [{**EVENTED, "events": events}]})).max_depth == 99_999


def test_content_tells() -> None:
    data = written(speedscope, SMALL)
    assert detect(data).name == "speedscope"
    assert speedscope.sniff(b'{"exporter": 1, ') is None
    assert detect(b'{"exporter": 1, ', "x.speedscope.json").name == "speedscope"
    assert speedscope.sniff(b"main;f 1\n") is False


needs_viewer = pytest.mark.skipif(not VIEWER.is_dir(), reason="no speedscope here: scripts/install-viewers")


@needs_viewer
@given(PROFILES)
def test_the_official_schema_holds(profile: Profile) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator(jsonschema).validate(json.loads(written(speedscope, profile)))


@needs_viewer
def test_the_official_schema_would_notice() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(jsonschema.ValidationError):
        validator(jsonschema).validate(spoiled(unit="hours"))


@functools.cache
def validator(jsonschema: Any) -> Any:
    return jsonschema.Draft7Validator(json.loads((VIEWER / "file-format-schema.json").read_text()))


@pytest.fixture
def viewer(tmp_path: Path) -> Iterator[str]:
    """The address of speedscope's own page, which shows `tmp_path / "profile.json"`."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            name = path.split("?")[0].lstrip("/") or "index.html"
            return str(tmp_path / name if name == "profile.json" else VIEWER / name)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/#profileURL=/profile.json&view=sandwich"
    server.shutdown()
    server.server_close()


@needs_viewer
@pytest.mark.browser
def test_speedscope_shows_our_totals(viewer: str, tmp_path: Path, chromium_path: str) -> None:
    from playwright.sync_api import sync_playwright

    (tmp_path / "profile.json").write_bytes(written(speedscope, SMALL))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--enable-unsafe-swiftshader"])
        page = browser.new_page()
        page.goto(viewer)
        page.wait_for_selector("text=Symbol Name", timeout=60_000)
        lines = [line.strip() for line in page.locator("table").last.inner_text().splitlines()]
        browser.close()
    assert [line for line in lines if line][-6:] == [
        "5 (100%)",
        "3 (60%)",
        "a.out`main",
        "2 (40%)",
        "2 (40%)",
        "libc.so.6`f",
    ]
