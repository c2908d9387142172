"""The rows of docs/platforms.md that the self-test checks: what a run shows, made up and real."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.cli import doctor
from dtrace_profiler.doctor import assumptions
from dtrace_profiler.doctor.assumptions import (
    ASSUMPTIONS,
    BURN_SECONDS,
    Evidence,
    assess,
    check_assumptions,
    gather,
    read,
)
from dtrace_profiler.doctor.selftest import SAMPLER, Trial
from dtrace_profiler.platforms import linux
from dtrace_profiler.platforms.dtrace_command import DTraceCommand, find_dtrace
from dtrace_profiler.platforms.systems import SYSTEMS, facts
from dtrace_profiler.record.workspace import Workspace
from dtrace_profiler.sampling.target.core import NOTE_WITHOUT_CLOCKS

PAGE = Path(__file__).parents[2] / "docs" / "platforms.md"
NOW = 10**18
GOOD = (
    b"B %d\nW 7 0\nT %d\nA 42=U\na`f+0x1\na`main\n=V 97\n\nT %d\n\nA 42=U\na`f+0x1\n=V 3\nA 7=U\n=V 1\nZ %d\n\n"
    % (NOW, NOW + 1, NOW + 2, NOW + 3)
)
TRIALS = [
    Trial(way="DTrace, this process", ok=True, text="75 %", kinds={"python": 9}),
    Trial(way=SAMPLER, ok=True, text="75 %"),
]


def test_the_table_of_the_documents_has_the_same_rows() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]*) \|", PAGE.read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == [row.number for row in ASSUMPTIONS]
    for (_, systems), row in zip(rows, ASSUMPTIONS, strict=True):
        named = (
            "all but Linux"
            if row.systems == assumptions.CLASSIC
            else ", ".join(facts(on).title for on in row.systems)
        )
        assert systems == named
    assert {on for row in ASSUMPTIONS for on in row.systems} == set(SYSTEMS) - {"linux"}


@pytest.mark.parametrize("on", assumptions.CLASSIC)
def test_a_good_run_proves_every_row(on: str) -> None:
    seen = read(GOOD.replace(b"\n", b"\r\n" if on == "windows" else b"\n"), NOW - 1, NOW + 9)
    assert (seen.samples, seen.frames, seen.threads, seen.wide) == (101, 3, {42, 7}, (7, 0))
    seen.was_run, seen.own_thread = True, 42
    found = assess(on, seen, TRIALS)  # type: ignore[arg-type]
    assert len(found) > 5
    assert {row.holds for row in found} == {True}


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        (lambda text: text.replace(b"A 42", b"A 41"), 2),
        (lambda text: text.replace(b"a`f+0x1", b"").replace(b"a`main", b""), 3),
        (lambda text: text.replace(b"%d" % NOW, b"1234"), 4),
        (lambda text: b"", 5),
        (lambda text: text.replace(b"W 7 0", b"W 7 7"), 6),
        (lambda text: text.replace(b"Z ", b""), 7),
    ],
)
def test_each_row_can_fail(changed, number: int) -> None:  # type: ignore[no-untyped-def]
    seen = read(changed(GOOD), NOW - 1, NOW + 9)
    seen.was_run, seen.own_thread = True, 42
    by_number = {row.number: row.holds for row in assess("macos", seen, TRIALS)}
    assert by_number[number] is False


def test_what_the_trials_show() -> None:
    bad = [
        Trial(way="DTrace, this process", ok=False, text="the kernel takes no D program of this size."),
        Trial(way=SAMPLER, ok=True, text="", notes=[NOTE_WITHOUT_CLOCKS]),
    ]
    by_number = {row.number: row.holds for row in assess("illumos", Evidence(), bad)}
    assert (by_number[11], by_number[14], by_number[16]) == (False, False, False)
    assert {row.holds for row in assess("illumos", Evidence(), [])} == {None}, "nothing is said of what was not seen"
    assert check_assumptions("linux", TRIALS, dtrace_usable=True) == []
    assert {row.holds for row in check_assumptions("macos", [], dtrace_usable=False)} == {None}


def test_one_run_of_dtrace_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Evidence:
        raise OSError("nothing can be started")

    monkeypatch.setattr(assumptions, "find_dtrace", lambda on: DTraceCommand("/usr/sbin/dtrace", (1, 13)))
    monkeypatch.setattr(assumptions, "elevation", lambda *, interactive: [])
    monkeypatch.setattr(assumptions, "gather", lambda *_: Evidence(was_run=True, began=True, ended_well=True))
    assert {row.number: row.holds for row in check_assumptions("netbsd", [], dtrace_usable=True)}[7] is True
    monkeypatch.setattr(assumptions, "gather", refuse)
    assert {row.holds for row in check_assumptions("netbsd", [], dtrace_usable=True)} == {None}


@given(st.binary(max_size=300))
def test_any_output_is_read(output: bytes) -> None:
    assert read(output, 0, NOW).samples >= 0


def test_they_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    doctor._show_assumed(assess("freebsd", Evidence(was_run=True), TRIALS))
    said = capsys.readouterr().out
    assert "FAIL  5 the options that we pass are taken" in said
    assert "?     4 walltimestamp" in said


@pytest.mark.dtrace
@pytest.mark.skipif(sys.platform != "linux", reason="the real DTrace of Linux")
def test_the_real_dtrace_keeps_all_of_them() -> None:
    command = find_dtrace()
    workspace = Workspace.create(command.path, linux.FACTS, all_types=True)
    try:
        seen = gather(os.getpid(), command.path, [], replace(linux.FACTS, options=()), workspace.options)
    finally:
        workspace.close()
    found = assess("macos", seen, TRIALS)
    assert [row for row in found if not row.holds] == []
    assert seen.samples > 0.5 * 97 * BURN_SECONDS
