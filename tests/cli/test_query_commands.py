"""`query`, `top` and `stat`: of files, of a running profiler, of a process; and what is said where that can't be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import Run

from dtrace_profiler.cli import main

RECORDING = """# dtrace-profiler recording 1
# {"meta": {"engine": "dtrace", "frequency_hz": 100, "start_ns": 1700000000000000000, "target": "./app"}}
# {"frame":[0,"main","app","/srv/app.py",3,1,"python",0]}
# {"frame":[1,"par\\u001bse","app","/srv/app.py",12,10,"python",0]}
# {"stack":[[0,0,0,1,0],[0]]}
# {"stack":[[0,0,0,2,0],[0,1]]}
# {"thread":[1,1,"web"]}
""" + "".join(
    f'# {{"sample":[17000000{second:02}000000000,1,1,{2 if second == 3 else 1},{9 if second == 3 else 1}]}}\n'
    for second in range(5)
)


@pytest.fixture(autouse=True)
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.dtrace").write_text(RECORDING)


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:  # type: ignore[type-arg]
    assert main(list(arguments)) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    return json.loads(out)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "words",
    [
        ("functions",),
        ("lines",),
        ("hot-paths", "--least-share", "0.1"),
        ("ranges", "--every", "1s"),
        ("summary",),
        ("callers", "par*"),
        ("callees", "app:main"),
        ("lines", "main"),
    ],
)
def test_each_question_is_answered(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    question, *rest = words
    place = [rest.pop()] if rest and not rest[-1][0].isdigit() else []
    answer = asked(capsys, "query", question, "run.dtrace", *place, *rest)
    assert (answer["query"], answer["version"]) == (question, 1)
    assert answer["rows"]


def test_options_choose_the_part_and_the_number_of_rows(capsys: pytest.CaptureFixture[str]) -> None:
    answer = asked(
        capsys, "query", "functions", "run.dtrace", "--from", "0", "--to", "3s", "-n", "1", "--by", "total"
    )
    total = asked(capsys, "query", "functions", "run.dtrace")["profile"]["value"]
    assert 0 < answer["selection"]["value"] < total
    assert len(answer["rows"]) == 1
    last = asked(capsys, "query", "functions", "run.dtrace", "--last", "1.5", "--thread", "web", "--kind", "python")
    assert last["selection"]["from_s"] > 0
    assert last["selection"]["threads"] == ["web"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["query", "functions", "run.dtrace", "--last", "1s", "--to", "2s"], "--last is a time of its own"),
        (["query", "functions", "run.dtrace", "--thread", "x"], "no thread is 'x': there is web (1)."),
        (["query", "functions", "run.dtrace", "--label", "x"], "'x' is no label: write key=value."),
        (["query", "functions", "run.dtrace", "--limit", "0"], "0 is out of range"),
        (["query", "hot-paths", "run.dtrace", "--least-share", "2"], "out of range: above 0, and 1 at most"),
        (["query", "callers", "run.dtrace", "nosuch"], "no function is called 'nosuch'"),
        (["query", "differences", "run.dtrace"], "samples in common: name another profile"),
        (["query", "functions", "http://127.0.0.1:1/"], "lacks its key"),
        (["query", "functions", "https://127.0.0.1:1/?key=sesame"], "https://127.0.0.1:1/ is no address of a live"),
        (["query", "functions", "http://127.0.0.1:1/?key=a", "--input-format", "folded"], "--input-format is for"),
        (["top", "run.dtrace", "--watch"], "run.dtrace does not change"),
        (["top", "run.dtrace", "-d", "3"], "--duration is for a process"),
        (["top", "0"], "'0' is not a process id"),
        (["top", "1", "--engine", "sampler"], "the sampler can't look into a process that runs already"),
        (["mcp"], "nothing may be read"),
        (["mcp", "nowhere"], "nowhere can't be read: there is no such file or folder."),
    ],
)
def test_what_can_not_be_asked(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert sentence in said.err
    assert "sesame" not in said.err, "a key is a secret"


def test_differences_of_two_files_and_of_two_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "new.dtrace").write_text(RECORDING)
    answer = asked(capsys, "query", "differences", "run.dtrace", "new.dtrace", "-n", "1", "--by", "module")
    assert (answer["query"], answer["rows"][0]["change"]) == ("differences", 0)
    times = asked(
        capsys, "query", "differences", "run.dtrace", "--before-to", "3", "--from", "3", "--measure", "total"
    )
    assert times["before"]["selection"]["to_s"] == times["after"]["selection"]["from_s"] == 3
    assert times["after"]["selection"]["value"] > times["before"]["selection"]["value"]


def test_what_can_not_be_read_is_told_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "functions", "nowhere.dtrace"]) == 5
    assert "nowhere.dtrace can't be read" in capsys.readouterr().err
    assert main(["stat", "http://127.0.0.1:9/?key=sesame"]) == 5
    said = capsys.readouterr().err
    assert said.startswith("dtrace-profiler: no live view answers at 127.0.0.1:9")
    assert "sesame" not in said


def test_top_is_a_table_with_errors_and_what_was_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "run.dtrace", "-n", "1"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert "DTrace at 100 Hz" in lines[0]
    assert lines[2].split() == ["self", "±", "total", "±", "kind", "function"]
    assert lines[-1].endswith("1 more functions")
    assert "\x1b" not in out
    assert main(["top", "run.dtrace", "--from", "90s"]) == 0
    assert "no samples." in capsys.readouterr().out
    assert asked(capsys, "top", "run.dtrace", "--json")["query"] == "functions"


def test_stat_is_the_summary_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stat", "run.dtrace"]) == 0
    out = capsys.readouterr().out
    for words in ("./app", "2023-11-14 22:13:20 UTC", "DTrace at 100 Hz", "1 in 1 process", "1/1 web", "nothing"):
        assert words in out, words
    assert main(["stat", "run.dtrace", "--to", "2"]) == 0
    assert "of the profile, chosen by options" in capsys.readouterr().out
    assert asked(capsys, "stat", "run.dtrace", "--json") == asked(capsys, "query", "summary", "run.dtrace")


def test_stat_does_not_say_that_others_lost_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.folded").write_text("a;b 3\n")
    assert main(["stat", "x.folded"]) == 0
    assert "lost        not known" in capsys.readouterr().out


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, "query", "schema")["properties"]["version"]["const"] == 1


@pytest.mark.dtrace
def test_top_of_a_process_that_is_watched(cli: Run) -> None:
    code = "import time\ndef burn():\n    while True: sum(range(500))\nburn()"
    target = subprocess.Popen([sys.executable, "-c", code])
    try:
        watched = cli("top", target.pid, "--watch", "--every", "300ms", "-d", "1", "-n", "3", "--json")
        answers = [json.loads(line) for line in watched.stdout.splitlines()]
        values = [answer["profile"]["value"] for answer in answers]
        assert len(values) > 1
        assert values == sorted(values)
        assert values[-1] > 0
    finally:
        target.kill()
        target.wait()
