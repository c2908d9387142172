"""Real programs, compiled by the tests that need them, and their addresses."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from compiled import WAITER, need

from dtrace_profiler.symbols.cache import SymbolCache
from dtrace_profiler.symbols.native import Symboliser


@pytest.fixture
def compile_c(tmp_path: Path) -> Callable[..., Path]:
    def build(*options: str, source: str = WAITER, name: str = "program", compiler: str = "gcc") -> Path:
        need(compiler)
        suffix = ".cc" if compiler == "g++" else ".c"
        text = tmp_path / f"{re.sub('[^a-z0-9]', '_', name)}{suffix}"
        text.write_text(source)
        out = tmp_path / name
        done = subprocess.run([compiler, *options, str(text), "-o", str(out)], capture_output=True, text=True)
        if done.returncode and "cannot find" in done.stderr:
            pytest.skip(f"{compiler} can't link with {' '.join(options)} here")
        assert done.returncode == 0, done.stderr
        return out

    return build


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[subprocess.Popen[str], list[int]]]]:
    """Start a program; give it and the addresses on its first line."""
    if not os.path.exists("/proc/self/maps"):
        pytest.skip("needs a Linux /proc")
    running: list[subprocess.Popen[str]] = []

    def begin(*command: str | Path, cwd: Path | None = None) -> tuple[subprocess.Popen[str], list[int]]:
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True, cwd=cwd)
        running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        return process, [int(word, 16) for word in line.split() if word.startswith("0x")]

    yield begin
    for process in running:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def symboliser(tmp_path: Path) -> Iterator[Symboliser]:
    """Without a cache, and with debug files only in a folder of the test's own."""
    with Symboliser(cache=SymbolCache(None), debug_directories=[str(tmp_path / "debug")]) as made:
        yield made
