from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from held_profiles import PROFILES, SMALL, build, written
from hypothesis import given

from dtrace_profiler.formats import format_of, json_summary
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.model.top import top_functions

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "profilers"


def summary(profile: Profile) -> dict[str, Any]:
    def refuse(text: str) -> None:
        raise AssertionError(text)

    found: dict[str, Any] = json.loads(written(json_summary, profile), parse_constant=refuse)
    return found


def test_what_is_written_stays_the_same(golden: Callable[[Path, bytes], None]) -> None:
    data = written(json_summary, SMALL)
    exporter = json.loads(data)["exporter"]
    golden(DATA / "small.json", data.replace(exporter.encode(), b"dtrace-profiler@VERSION"))


@given(PROFILES)
def test_threads_kinds_and_functions_add_up(profile: Profile) -> None:
    found = summary(profile)
    assert found["total"] == profile.total
    assert sum(thread["value"] for thread in found["threads"]) == profile.total
    assert sum(kind["self"] for kind in found["kinds"].values()) == profile.total
    assert found["function_count"] == len(found["functions"])
    assert sum(function["self"] for function in found["functions"]) == profile.total
    if profile.total:
        first = top_functions(profile)[0]
        assert (found["functions"][0]["name"], found["functions"][0]["total"]) == (
            first.frame.function_name,
            first.total,
        )


def test_long_lists_have_the_foremost_by_own_value_and_by_total() -> None:
    rows = [
        (0, 0, [StackFrame("main"), StackFrame(f"middle{at % 20}"), StackFrame(f"leaf{at:03}")], at + 1)
        for at in range(300)
    ]
    found = summary(build(rows, Meta(), timed=False))
    names = [function["name"] for function in found["functions"]]
    assert found["function_count"] == 321
    assert len(names) == 121
    assert names[0] == "leaf299"
    assert names[-21:] != sorted(names[-21:])
    assert {"main", "middle0", "middle19", "leaf200"} <= set(names)
    assert "leaf199" not in names


def test_cpu_time_is_said_where_it_is_known() -> None:
    row = [(0, 0, [StackFrame("f")], 50)]
    assert summary(build(row, Meta(frequency_hz=100), timed=False))["cpu_time_ns"] == 500_000_000
    assert summary(build(row, Meta(), timed=False))["cpu_time_ns"] is None
    assert summary(build(row, Meta(unit="nanoseconds"), timed=False))["cpu_time_ns"] == 50


def test_what_gets_lost_is_told() -> None:
    assert json_summary.dropped(SMALL) == ["times", "stacks", "addresses", "lines within functions"]


def test_every_field_is_documented() -> None:
    text = (ROOT / "docs" / "formats.md").read_text()
    section = text[text.index("## JSON summary") :]
    documented = set(re.findall(r"`(\w+)`", section))
    found = summary(SMALL)
    fields = {*found, *found["functions"][0], *found["threads"][0], *found["kinds"], *found["kinds"]["python"]}
    assert sorted(fields - documented) == []


def test_a_stack_of_100_000_frames() -> None:
    found = summary(build([(0, 0, [StackFrame("f"), StackFrame("g")] * 50_000, 2)], Meta(), timed=False))
    assert [(function["self"], function["total"]) for function in found["functions"]] == [(2, 2), (0, 2)]


def test_its_suffix_is_the_last_of_those_that_end_in_json() -> None:
    assert format_of("x.json") == "json"
    assert format_of("x.speedscope.json") == "speedscope"
    assert format_of("x.trace.json.gz") == "trace"
