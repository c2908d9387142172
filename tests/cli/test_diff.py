"""`dtrace-profiler diff`, as a user calls it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dtrace_profiler import DTraceProfiler
from dtrace_profiler.cli import main
from dtrace_profiler.formats import write_profile
from dtrace_profiler.formats.comparison_markdown import code
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta

START_NS = 1_795_420_800_000_000_000
SECOND_NS = 1_000_000_000


def write_run(path: Path, per_second: list[dict[str, int]], *, engine: str = "dtrace", process_id: int = 1) -> Path:
    """A recording with so many samples of each function in each second. Process 2 beside it has `other` alone."""
    builder = ProfileBuilder()
    thread, other = builder.add_thread(process_id, process_id, "main"), builder.add_thread(2, 2, "second")
    for second, counts in enumerate(per_second):
        for name, count in counts.items():
            frames = [
                StackFrame(function, "app", 0, "/src/app.py", 1, 1, FrameKind.PYTHON) for function in ("main", name)
            ]
            node = builder.add_stack(frames)
            for index in range(count):
                who = other if name == "other" else thread
                builder.add_sample(START_NS + second * SECOND_NS + index * 1_000_000, who, node)
    meta = Meta(engine=engine, frequency_hz=100, start_ns=START_NS, duration_ns=len(per_second) * SECOND_NS)
    write_profile(builder.snapshot(meta), path)
    return path


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    return (
        write_run(tmp_path / "a.dtrace", [{"work": 300, "rest": 700}]),
        write_run(tmp_path / "b.dtrace", [{"work": 500, "rest": 480, "a|b`<i>": 20}]),
    )


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


def test_the_table_says_what_changed_and_how_sure_that_is(call: Call, runs: tuple[Path, Path]) -> None:
    status, out, err = call("diff", *runs)
    assert (status, err) == (0, "")
    line = next(line for line in out.splitlines() if "app:work" in line)
    assert re.search(r"30\.00 % +50\.00 % +\+20\.00 +\+15\.\d\d … \+24\.\d\d +<0\.0001 +\* app:work", line)
    assert "3 of 3 functions have changed by more than noise." in out
    assert "\x1b" not in out  # not a terminal


def test_a_file_against_itself_has_not_changed(call: Call, runs: tuple[Path, Path]) -> None:
    assert "None of 2 functions changed by more than noise." in call("diff", runs[0], runs[0])[1]


def test_json_has_every_row(call: Call, runs: tuple[Path, Path]) -> None:
    document = json.loads(call("diff", *runs, "--format", "json", "--by", "module", "--measure", "total")[1])
    assert (document["format"], document["version"]) == ("dtrace-profiler comparison", 1)
    assert [(row["name"], row["before"], row["after"], row["change"]) for row in document["rows"]] == [
        ("app", 1, 1, 0)
    ]
    assert (document["before"]["samples"], document["after"]["engine"]) == (1000, "dtrace")


def test_markdown_shows_a_hostile_name_as_it_is(call: Call, runs: tuple[Path, Path]) -> None:
    out = call("diff", *runs, "--format", "markdown")[1]
    assert "| ``app:a\\|b`<i>`` | 0 | 2.00 % |" in out
    assert code("a\\|b") == "<code>a&#92;&#124;b</code>"  # which would be the end of a cell otherwise
    rows = [line for line in out.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {7}


def test_two_ranges_of_one_file_are_compared(call: Call, tmp_path: Path) -> None:
    path = write_run(tmp_path / "run.dtrace", [{"work": 90}, {"work": 90}, {"rest": 90}, {"rest": 45}])
    arguments = ("diff", path, path, "--range-a", "..2s", "--range-b", "2s..", "--format", "json")
    document = json.loads(call(*arguments)[1])
    assert [(row["name"], row["change"]) for row in document["rows"]] == [("app:rest", 1), ("app:work", -1)]
    by_time = json.loads(call(*arguments, "--normalise", "time")[1])
    assert by_time["whole"]["before"] == pytest.approx(180 / 100 / 2)
    assert by_time["whole"]["after"] == pytest.approx(135 / 100 / 2)


def test_two_processes_or_threads_of_one_file_are_compared(call: Call, tmp_path: Path) -> None:
    path = write_run(tmp_path / "run.dtrace", [{"work": 90, "other": 40}])
    for one, other in ((("--process-a", 1), ("--process-b", 2)), (("--thread-a", "main"), ("--thread-b", 2))):
        out = json.loads(call("diff", path, path, *one, *other, "--format", "json")[1])
        assert [(row["name"], row["change"]) for row in out["rows"]] == [("app:other", 1), ("app:work", -1)]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--process-a", "9"], 2, "no process is 9: there are 1, 2."),
        (["--thread-b", "x"], 2, "no thread is 'x': there are main (1), second (2)."),
        (["--range-a", "9"], 2, "'9' is no range of time"),
        (["--range-a", "3s..2s"], 2, "ends before it begins"),
        (["--range-b", "100s.."], 5, "B has no samples: there is nothing to compare."),
        (["--confidence", "0.95"], 2, "out of range: 50 to 99.9999 percent"),
        (["-o", "x.pdf"], 2, "names no format of a comparison"),
        (["-o", "/nowhere/x.md"], 6, "/nowhere/x.md can't be written"),
    ],
)
def test_what_can_not_be_done_is_said_in_a_sentence(
    call: Call, runs: tuple[Path, Path], arguments: list[str], status: int, words: str
) -> None:
    ended, out, err = call("diff", *runs, *arguments)
    assert (ended, out) == (status, "")
    assert words in err


def test_engines_that_differ_are_refused_until_they_are_asked_for(
    call: Call, runs: tuple[Path, Path], tmp_path: Path
) -> None:
    sampled = write_run(tmp_path / "c.dtrace", [{"work": 300}], engine="sampler")
    status, out, err = call("diff", runs[0], sampled)
    assert (status, out) == (5, "")
    assert "A was sampled by DTrace and B by the embedded sampler" in err
    assert "--anyway" in err
    status, out, err = call("diff", runs[0], sampled, "--anyway")
    assert status == 0
    assert "warning: A was sampled by DTrace and B by the embedded sampler" in out


def test_rows_are_chosen_by_number_share_and_change(call: Call, runs: tuple[Path, Path]) -> None:
    def names(*arguments: object) -> list[str]:
        return [row["name"] for row in json.loads(call("diff", *runs, "--format", "json", *arguments)[1])["rows"]]

    assert names("-n", 1) == ["app:rest"]
    assert names("--min-share", "5%") == ["app:rest", "app:work"]
    assert json.loads(call("diff", runs[0], runs[0], "--format", "json", "--only-changed")[1])["rows"] == []


def test_several_files_are_written_at_once(call: Call, runs: tuple[Path, Path], tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("x.txt", "x.md", "x.json", "x.html", "x.svg")]
    status, out, _ = call("diff", *runs, *(word for file in files for word in ("-o", file)))
    assert (status, out) == (0, "")
    assert all(file.stat().st_size for file in files)


def test_a_running_profiler_against_a_file(call: Call, runs: tuple[Path, Path]) -> None:
    profiler = DTraceProfiler(engine="sampler")
    profiler.start(499)
    try:
        end = time.thread_time() + 0.3
        while time.thread_time() < end:
            sum(range(1000))
        address = profiler.serve()
        status, out, err = call("diff", runs[0], address, "--anyway", "--by", "module", "--format", "markdown")
        same = call("diff", address, address, "--anyway", "--process-b", "1")
    finally:
        profiler.close()
    assert status == 0, err
    assert f"{address.partition('?')[0]}" in out
    assert "test_diff" in out
    key = address.partition("key=")[2]
    assert same[0] == 2
    assert "no process is 1" in same[2]
    assert key not in out + err + same[2]
