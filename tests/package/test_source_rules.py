"""Rules of the code that a reader relies on, kept by looking at the source itself."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "dtrace_profiler"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400

ONLY_HERE = {
    "sys.platform": "platforms/base.py",
    "os.name": "platforms/base.py",
}
"""What tells systems apart, and the one module that may ask. All others take a system's name as a value."""

# A home or a work folder at the beginning of a path: not `{pid}/root/...`, not `proc/PID/root/`.
FOLDER_OF_ONE_MACHINE = re.compile(r"(?<![\w}>)*./-])/(root|work|home/(?!me\b|user\b)\w+|Users/(?!me\b|user\b)\w+)/")


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def committed_files() -> list[Path]:
    """Files that git knows; all files of the project where there is no git, as in an unpacked sdist."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        answer = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
        paths = [ROOT / line for line in answer.stdout.split("\0") if line]
    else:
        folders = ("src", "tests", "docs", "examples", "benchmarks", "scripts", ".ci")
        paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
        paths += ROOT.glob("*.*")
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def attributes(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each `name.attribute`, and each `from name import attribute`, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}", node.lineno
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def foreign_questions(source: str, where: str) -> list[str]:
    """Places of a module that ask which system this is, and may not."""
    return [
        f"{where}:{line} uses {what}, which only {ONLY_HERE[what]} may"
        for what, line in attributes(ast.parse(source))
        if what in ONLY_HERE and ONLY_HERE[what] != where
    ]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_one_module_asks_which_system_this_is(path: Path) -> None:
    assert foreign_questions(path.read_text(), name(path)) == []


@pytest.mark.parametrize(
    "source", ["import sys\nsys.platform\n", "from sys import platform\n", "import os\nos.name\n"]
)
def test_a_question_for_the_system_is_noticed(source: str) -> None:
    assert foreign_questions(source, "profiler.py")


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_is_short(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= MAX_LINES, f"{name(path)} has {lines} lines: divide it by purpose"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text, f"{name(path)} has no docstring"
    assert "TODO" not in text


def test_no_module_is_named_for_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    assert [name(path) for path in MODULES if path.stem in empty] == []


def test_no_path_of_one_machine_is_committed() -> None:
    found = []
    for path in committed_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for match in FOLDER_OF_ONE_MACHINE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{path.relative_to(ROOT)}:{line}: {match.group()}")
    assert found == []


def test_a_path_of_one_machine_is_noticed() -> None:
    for path in ("'/" + "root/x'", " /" + "work/project/", "=/" + "home/alice/x", "/" + "Users/alice/"):
        assert FOLDER_OF_ONE_MACHINE.search(path), path
    for path in ("/proc/1/root/usr", "{pid}/root/x", "/proc/PID/root/x", "/home/me/app.py"):
        assert not FOLDER_OF_ONE_MACHINE.search(path), path


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_tests_can_be_collected_on_every_system(path: Path) -> None:
    """What is not there on Windows is imported where it is used, or by `pytest.importorskip`."""
    absent = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
    for node in ast.parse(path.read_text()).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not absent & {name.partition(".")[0] for name in names}, f"line {node.lineno}"
