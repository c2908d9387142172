"""`dtrace-profiler gate`, as CI calls it: the exit status is the answer, and no error looks like one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.bench_compare import draw, profile_of
from dtrace_profiler.cli import main
from dtrace_profiler.cli.gate_command import many_files
from dtrace_profiler.formats import write_profile

PASS, FAIL, INCONCLUSIVE = 0, 1, 2
SHARES = (0.3, 0.3, 0.4)
GROWN = (0.6, 0.3, 0.4)


def write_runs(folder: Path, name: str, shares: tuple[float, ...], count: int = 5) -> list[Path]:
    chance = random.Random(name)
    paths = [folder / f"{name}-{at}.folded" for at in range(count)]
    for path in paths:
        write_profile(profile_of(draw(chance, shares, 1000)), path)
    return paths


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_runs(tmp_path_factory.mktemp("runs"), "old", SHARES)


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_runs(tmp_path_factory.mktemp("runs"), "same", SHARES)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_runs(tmp_path_factory.mktemp("runs"), "grown", GROWN)


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: object) -> tuple[int, str, str]:
        status = main(["gate", *(str(argument) for argument in arguments)])
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


def test_what_has_grown_fails_and_is_named(call: Call, old: list[Path], grown: list[Path]) -> None:
    status, out, err = call("--baseline", *old, "--candidate", *grown, "--fail-on", "*>20%")
    assert (status, err) == (FAIL, "")
    assert out.startswith("FAIL: 1 of 3 judged has grown by more than the rule allows")
    assert [line.split()[-1] for line in out.splitlines() if line.startswith("FAIL ")] == ["app.py:f0"]


def test_what_has_not_grown_passes(call: Call, old: list[Path], same: list[Path]) -> None:
    status, out, _ = call("--candidate", *same, "--fail-on", "*>20%", "--baseline", *old)
    assert status == PASS
    assert out.startswith("PASS")


def test_two_runs_a_side_are_inconclusive(call: Call, old: list[Path], grown: list[Path]) -> None:
    status, out, _ = call("--baseline", *old[:2], "--candidate", *grown[:2], "--fail-on", "f0>5%")
    assert status == INCONCLUSIVE
    assert "take 3 runs a side" in out


def test_markdown_and_json_say_the_same(call: Call, old: list[Path], grown: list[Path], tmp_path: Path) -> None:
    report, data = tmp_path / "report.md", tmp_path / "report.json"
    status, out, _ = call(
        "--baseline", *old, "--candidate", *grown, "--fail-on", "*>20%", "-o", report, "-o", data, "-n", 1
    )
    assert (status, out) == (FAIL, "")
    text = report.read_text()
    assert text.startswith("### ❌ FAIL: 1 of 3 judged")
    assert "| `app.py:f0` | `*>20%` |" in text
    assert "… and 2 more." in text
    document = json.loads(data.read_text())
    assert (document["format"], document["version"], document["verdict"]) == ("dtrace-profiler gate", 1, "FAIL")
    assert [item["name"] for item in document["judgements"] if item["failed"]] == ["app.py:f0"]
    assert len(document["judgements"]) == 3
    assert [len(item["baseline"]) for item in document["judgements"]] == [5, 5, 5]


def test_a_calibration_shows_its_false_alarm_rate(call: Call, old: list[Path], same: list[Path]) -> None:
    status, out, _ = call("--calibrate", "--baseline", *old, *same, "--fail-on", "*>0%")
    assert status == PASS
    assert "False alarms: " in out
    document = json.loads(
        call("--calibrate", "--baseline", *old, "--candidate", *same, "--fail-on", "f0>0%", "--format", "json")[1]
    )
    assert document["divisions"] == 200
    assert document["false_alarm_rate"] <= 0.1


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--baseline", "OLD", "--candidate", "NEW"], 64, "what to fail on"),
        (["--baseline", "OLD", "--candidate", "NEW", "--fail-on", "f"], 64, "write PATTERN>LIMIT"),
        (["--baseline", "OLD", "--candidate", "NEW", "--fail-on", "typo>5%"], 64, "no function of any run is meant"),
        (["--baseline", "OLD", "--candidate", "OLD", "--fail-on", "f>5%"], 64, "is named twice"),
        (["--baseline", "OLD", "--fail-on", "f>5%"], 64, "no run of the candidate"),
        (["--candidate", "NEW", "--fail-on", "f>5%"], 64, "no run of the baseline"),
        (["--baseline", "OLD", "--candidate", "-", "--fail-on", "f>5%"], 64, "stdin is not read"),
        (["--baseline", "OLD", "--candidate", "NEW", "--fail-on", "f0>5pp", "--normalise", "run"], 64, "only shares"),
        (["--baseline", "OLD", "--candidate", "NEW", "--fail-on", "f0>5%", "--normalise", "time"], 5, "how long"),
        (["--baseline", "OLD", "--candidate", "/nowhere", "--fail-on", "f>5%"], 5, "/nowhere can't be read"),
        (
            ["--baseline", "OLD", "--candidate", "NEW", "--fail-on", "f0>5%", "-o", "/nowhere/x.md"],
            6,
            "can't be written",
        ),
        (["--no-such-option"], 64, "No such option"),
        (["--level", "200%"], 64, "out of range"),
        (["stray"], 64, "unexpected extra argument"),
    ],
)
def test_no_error_ends_like_a_verdict(
    call: Call, old: list[Path], same: list[Path], arguments: list[str], status: int, words: str
) -> None:
    files = {"OLD": str(old[0]), "NEW": str(same[0])}
    ended, out, err = call(*(files.get(word, word) for word in arguments))
    assert (ended, out) == (status, "")
    assert words in err


def test_a_defect_of_ours_does_not_end_like_a_verdict(
    call: Call, old: list[Path], same: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("dtrace_profiler.cli.gate.read_runs", broken)
    status, _, err = call("--baseline", old[0], "--candidate", same[0], "--fail-on", "f0>5%")
    assert status == 70
    assert "unexpected RuntimeError" in err


def test_help_is_no_error(call: Call) -> None:
    status, out, _ = call("--help")
    assert status == 0
    assert "INCONCLUSIVE" in out


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--baseline a b --candidate c", "--baseline a --baseline b --candidate c"),
        ("--baseline a --baseline b -o x --prove", "--baseline a --baseline b -o x --prove"),
        ("--baseline=a --candidate - c", "--baseline=a --candidate - --candidate c"),
        ("--baseline", ""),
        ("-o x y", "-o x y"),
    ],
)
def test_an_option_may_have_many_files(given: str, meant: str) -> None:
    assert many_files(given.split(), ("--baseline", "--candidate")) == meant.split()
