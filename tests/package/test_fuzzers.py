"""Each fuzz target for a moment, the same inputs each time; that the machinery notices what it is there for."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dtrace_profiler.formats import FORMATS
from fuzz import run as run_module
from fuzz.run import run, save
from fuzz.target import Target
from fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="limits are those of a forked process")


@pytest.mark.parametrize("name", TARGETS)
def test_a_moment_of_fuzzing_finds_nothing(name: str) -> None:
    outcome = run(TARGETS[name], seed=1, examples=60)
    assert not outcome.failure, f"{outcome.failure}\ninput: {outcome.input!r}"
    assert outcome.inputs >= 60


def test_every_format_that_is_read_is_a_target() -> None:
    assert {f"format-{item.name}" for item in FORMATS if item.reads} <= set(TARGETS)


def _fail(data: bytes) -> None:
    assert b"x" not in data, "an x"


def test_what_fails_is_made_small_and_kept(tmp_path: Path) -> None:
    outcome = run(Target("planted", _fail, lambda: [b"abc", b"de"]), seed=1, examples=3000)
    assert "an x" in outcome.failure
    assert b"x" in outcome.input
    assert len(outcome.input) < 20
    path = save(outcome, "planted", tmp_path)
    assert path.read_bytes() == outcome.input
    assert "an x" in path.with_suffix(".txt").read_text()


def _fill(data: bytes) -> None:
    bytearray(1 << 26)


def test_memory_beyond_what_is_promised_is_noticed() -> None:
    assert "bytes of memory for" in run(Target("planted", _fill, lambda: [b"a"], memory_a_byte=9), examples=5).failure
    assert not run(Target("planted", _fill, lambda: [b"a"]), examples=5).failure


def _hang(data: bytes) -> None:
    while data == b"hang":
        pass


def _crash(data: bytes) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@needs_fork
def test_hangs_and_crashes_are_noticed_with_their_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "CPU_SECONDS", 0.2)
    outcome = run(Target("planted", _hang, lambda: [b"a", b"hang"]), examples=5)
    assert outcome.failure.startswith("no end after")
    assert "_hang" in outcome.failure, "the traceback says where"
    assert outcome.input == b"hang"
    outcome = run(Target("planted", _crash, lambda: [b"a"]), examples=5)
    assert (outcome.failure.splitlines()[0], outcome.input) == (f"the process ended: {-signal.SIGSEGV}", b"a")


def test_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fuzz"]
    done = subprocess.run([*command, "--seconds", "0", "--seed", "7", "line-table"], cwd=ROOT, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"^line-table +\d+ inputs in .* ok$", done.stdout, re.MULTILINE)
    done = subprocess.run([*command, "nothing"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no target nothing" in done.stderr
