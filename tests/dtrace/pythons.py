"""Interpreters there are, a profile of one's whole life, and the Python functions of a sample."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from dtrace_profiler import DTraceProfiler, FrameKind, Profile, Sample
from dtrace_profiler.launch import start_held


def _interpreters(*versions: str) -> dict[str, str]:
    """Version → an interpreter that is no shell script around one."""
    found = {}
    for version in versions:
        candidates = [shutil.which(f"python{version}") or ""]
        pyenv = Path.home() / ".pyenv/versions"
        candidates += [str(path) for path in pyenv.glob(f"{version.rstrip('t')}.*/bin/python{version}")]
        for candidate in reversed(candidates):
            if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
                found[version] = os.path.realpath(candidate)
                break
    return found


INTERPRETERS = _interpreters("3.11", "3.12", "3.13", "3.14", "3.15")
FREE_THREADED = _interpreters("3.13t", "3.14t", "3.15t")
"""Few machines have one."""
_every = {**INTERPRETERS, **FREE_THREADED}
each_python = pytest.mark.parametrize("python", _every.values(), ids=_every.keys())
_ends = sorted({min(INTERPRETERS), max(INTERPRETERS)}) if INTERPRETERS else []
oldest_and_newest = pytest.mark.parametrize("python", [INTERPRETERS[version] for version in _ends], ids=_ends)
"""For what differs in how processes live, not in how CPython keeps its frames."""


def run(command: list[str], frequency_hz: int, **options: object) -> tuple[Profile, str]:
    with tempfile.TemporaryFile("w+") as file:
        saved = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            target = start_held(command)
        finally:
            os.dup2(saved, 1)
            os.close(saved)
        profiler = DTraceProfiler(target.pid, engine="dtrace", before_exec=command, **options)  # type: ignore[arg-type]
        profiler.start(frequency_hz)
        assert profiler.wait_ready(60)
        target.release()
        assert target.wait(240) == 0
        profiler.stop()
        assert profiler.error is None, profiler.error
        file.seek(0)
        return profiler.profile(), file.read()


def said(profile: Profile) -> object:
    """For the message of an assertion."""
    return len(profile), profile.meta.losses, profile.meta.notes


def names(sample: Sample) -> list[str]:
    """Python functions, root first."""
    return [frame.function_name for frame in sample.stack_frames if frame.kind is FrameKind.PYTHON]
