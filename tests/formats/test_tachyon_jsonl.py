from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from held_profiles import damaged, read_or_refused
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import detect, read_profile, tachyon_jsonl
from dtrace_profiler.formats.table import format_top
from dtrace_profiler.model.profile import Profile

REAL = Path(__file__).parents[1] / "data" / "profilers" / "tachyon.jsonl"

ABOUT: dict[str, Any] = {"v": 0, "run_id": "a"}
LINES: list[dict[str, Any]] = [
    {"type": "meta", "sample_interval_usec": 10000, "mode": "cpu", **ABOUT},
    {"type": "string_table", "strings": [{"str_id": 0, "value": "/a.py"}, {"str_id": 1, "value": "f"}], **ABOUT},
    {"type": "string_table", "strings": [{"str_id": 2, "value": "~"}, {"str_id": 3, "value": "<native>"}], **ABOUT},
    {
        "type": "frame_table",
        "frames": [
            {"frame_id": 0, "path_str_id": 0, "func_str_id": 1, "line": 4, "col": 2},
            {"frame_id": 1, "path_str_id": 2, "func_str_id": 3, "line": 0},
        ],
        **ABOUT,
    },
    {"type": "news", "what": "not known", **ABOUT},
    {"type": "agg", "kind": "task", "scope": "final", "entries": [7], **ABOUT},
    {
        "type": "agg",
        "kind": "frame",
        "scope": "final",
        "samples_total": 5,
        "entries": [{"frame_id": 0, "self": 3, "cumulative": 5}, {"frame_id": 1, "self": 2, "cumulative": 2}],
        **ABOUT,
    },
    {"type": "end", "samples_total": 5, **ABOUT},
]


def text_of(lines: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def read(lines: list[dict[str, Any]]) -> Profile:
    return tachyon_jsonl.read(io.BytesIO(text_of(lines)))


def test_a_real_file(golden: Callable[[Path, bytes], None]) -> None:
    profile = read_profile(REAL)
    last = json.loads(REAL.read_text().splitlines()[-1])
    assert last["type"] == "end"
    assert profile.total == last["samples_total"]
    assert profile.meta.frequency_hz == 100
    assert profile.meta.notes == (
        "The file has no stacks: each function that ran stands alone, with its own samples.",
        "Sampled in the mode `wall` of profiling.sampling.",
    )
    golden(REAL.with_suffix(".jsonl.read"), format_top(profile, 100).encode())


def test_records_become_functions() -> None:
    profile = read(LINES)
    found = {profile.stack(node): value for node, value in profile.stack_values().items()}
    assert {
        (frame.function_name, frame.file, frame.line, frame.kind.value): value for (frame,), value in found.items()
    } == {("f", "/a.py", 4, "python"): 3, ("<native>", "", 0, "native"): 2}


def test_runs_one_after_the_other_add_up() -> None:
    again = [{**line, "run_id": "b"} for line in LINES]
    assert read(LINES + again).total == 10
    assert read(LINES + again[:-1]).meta.notes[-1] == "The file has no end: it was cut short."


def changed(line: int, **changes: object) -> list[dict[str, Any]]:
    return [*LINES[:line], {**LINES[line], **changes}, *LINES[line + 1 :]]


def entry(**changes: object) -> list[dict[str, Any]]:
    return changed(6, entries=[{"frame_id": 0, "self": 3, "cumulative": 5, **changes}])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (changed(0, v=1), "line 1: its version .* is 1, and only version 0"),
        (changed(0, v=None), "line 1: v is not a whole number"),
        (changed(0, sample_interval_usec=-1), r"line 1: meta\.sample_interval_usec is negative"),
        (changed(2, run_id=3), "line 3: run_id is not a text"),
        (changed(1, strings=[3]), r"line 2: strings\[0\] is not an object"),
        (changed(1, strings=[]), r"line 4: frames\[0\]\.path_str_id is a text that no string_table had"),
        (changed(3, frames=[]), r"line 7: entries\[0\]\.frame_id is a frame that no frame_table had"),
        (entry(self=-1), r"line 7: entries\[0\]\.self is negative"),
        (entry(self=1.5), r"line 7: entries\[0\]\.self is not a whole number"),
        (entry(self=True), r"line 7: entries\[0\]\.self is not a whole number"),
        (entry(self=1 << 63), r"line 7: entries\[0\]\.self is negative or too large"),
        (changed(6, entries=[{"frame_id": 0, "self": (1 << 63) - 1}] * 2), r"line 7: the sum .* at entries\[1\]"),
        (LINES[:1], "no samples"),
        ([], "empty"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_field(lines: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(lines)


def test_a_line_that_is_no_json_is_said_with_its_number() -> None:
    with pytest.raises(InputError, match="line 9: line 1, column 1 is no JSON"):
        tachyon_jsonl.read(io.BytesIO(text_of(LINES) + b"}\n"))
    with pytest.raises(InputError, match=r"line 1: .* nested too deeply"):
        tachyon_jsonl.read(io.BytesIO(b"[" * 100_000))


@given(st.one_of(st.binary(max_size=80), damaged(text_of(LINES)), damaged(REAL.read_bytes())))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refused(tachyon_jsonl, data)


def test_content_tells() -> None:
    assert detect(REAL.read_bytes(), "x.folded").name == "tachyon-jsonl"
    assert tachyon_jsonl.sniff(b'{"type": 3}\n{"run_id": 4}') is False
    assert tachyon_jsonl.sniff(b"{") is None
