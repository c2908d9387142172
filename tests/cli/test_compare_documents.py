"""What docs/compare.md and docs/gate.md show is what the commands there print. DTRACE_PROFILER_BLESS=1 writes it."""

from __future__ import annotations

import glob
import os
import re
import shlex
from pathlib import Path

import pytest

from dtrace_profiler.cli import main
from examples import shop_runs

ROOT = Path(__file__).parents[2]
EXAMPLE = re.compile(r"```sh\n([^`]*)```\n\n```text\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["shop_runs.py", str(folder / "runs")])
        assert shop_runs.main() == 0
    return folder


def words_of(line: str) -> list[str]:
    """As a shell would give them; patterns that no file is of stay."""
    out: list[str] = []
    for word in shlex.split(line):
        out += sorted(glob.glob(word)) or [word]
    return out


@pytest.mark.parametrize("name", ["compare.md", "gate.md"])
def test_what_a_document_shows_is_what_the_command_prints(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = ROOT / "docs" / name
    text = path.read_text()
    monkeypatch.chdir(folder)
    checked = 0

    def printed(match: re.Match[str]) -> str:
        nonlocal checked
        program, *arguments = words_of(match[1].splitlines()[-1])
        assert program == "dtrace-profiler"
        assert main(arguments) in (0, 1, 2)
        checked += 1
        return match[0].replace(match[2], capfd.readouterr().out)

    made = EXAMPLE.sub(printed, text)
    assert checked >= 2
    if os.environ.get("DTRACE_PROFILER_BLESS"):
        path.write_text(made)
    assert made.splitlines() == path.read_text().splitlines()
