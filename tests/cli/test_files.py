"""`convert`, `view` and `script`, and the writing of files."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import Run

from dtrace_profiler.cli import main
from dtrace_profiler.platforms import linux
from dtrace_profiler.platforms.base import is_superuser

RECORDING = """# dtrace-profiler recording 1
# {"frame":[0,"f","","",0,0,"native",0]}
# {"stack":[[0,0,0,1,0],[0]]}
# {"sample":[1700000000000000000,1,1,1,1]}
# {"lost":[1700000000000000000,3]}
"""
FOLDED = "main;parse;read 30\nmain;work 12\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


def test_convert(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "in.folded").write_text(FOLDED)
    assert main(["convert", "in.folded", "-o", "out.svg", "-o", "out.folded", "-o", "packed.folded.gz"]) == 0
    assert "<svg" in (here / "out.svg").read_text()
    assert sorted((here / "out.folded").read_text().splitlines()) == sorted(FOLDED.splitlines())
    assert sorted(gzip.decompress((here / "packed.folded.gz").read_bytes()).decode().splitlines()) == sorted(
        FOLDED.splitlines()
    )
    assert capsys.readouterr() == ("", "")
    assert len(os.listdir(here)) == 4


def test_convert_says_what_a_format_can_not_hold(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "in.dtrace").write_text(RECORDING)
    assert main(["convert", "in.dtrace", "-o", "out.pb.gz", "-o", "out.folded"]) == 0
    printed, said = capsys.readouterr()
    assert not printed
    assert said.splitlines()[0] == (
        "dtrace-profiler: out.pb.gz can't hold the samples' times and when samples were lost."
    )
    assert said.splitlines()[1].startswith("dtrace-profiler: out.folded can't hold times, ")


def test_a_format_that_needs_a_missing_package(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (here / "in.folded").write_text(FOLDED)
    assert main(["convert", "in.folded", "-o", "out.folded", "-o", "out.parquet"]) == 2
    said = capsys.readouterr().err
    assert "Parquet files need pyarrow, which is not installed." in said
    assert "pip install 'dtrace-profiler[parquet]'" in said
    assert os.listdir(here) == ["in.folded"]


def test_convert_by_pipes(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "here")
    done = subprocess.run(
        [sys.executable, "-m", "dtrace_profiler", "convert", "-", "-o", "-"],
        input=FOLDED,
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(done.stdout.splitlines()) == sorted(FOLDED.splitlines())


def test_convert_onto_itself(here: Path) -> None:
    (here / "in.folded").write_text(FOLDED)
    assert main(["convert", "in.folded", "-o", "in.folded"]) == 0
    assert sorted((here / "in.folded").read_text().splitlines()) == sorted(FOLDED.splitlines())


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"", "empty.folded"), (bytes(range(256)) * 100, "junk.bin"), (b"\x1f\x8b\x08\x00junk", "junk.gz")],
)
def test_what_is_no_profile(here: Path, content: bytes, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (here / name).write_bytes(content)
    assert main(["convert", name, "-o", "out.svg"]) == 5
    said = capsys.readouterr().err
    assert said.startswith(f"dtrace-profiler: {name}")
    assert "Traceback" not in said
    assert os.listdir(here) == [name]


def test_a_file_that_is_not_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "nowhere.folded", "-o", "out.svg"]) == 5
    assert capsys.readouterr().err == "dtrace-profiler: nowhere.folded can't be read: no such file or directory.\n"
    assert main(["view", ".", "--no-browser"]) == 5
    assert "is a directory" in capsys.readouterr().err


def test_an_output_that_can_not_be_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "in.folded").write_text(FOLDED)
    assert main(["convert", "in.folded", "-o", "nowhere/out.svg"]) == 6
    assert "nowhere/out.svg can't be written: No such file or directory" in capsys.readouterr().err


def test_view_says_where_the_page_is(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "in.folded").write_text(FOLDED)
    assert main(["view", "in.folded", "--no-browser"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.parent == tmp_path
    assert path.suffix == ".html"
    assert "parse" in path.read_text()


def test_view_opens_the_browser(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    (here / "in.folded").write_text(FOLDED)
    assert main(["view", "in.folded"]) == 0
    (address,) = opened
    assert address.startswith("file:///")
    assert Path(address.removeprefix("file://")).is_file()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    assert main(["view", "in.folded"]) == 0
    said = capsys.readouterr()
    assert "no browser could be opened" in said.err
    assert Path(said.out.strip()).is_file()


def test_a_stdin_that_is_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert main(["convert", "-", "-o", "-"]) == 2
    assert "stdin is the terminal" in capsys.readouterr().err


def test_script_is_a_program_of_these_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["script", "--pid", "4711", "-F", "997", "--kernel", "--native", "full"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("#pragma D option quiet\n")
    assert "profile-997" in text
    assert "4711" in text
    assert "stack(" in text
    assert main(["script", "--pid", "4711", "--native", "none"]) == 0
    assert "ustack" not in capsys.readouterr().out


@pytest.mark.dtrace
def test_dtrace_takes_the_script(cli: Run, here: Path) -> None:
    script = cli("script", "--pid", os.getpid(), "--native", "none").stdout
    (here / "look.d").write_text(script)
    from dtrace_profiler.platforms.dtrace_command import find_dtrace
    from dtrace_profiler.record.workspace import Workspace

    assert is_superuser()
    dtrace = find_dtrace().path
    workspace = Workspace.create(dtrace, linux.FACTS)
    try:
        options = [word for option in workspace.options for word in ("-x", option)]
        done = subprocess.run(
            [dtrace, *options, "-e", "-s", "look.d"], capture_output=True, text=True, check=False, timeout=60
        )
    finally:
        workspace.close()
    assert (done.returncode, done.stderr) == (0, "")
