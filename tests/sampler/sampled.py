"""Runs real programs under the embedded sampler, each in an interpreter of its own."""

from __future__ import annotations

import functools
import glob
import os
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.options import Options
from dtrace_profiler.sampling.launch import prepare
from dtrace_profiler.sampling.reader import SampledProcess, SamplerSample

VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.15", "3.15t")


@functools.cache
def find_python(version: str) -> str | None:
    """The real interpreter of this minor version, behind any shim; never one of a virtual environment."""
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    candidates = sorted(glob.glob(f"{pyenv}/versions/{version.rstrip('t')}.*/bin/python{version}"))
    for candidate in [*candidates, shutil.which(f"python{version}")]:
        if candidate is None:
            continue
        asked = (
            "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.executable);"
            " print(getattr(sys, 'base_prefix', sys.prefix) == sys.prefix)"
        )
        done = subprocess.run([candidate, "-c", asked], capture_output=True, text=True)
        found, executable, real = (*done.stdout.splitlines(), "", "", "")[:3]
        if done.returncode == 0 and found == version.rstrip("t") and real == "True":
            return executable
    return None


def interpreter(version: str) -> str:
    found = find_python(version)
    if found is None:
        pytest.skip(f"no Python {version} here")
    return found


@dataclass
class Run:
    status: int
    out: str
    err: str
    samples: list[SamplerSample]
    processes: list[SampledProcess]
    losses: dict[str, int]
    notes: list[str]

    @property
    def cpu_ns(self) -> int:
        return sum(sample[4] for sample in self.samples)

    def by(self, key: Any) -> Counter[Any]:
        """CPU time in ns by key(frames)."""
        out: Counter[Any] = Counter()
        for _, _, _, frames, cpu in self.samples:
            out[key(frames)] += cpu
        return out


def leaf(frames: tuple[StackFrame, ...]) -> str:
    return frames[-1].function_name


def run(
    command: list[str | Path],
    *,
    frequency_hz: int = 997,
    children: bool = False,
    depth: int = 128,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    stdin: str | None = None,
) -> Run:
    """Run to the end with the sampler in it."""
    environ = dict(os.environ) if env is None else env
    options = Options(frequency_hz=frequency_hz, children=children, depth=depth)
    launch = prepare([str(word) for word in command], options, environ=environ)
    samples: list[SamplerSample] = []
    launch.reader.start(samples.extend)
    try:
        done = subprocess.run(
            launch.command,
            env={**environ, **launch.environment},
            capture_output=True,
            cwd=cwd,
            input=None if stdin is None else stdin.encode(),
            timeout=120,
        )
    finally:
        launch.reader.finish()
    assert not launch.reader.folder.exists()
    reader = launch.reader
    return Run(
        done.returncode,
        done.stdout.decode(),
        done.stderr.decode(),
        samples,
        reader.processes,
        reader.losses,
        reader.notes,
    )


def plain(
    command: list[str | Path], *, cwd: Path | None = None, env: dict[str, str] | None = None, stdin: str | None = None
) -> tuple[int, str, str]:
    """The same without the sampler: exit status, output, errors."""
    done = subprocess.run(
        [str(word) for word in command],
        env=dict(os.environ) if env is None else env,  # not what a library has put into C's environment
        capture_output=True,
        cwd=cwd,
        input=None if stdin is None else stdin.encode(),
        timeout=120,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()
