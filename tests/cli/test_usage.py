"""What can be typed, and what is said to what can't."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dtrace_profiler import __version__
from dtrace_profiler import cli as command_line
from dtrace_profiler.cli import main
from dtrace_profiler.cli.commands import cli as group

COMMANDS = sorted(group.commands)


@pytest.fixture(autouse=True)
def an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DTRACE_PROFILER_DEBUG", raising=False)


def test_the_commands() -> None:
    assert [
        *(
            "attach",
            "completion",
            "convert",
            "diff",
            "doctor",
            "gate",
            "mcp",
            "query",
            "run",
            "script",
            "stat",
            "top",
        ),
        "view",
    ] == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches_by_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Usage: dtrace-profiler {name}" in text
    assert "Examples:" in text
    examples = text.partition("Examples:")[2]
    assert f"dtrace-profiler {name}" in examples


def test_help_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-h"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name}" in text for name in COMMANDS)
    assert "dtrace-profiler run -- python script.py" in text


def test_version_by_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dtrace_profiler", "--version"], capture_output=True, text=True, check=True
    )
    assert __version__ in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run"], "Missing argument"),
        (["bogus"], "No such command 'bogus'"),
        (["run", "--bogus", "--", "true"], "No such option"),
        (["run", "-F", "0", "--", "true"], "0 is out of range: 1 to 4999 Hz."),
        (["run", "-F", "5000", "--", "true"], "5000 is out of range: 1 to 4999 Hz."),
        (["run", "-F", "-1", "--", "true"], "-1 is out of range: 1 to 4999 Hz."),
        (["run", "-F", "abc", "--", "true"], "'abc' is not a whole number: 1 to 4999 Hz."),
        (["run", "-F", "9.9", "--", "true"], "'9.9' is not a whole number"),
        (["run", "-F", "٣", "--", "true"], "is not a whole number"),
        (["run", "-F", "9" * 50, "--", "true"], "is not a whole number"),
        (["run", "--depth", "0", "--", "true"], "0 is out of range: 1 to 512 frames."),
        (["run", "--depth", "513", "--", "true"], "513 is out of range"),
        (["run", "-d", "0", "--", "true"], "no duration above 0"),
        (["run", "-d", "-1", "--", "true"], "no duration above 0"),
        (["run", "-d", "soon", "--", "true"], "no duration above 0"),
        (["run", "-d", "1 year", "--", "true"], "no duration above 0"),
        (["run", "-d", "nan", "--", "true"], "no duration above 0"),
        (["run", "--engine", "perf", "--", "true"], "perf"),
        (["run", "--native", "some", "--", "true"], "some"),
        (["run", "--format", "nosuch", "-o", "x.html", "--", "true"], "nosuch"),
        (["run", "-o", "x.nosuch", "--", "true"], "nosuch"),
        (["run", "--record", "a.dtrace", "-o", "b.dtrace", "--", "true"], "one recording"),
        (["run", "--record", "-", "--", "true"], "can't go to stdout"),
        (["run", "--format", "dtrace", "-o", "-", "--", "true"], "can't go to stdout"),
        (["attach"], "Missing argument"),
        (["attach", "abc"], "'abc' is not a process id"),
        (["attach", "0"], "'0' is not a process id"),
        (["attach", "1.5"], "is not a process id"),
        (["attach", "1", "2"], "extra argument"),
        (["attach", "1", "--engine", "sampler"], "the sampler can't look into a process that runs already"),
        (["convert", "x"], "Missing option"),
        (["script"], "Missing option"),
        (["completion", "cmd"], "cmd"),
    ],
)
def test_usage_errors(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("dtrace-profiler: ")
    assert sentence in said.err
    assert "Traceback" not in said.err
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("10", 10), ("1.5", 1.5), (".5", 0.5), ("500ms", 0.5), ("10s", 10), ("2m", 120), ("1h", 3600), ("3 min", 180)],
)
def test_durations(typed: str, seconds: float) -> None:
    from dtrace_profiler.cli.parameters import Duration

    assert Duration().convert(typed, None, None) == pytest.approx(seconds)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_DTRACE_PROFILER_COMPLETE" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    if not shutil.which("bash"):
        pytest.skip("needs bash")
    program = tmp_path / "dtrace-profiler"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dtrace_profiler "$@"\n')
    program.chmod(0o755)
    environ = {**os.environ, "COMP_WORDS": "dtrace-profiler run --fr", "COMP_CWORD": "2"}
    environ["_DTRACE_PROFILER_COMPLETE"] = "bash_complete"
    done = subprocess.run([str(program)], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "plain,--frequency\n"


def test_who_reads_our_output_may_leave() -> None:
    # More than a pipe holds, so that it is noticed.
    code = (
        "import sys; from dtrace_profiler import cli; from dtrace_profiler.cli import commands\n"
        "import click\n"
        "@commands.cli.command()\ndef flood():\n    for _ in range(100000): click.echo('x' * 100)\n"
        "sys.exit(cli.main(['flood']))"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.readline()
    writer.stdout.close()
    assert writer.stderr.read() == b""
    writer.stderr.close()
    assert writer.wait(60) == 141


def test_what_nobody_foresaw(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(**_: object) -> None:
        raise ZeroDivisionError("flux")

    monkeypatch.setattr(command_line.cli, "main", fail)
    assert main([]) == 1
    said = capsys.readouterr().err
    assert "unexpected ZeroDivisionError at test_usage.py:" in said
    assert "flux" in said
    assert "please report" in said
    assert "Traceback" not in said
    monkeypatch.setenv("DTRACE_PROFILER_DEBUG", "1")
    assert main([]) == 1
    assert "Traceback" in capsys.readouterr().err
