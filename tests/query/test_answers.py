"""What is answered is what a profile holds, as its schema says, with nothing dropped in silence."""

from __future__ import annotations

import json
from array import array
from dataclasses import replace
from importlib import resources
from math import sqrt
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtrace_profiler.errors import UsageError
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.model.wildcard import matches
from dtrace_profiler.query.around import callees, callers
from dtrace_profiler.query.differences import differences
from dtrace_profiler.query.functions import functions, lines
from dtrace_profiler.query.matching import find_functions
from dtrace_profiler.query.paths import MOST_FRAMES, hot_paths
from dtrace_profiler.query.ranges import ranges
from dtrace_profiler.query.selection import Selection, last_seconds, select
from dtrace_profiler.query.summary import summary

START_NS = 1_700_000_000_000_000_000
SCHEMA: dict[str, Any] = json.loads(
    resources.files("dtrace_profiler").joinpath("query", "schema.json").read_text(encoding="utf-8")
)


def sealed() -> dict[str, Any]:
    """Each object but the outermost closed, and the outermost one by what its question's part describes."""

    def seal(schema: Any) -> Any:
        if isinstance(schema, list):
            return [seal(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        out = {key: seal(value) for key, value in schema.items()}
        if "properties" in schema and "required" in schema:
            out["additionalProperties"] = False
        return out

    out = dict(SCHEMA)
    names = SCHEMA["properties"]["query"]["enum"]
    out["properties"] = seal(SCHEMA["properties"])
    out["$defs"] = {
        name: ({**schema, "properties": seal(schema["properties"])} if name in names else seal(schema))
        for name, schema in SCHEMA["$defs"].items()
    }
    out["unevaluatedProperties"] = False
    return out


VALIDATOR = jsonschema.Draft202012Validator(sealed())


def checked(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer, which keeps the schema, describes every field, and survives JSON."""
    VALIDATOR.validate(answer)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    return answer


def python(name: str, line: int = 0, module: str = "app") -> StackFrame:
    return StackFrame(name, module, 0, f"/srv/{module}.py", line, 1, FrameKind.PYTHON)


def native(name: str) -> StackFrame:
    return StackFrame(name, "libz.so.1", 0x10, kind=FrameKind.NATIVE)


def timed() -> Profile:
    """Ten seconds of two threads: in second 4 one parses three times as much as else; labels; a loss."""
    builder = ProfileBuilder()
    web = builder.add_thread(7, 70, "web", (("route", "/a"),))
    other = builder.add_thread(7, 70, "web", (("route", "/b"),))
    worker = builder.add_thread(8, 80, "worker-1")
    parse = builder.add_stack([python("main", 3), python("parse", 12), native("inflate")])
    work = builder.add_stack([python("main", 4), python("work", 20)])
    lost = builder.add_stack([StackFrame("<truncated>"), StackFrame("0x7f00", "?", 0x7F00)])
    for second in range(10):
        for number in range(30 if second == 4 else 10):
            builder.add_sample(START_NS + second * 10**9 + number * 10**7, web if number % 2 else other, parse)
        builder.add_sample(START_NS + second * 10**9 + 5, worker, work)
    builder.add_sample(START_NS + 9_500_000_000, worker, lost)
    builder.add_loss(START_NS + 4 * 10**9, 3)
    meta = Meta(
        engine="dtrace",
        frequency_hz=100,
        start_ns=START_NS,
        duration_ns=10**10,
        target="./app",
        losses={"drops": 3},
        versions={"dtrace": "2.0.7"},
    )
    return builder.snapshot(meta)


FRAMES = st.builds(
    StackFrame,
    st.sampled_from(["f", "g", "h", "main", "\udcff", "0x10"]),
    st.sampled_from(["", "a.out"]),
    st.integers(0, 1),
    st.sampled_from(["", "f.py"]),
    st.integers(0, 2),
    st.integers(0, 1),
    st.sampled_from(list(FrameKind)),
)
ROWS = st.lists(
    st.tuples(st.integers(0, 10**10), st.integers(0, 2), st.lists(FRAMES, min_size=1, max_size=6), st.integers(0, 9)),
    max_size=20,
)


@st.composite
def any_profiles(draw: st.DrawFn) -> Profile:
    builder = ProfileBuilder()
    for number in range(3):
        builder.add_thread(1, number, ("", "a", "b")[number])
    for time, thread, stack, value in draw(ROWS):
        builder.add_sample(START_NS + time if time else 0, thread, builder.add_stack(stack), value)
    meta = Meta(
        unit=draw(st.sampled_from(["samples", "nanoseconds"])),
        frequency_hz=draw(st.sampled_from([0, 99])),
        start_ns=draw(st.sampled_from([0, START_NS])),
        losses=draw(st.sampled_from([{}, {"drops": 2}])),
    )
    return builder.snapshot(meta)


@settings(max_examples=25)
@given(any_profiles(), st.sampled_from([None, 1, 3]))
def test_every_answer_keeps_the_schema_and_no_value_is_lost(profile: Profile, limit: int | None) -> None:
    total = profile.total
    for answer in (functions(profile, limit=limit), functions(profile, order="total", limit=limit)):
        checked(answer)
        assert sum(row["self_value"] for row in answer["rows"]) + answer["left_out"]["self_value"] == total
    paths = checked(hot_paths(profile, limit=limit))
    assert sum(row["value"] for row in paths["rows"]) + paths["left_out"]["value"] == total
    whole = checked(summary(profile, limit=limit))
    assert sum(row["value"] for row in whole["rows"]) + whole["left_out"]["value"] == total
    assert sum(row["value"] for row in whole["kinds"]) == total
    in_lines = checked(lines(profile, limit=limit))
    assert (
        sum(row["self_value"] for row in in_lines["rows"])
        + in_lines["left_out"]["self_value"]
        + in_lines["without_line_value"]
        == total
    )
    if any(profile.timestamp_ns):
        pieces = checked(ranges(profile, every_s=0.7))
        assert sum(row["value"] for row in pieces["rows"]) + pieces["untimed_value"] == total
        checked(ranges(profile))
    for frame in profile.frames[:2]:
        name = frame.function_name.encode("utf-8", "backslashreplace").decode()
        checked(callers(profile, name, limit=limit))
        checked(callees(profile, name, limit=limit))
        checked(lines(profile, name, limit=limit))


@given(any_profiles())
def test_callers_and_callees_are_those_of_the_stacks(profile: Profile) -> None:
    """Against the plain way: each pair once a stack."""
    merged = {}
    if not profile.frames:
        return
    name = profile.frames[0].function_name.encode("utf-8", "backslashreplace").decode()
    matched = find_functions(profile, name)
    index = {frame: matched.merged.of_frame[place] for place, frame in enumerate(profile.frames)}
    for node, value in profile.stack_values().items():
        stack = [index[frame] for frame in profile.stack(node)]
        above = {(stack[i - 1] if i else None) for i, function in enumerate(stack) if function in matched.chosen}
        below = {
            (stack[i + 1] if i + 1 < len(stack) else None)
            for i, function in enumerate(stack)
            if function in matched.chosen
        }
        for side, found in (("callers", above), ("callees", below)):
            for other in found:
                merged[side, other] = merged.get((side, other), 0) + value
    for side, answer in (("callers", callers(profile, name)), ("callees", callees(profile, name))):
        expected = sorted(value for (kind, _), value in merged.items() if kind == side and value)
        assert sorted(row["value"] for row in answer["rows"]) == expected
        nobody = [row["value"] for row in answer["rows"] if row["kind"] is None]
        assert nobody == [value for value in [merged.get((side, None), 0)] if value]


def test_shares_have_the_binomials_error() -> None:
    row = checked(functions(timed()))["rows"][0]
    assert (row["name"], row["self_value"]) == ("inflate", 120)
    share = 120 / 131
    assert row["self_share"] == pytest.approx(share, abs=1e-6)
    assert row["self_share_error"] == pytest.approx(sqrt(share * (1 - share) / 131), abs=1e-6)
    caller = checked(callers(timed(), "inflate"))["rows"][0]
    assert caller["share_error"] == row["self_share_error"], "the same samples, the same error"
    assert caller["share_of_function_error"] == 0


def test_nanoseconds_of_equal_weight_have_the_errors_of_samples() -> None:
    samples = timed()
    values = array("q", [10_000_000] * len(samples))
    weighed = replace(samples, value=values, meta=replace(samples.meta, unit="nanoseconds"))
    for ask in (
        lambda profile: callers(profile, "parse")["rows"],
        lambda profile: hot_paths(profile)["rows"],
        lambda profile: summary(profile)["kinds"],
        lambda profile: ranges(profile, every_s=1)["rows"],
    ):
        for row, expected in zip(ask(weighed), ask(samples), strict=True):
            assert row["share_error"] == pytest.approx(expected["share_error"], abs=2e-6)


def test_a_busy_range_is_found_and_can_be_asked_about() -> None:
    profile = timed()
    answer = checked(ranges(profile, every_s=1.0))
    busiest = answer["rows"][answer["busiest_row"]]
    assert (busiest["from_s"], busiest["to_s"], busiest["value"], busiest["lost"]) == (4.0, 5.0, 31, 3)
    assert busiest["processors"] == pytest.approx(0.31)
    assert busiest["most"]["name"] == "inflate"
    part = checked(functions(profile, Selection(from_s=busiest["from_s"], to_s=busiest["to_s"])))
    assert part["selection"]["value"] == 31
    assert part["selection"]["lost"] == 3
    assert part["selection"]["share_of_profile"] == pytest.approx(31 / 131, abs=1e-6)
    assert ranges(profile, Selection(from_s=4, to_s=6), every_s=1)["rows"][0]["value"] == 31


def test_samples_are_chosen_by_thread_process_label_and_kind() -> None:
    profile = timed()
    for selection, value in (
        (Selection(threads=("web",)), 120),
        (Selection(threads=("80",)), 11),
        (Selection(threads=("w*",)), 131),
        (Selection(processes=(8,)), 11),
        (Selection(labels=(("route", "/a"),)), 60),
        (Selection(labels=(("route", "/a"), ("route", "/b"))), 120),
        (Selection(kinds=(FrameKind.PYTHON,)), 10),
        (Selection(kinds=(FrameKind.PYTHON, FrameKind.NATIVE), threads=("web",)), 120),
        (Selection(from_s=last_seconds(profile, 1.0)), 12),
        (Selection(from_s=20), 0),
    ):
        assert select(profile, selection).profile.total == value, selection
        assert checked(functions(profile, selection))["selection"]["value"] == value
        checked(hot_paths(profile, selection))
        checked(summary(profile, selection))
        checked(ranges(profile, selection))


@pytest.mark.parametrize(
    ("selection", "sentence"),
    [
        (Selection(threads=("x",)), "no thread is 'x': there are web (70), worker-1 (80)."),
        (Selection(processes=(9,)), "no process is 9: there are 7, 8."),
        (Selection(labels=(("route", "/c"),)), "no sample has the label 'route=/c': there are route=/a, route=/b."),
        (Selection(from_s=5, to_s=5), "from 5 s to 5 s is no time: the end comes after the beginning."),
    ],
)
def test_what_is_not_there_is_told_with_what_is(selection: Selection, sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        functions(timed(), selection)
    assert str(raised.value) == sentence


def test_a_profile_without_times_has_no_ranges() -> None:
    builder = ProfileBuilder()
    builder.add_sample(0, builder.add_thread(0, 0), builder.add_stack([native("f")]), 5)
    profile = builder.snapshot(Meta())
    for ask in (ranges, lambda profile: functions(profile, Selection(from_s=1)), lambda p: last_seconds(p, 1)):
        with pytest.raises(UsageError, match="has no times"):
            ask(profile)
    empty = ProfileBuilder().snapshot(Meta())
    assert functions(empty, Selection(from_s=last_seconds(empty, 5)))["rows"] == [], "as at a profile's beginning"
    with pytest.raises(UsageError, match=r"10,000 at most"):
        ranges(timed(), every_s=0.0001)


def test_functions_are_named_by_name_module_and_file() -> None:
    builder = ProfileBuilder()
    thread = builder.add_thread(0, 0)
    stacks = [python("run"), python("run", module="other"), native("operator*(v const&)"), native("std::f*")]
    for frame in stacks:
        builder.add_sample(0, thread, builder.add_stack([frame]))
    profile = builder.snapshot(Meta())
    for pattern, count in (("run", 2), ("app:run", 1), ("other.py:run", 1), ("r*n", 2), ("operator*(v const&)", 1)):
        assert len(find_functions(profile, pattern).chosen) == count, pattern
    assert callers(profile, "run")["function_total"]["value"] == 2, "both, and both are named"
    assert [row["module"] for row in callers(profile, "run")["functions"]] == ["app", "other"]
    with pytest.raises(UsageError, match="no function is called 'rum': what is like it is run"):
        find_functions(profile, "rum")


@given(st.text("ab*", max_size=6), st.text("ab", max_size=8))
def test_a_star_is_any_text(pattern: str, name: str) -> None:
    import re

    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None
    assert matches(pattern, name) == expected


def test_summary_tells_what_can_not_be_believed() -> None:
    answer = checked(summary(timed()))
    assert answer["unresolved"]["value"] == 1
    assert answer["unresolved_in_stack"]["value"] == 1
    assert answer["truncated"]["value"] == 1
    assert answer["losses"] == [
        {"name": "drops", "count": 3, "meaning": "records dropped by dtrace, its buffer was full"}
    ]
    assert (answer["thread_count"], answer["process_count"]) == (2, 2), "a thread with two labels is one"
    assert [row["value"] for row in answer["labels"]["rows"]] == [60, 60]
    assert answer["cpu_time_ns"] == 1_310_000_000
    assert answer["processors"] == pytest.approx(0.131)


def test_hot_paths_share_no_sample_and_add_small_branches_to_their_caller() -> None:
    builder = ProfileBuilder()
    thread = builder.add_thread(0, 0)
    main = native("main")
    for names, value in ((["a"], 50), (["a", "b"], 30), (["a", "c"], 4), (["d"], 9), (["e"], 7)):
        builder.add_sample(0, thread, builder.add_stack([main, *map(native, names)]), value)
    answer = checked(hot_paths(builder.snapshot(Meta()), least_share=0.1))
    rows = [([frame["name"] for frame in row["path"]], row["value"], row["self_value"]) for row in answer["rows"]]
    assert rows == [(["main", "a"], 54, 50), (["main", "a", "b"], 30, 30), (["main"], 16, 0)]
    assert answer["left_out"] == {"rows": 0, "value": 0}


def test_differences_are_those_of_compare_and_say_what_the_limit_hides() -> None:
    profile = timed()
    quiet, busy = Selection(to_s=4, threads=("web",)), Selection(from_s=4, to_s=5, threads=("web",))
    answer = checked(differences(profile, profile, quiet, busy, normalise="time", limit=1))
    assert (answer["quantity"], answer["before"]["selection"]["value"]) == ("cores", 40)
    row = answer["rows"][0]
    assert (row["module"], row["function"]) == ("libz.so.1", "inflate")
    assert (row["before"], row["after"], row["change"]) == pytest.approx((0.1, 0.3, 0.2)), "of each one's own time"
    assert row["change_from"] < 0.2 < row["change_to"]
    assert row["beyond_noise"]
    assert answer["after"]["selection"]["lost"] == 3
    assert any("lost 3" in warning for warning in answer["warnings"])
    shares = checked(differences(profile, replace(profile), Selection(threads=("web",)), limit=1))
    assert shares["whole"] is None
    assert shares["left_out"]["rows"] == 2


def test_parts_that_share_samples_are_not_compared() -> None:
    profile = timed()
    for parts in ((None, None), (Selection(to_s=5), None), (Selection(to_s=5), Selection(from_s=4))):
        with pytest.raises(UsageError, match="samples in common"):
            differences(profile, profile, *parts)
    checked(differences(profile, profile, Selection(to_s=5), Selection(from_s=5)))
    checked(differences(profile, profile, Selection(threads=("web",)), Selection(processes=(8,)), anyway=True))


def test_a_deep_stack_takes_little_time_and_room() -> None:
    builder = ProfileBuilder()
    frames = [native(f"f{number % 1000}") for number in range(100_000)]
    builder.add_sample(START_NS, builder.add_thread(0, 0), builder.add_stack(frames))
    profile = builder.snapshot(Meta())
    row = checked(hot_paths(profile))["rows"][0]
    assert (len(row["path"]), row["frames_left_out"]) == (MOST_FRAMES, 100_000 - MOST_FRAMES)
    assert row["path"][-1]["name"] == "f999"
    assert checked(callers(profile, "f5"))["rows"][0]["name"] == "f4"
    checked(summary(profile))
