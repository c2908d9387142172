"""A stand-in for dtrace, and a process to be profiled."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import fake_dtrace

sys.path.insert(0, str(Path(__file__).parent))
from engine_runs import Fake


@pytest.fixture(autouse=True)
def impatient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in for dtrace knows no other sign to end than a signal."""
    if request.node.get_closest_marker("dtrace") is None:
        monkeypatch.setattr("dtrace_profiler.stage._PATIENCE_S", 0.1)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    def install(**behaviour: object) -> Path:
        path = fake_dtrace.install(tmp_path, **behaviour)
        monkeypatch.setenv("DTRACE_PROFILER_DTRACE", str(path))
        return path

    return install


@pytest.fixture
def target() -> Iterator[int]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, of this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder
