"""`--tui` where it can't be: said in a sentence, before anything is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import command


@pytest.mark.parametrize("words", [("run", "--tui", "--"), ("view", "--tui")])
def test_without_textual(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'textual' else find(name, *rest)\n"
    )
    program = [sys.executable, "-c", "open('started', 'w')"] if words[0] == "run" else ["a.folded"]
    answer = subprocess.run(
        [*command(*words), *program],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert answer.returncode == 2
    assert answer.stderr == (
        "dtrace-profiler: --tui needs Textual, which is not installed.\n  try: pip install 'dtrace-profiler[tui]'\n"
    )
    assert not (tmp_path / "started").exists()


def test_without_a_terminal(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "open('started', 'w')"]
    answer = subprocess.run(
        [*command("run", "--tui", "--"), *program], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert answer.returncode == 2
    assert answer.stderr == "dtrace-profiler: --tui needs a terminal: neither stdout nor stderr is one.\n"
    assert not (tmp_path / "started").exists()
