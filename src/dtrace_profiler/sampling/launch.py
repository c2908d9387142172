"""Makes a command bring the embedded sampler into the Python program that it runs.

The program runs in its own interpreter, which needs nothing of ours installed. How, and why so:
docs/decisions/0003-sampler-bootstrap.md.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from dtrace_profiler.errors import OutputError, TargetError
from dtrace_profiler.model.options import Options
from dtrace_profiler.platforms.base import system
from dtrace_profiler.platforms.cpu_clocks import clock_source
from dtrace_profiler.sampling.interpreter import Interpreter, can_start_python, interpreter_of
from dtrace_profiler.sampling.reader import Reader
from dtrace_profiler.sampling.target.bootstrap import PARTS

TARGET_FILES = tuple(f"{name}.py" for name in ("sitecustomize", "run_program", "as_main", "bootstrap", *PARTS))


class Launch(NamedTuple):
    command: list[str]
    """What to start instead."""
    environment: dict[str, str]
    """To be added to the environment that `prepare` was given."""
    reader: Reader


def prepare(command: Sequence[str], options: Options, *, environ: Mapping[str, str] | None = None) -> Launch:
    """Everything to start `command` with the sampler in it. Makes a private folder, which `Reader.finish` removes.

    Without `options.children` only the first Python of the command is sampled (of each branch, where a shell starts
    several), and its child processes know nothing of it. With it the environment stays, and each Python process
    that inherits it is sampled.

    `TargetError`: the command is surely no Python, or its interpreter can't be sampled. Nothing is left behind then.
    """
    environ = os.environ if environ is None else environ
    interpreter = interpreter_of(command, environ)
    if interpreter is None and not options.children and not can_start_python(command, environ):
        raise TargetError(
            f"the sampler sees only Python programs, and {command[0]} is none:"
            " profile it with --engine dtrace, or add --all-children if it starts Python programs."
        )
    words = list(command)
    through_file = interpreter is not None and not interpreter.finds_us
    if interpreter is not None and through_file and not interpreter.runs_program:
        raise TargetError(
            "the sampler can't get into a Python that is started with -E, -I or -S and reads its program from"
            " standard input: put the program into a file, or leave these options out."
        )
    folder = _make_folder(options, environ)
    if interpreter is not None and through_file:
        words = _through_file(interpreter, folder)
    notes = []
    if through_file and options.children:
        notes.append("child processes are started without the sampler's environment where they use -E, -I or -S.")
    path = environ.get("PYTHONPATH", "")
    added = {"PYTHONPATH": f"{folder}{os.pathsep}{path}" if path else str(folder)}
    if through_file and not options.children:
        added = {}
    return Launch(words, added, Reader(folder, notes=notes))


def _through_file(interpreter: Interpreter, folder: Path) -> list[str]:
    before, program = interpreter.words[: interpreter.program], interpreter.words[interpreter.program :]
    if program[0].startswith(("-c", "-m")) and len(program[0]) > 2:
        program = (program[0][:2], program[0][2:], *program[1:])
    elif program[0].startswith("-"):  # -c at the end of other letters: -Ic
        letters = program[0][1:]
        place = min(letters.find(letter) for letter in "cm" if letter in letters)
        before = (*before, "-" + letters[:place]) if place else before
        value = (letters[place + 1 :],) if letters[place + 1 :] else ()
        program = ("-" + letters[place], *value, *program[1:])
    return [*before, str(folder / "run_program.py"), str(len(before)), *program]


def _make_folder(options: Options, environ: Mapping[str, str]) -> Path:
    try:
        folder = Path(tempfile.mkdtemp(prefix="dtrace-profiler-"))
        source = files("dtrace_profiler.sampling.target")
        for name in TARGET_FILES:
            (folder / name).write_text(source.joinpath(name).read_text("utf-8"), "utf-8")
        clocks = clock_source(system())
        if clocks is not None:
            shutil.copyfile(clocks, folder / "clocks.py")
        config = {
            "interval_ns": 1_000_000_000 // options.frequency_hz,
            "depth": options.depth,
            "children": int(options.children),
            "pythonpath": "empty" if environ.get("PYTHONPATH") == "" else "other",
        }
        (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in config.items()), "utf-8")
    except OSError as error:
        raise OutputError(f"the sampler needs a folder for temporary files: {error}; set TMPDIR to one.") from None
    return folder
