"""Our command line as users start it, with a dtrace of the test's choice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import fake_dtrace
from dtrace_profiler.platforms.base import is_superuser

sys.path.insert(0, str(Path(__file__).parent))
from cli_runs import Run, command

TIMEOUT_S = 120

PROGRAM = """
import sys, time
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(200))
burn(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    """A Python program: its arguments are CPU seconds and its exit status."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return [sys.executable, str(path)]


@pytest.fixture
def cli(tmp_path: Path) -> Run:
    """Runs `dtrace-profiler ARGUMENTS` in an empty folder, `tmp_path / "here"`."""
    here = tmp_path / "here"
    here.mkdir(exist_ok=True)

    def run(
        *arguments: object, env: dict[str, str] | None = None, stdin: str = "", timeout: float = TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments),
            cwd=here,
            env={**os.environ, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Installs a stand-in for dtrace, which our command line then uses, as root or through a stand-in for sudo."""
    folder = tmp_path / "fake"
    folder.mkdir()
    folder.chmod(0o755)
    if not is_superuser():
        sudo = folder / "sudo"
        sudo.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n')
        sudo.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def install(**behaviour: object) -> Path:
        path = fake_dtrace.install(folder, **behaviour)
        monkeypatch.setenv("DTRACE_PROFILER_DTRACE", str(path))
        return path

    return install


def children_of(pid: int) -> Sequence[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in done.stdout.split()]
