"""What a command line says of the Python it starts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dtrace_profiler.sampling.interpreter import (
    can_start_python,
    interpreter_of,
    is_python_name,
    parse_interpreter,
)


@pytest.mark.parametrize(
    ("line", "program", "options"),
    [
        ("python x.py -I", "x.py -I", ""),
        ("python -X dev -O x.py", "x.py", "XO"),
        ("python -Xdev -Wignore -u x.py a", "x.py a", "XWu"),
        ("python -W ignore::A -E -m json.tool -I", "-m json.tool -I", "WE"),
        ("python -Ic pass", "-Ic pass", "I"),
        ("python -bbIm json.tool", "-bbIm json.tool", "bI"),
        ("python -cpass -E", "-cpass -E", ""),
        ("python -I - a", "- a", "I"),
        ("python -I", "", "I"),
        ("python --check-hash-based-pycs always -E x.py", "x.py", "E"),
        ("python --version", "", "h"),
        ("python -- -x.py", "-x.py", ""),
    ],
)
def test_options_of_an_interpreter(line: str, program: str, options: str) -> None:
    found = parse_interpreter(line.split())
    assert " ".join(found.words[found.program :]) == program
    assert found.options == set(options)


@pytest.mark.parametrize(
    ("line", "finds_us", "runs"),
    [
        ("python x.py", True, True),
        ("python -s -P x.py", True, True),
        ("python -I x.py", False, True),
        ("python -E -m a", False, True),
        ("python -S -c pass", False, True),
        ("python -I -", False, False),
        ("python -I", False, False),
        ("python -Ii x.py", False, False),
    ],
)
def test_which_way_leads_into_it(line: str, finds_us: bool, runs: bool) -> None:
    found = parse_interpreter(line.split())
    assert (found.finds_us, found.runs_program) == (finds_us, runs)


PYTHONS = (
    "python",
    "python3",
    "python3.14",
    "python3.14t",
    "/usr/bin/python3.11",
    "PYTHON.EXE",
    "pythonw.exe",
    "pypy3.11",
)
OTHERS = ("python-config", "pythonista", "ipython", "py", "perl", "python3.14-config")


def test_names_of_pythons() -> None:
    assert [name for name in (*PYTHONS, *OTHERS) if is_python_name(name)] == list(PYTHONS)


def script(folder: Path, first: str) -> str:
    path = folder / "tool"
    path.write_text(f"{first}\nprint()\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("first", "before"),
    [
        ("#!/usr/bin/python3 -Es", ["/usr/bin/python3", "-Es"]),
        ("#! /opt/python3.12", ["/opt/python3.12"]),
        ("#!/usr/bin/env python3", ["python3"]),
        ("#!/usr/bin/env -S python3 -I -X dev", ["python3", "-I", "-X", "dev"]),
    ],
)
def test_interpreter_of_a_script(tmp_path: Path, first: str, before: list[str]) -> None:
    path = script(tmp_path, first)
    found = interpreter_of([path, "a"], {})
    assert found is not None
    assert list(found.words[: found.program]) == before
    assert list(found.words[found.program :]) == [path, "a"]
    by_name = interpreter_of(["tool"], {"PATH": str(tmp_path)})
    assert by_name is not None
    assert by_name.words[-1] == path


@pytest.mark.parametrize("first", ["#!/bin/sh", "#!/usr/bin/env perl", "#!/usr/bin/env", "no such line", "#!"])
def test_scripts_of_other_languages(tmp_path: Path, first: str) -> None:
    assert interpreter_of([script(tmp_path, first)], {}) is None


def test_what_may_start_a_python(tmp_path: Path) -> None:
    environ = dict(os.environ)
    if shutil.which("ls") is None or shutil.which("sh") is None:
        pytest.skip("needs ls and sh")
    assert not can_start_python(["ls", "-l"], environ)
    assert can_start_python(["sh", "-c", "true"], environ)
    assert can_start_python(["ls", "python3"], environ)
    assert can_start_python(["ls", "x.py"], environ)
    assert can_start_python([script(tmp_path, "#!/bin/sh")], environ)
    assert can_start_python(["no-such-command-at-all"], environ)
