"""What a command runs: which file, whether that is Python, and what its options forbid. Starts nothing."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PYTHON = re.compile(r"(python|pypy)[0-9.]*[dmtuw]*(\.exe)?$", re.IGNORECASE)
_WITH_VALUE = "cmWX"
_ENDS = "cm"
_SHEBANG_BYTES = 512
_BINARIES = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_EMBEDS_PYTHON = (b"Py_Initialize", b"libpython")

_STARTERS = frozenset(
    "ash bash busybox chroot chrt conda csh dash direnv doas docker dumb-init entr env fakeroot firejail "
    "fish flock gdb hatch ionice just ksh lldb ltrace make mamba micromamba mpiexec mpirun nice ninja "
    "nohup npm npx numactl pdm perf pipenv pipx pixi podman poetry prlimit rlwrap rr runuser rye screen "
    "script setarch setpriv setsid setuidgid sh srun stdbuf strace su sudo systemd-run taskset tcsh time "
    "timeout tini tmux torchrun tox unshare uv uvx valgrind watch watchexec xargs xvfb-run yash zsh".split()
)
"""Programs whose purpose is to start others, which may well be Python."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """`words[:program]` are the interpreter and its options; then comes the script, `-c`, `-m`, `-`, or nothing."""

    words: tuple[str, ...]
    program: int
    options: frozenset[str]
    """Single letters, those before the program."""

    @property
    def finds_us(self) -> bool:
        """Whether PYTHONPATH and `site` are in use."""
        return not self.options & set("EIS")

    @property
    def runs_program(self) -> bool:
        """A script, module or code that can be run from within; not standard input, a prompt, or `--version`."""
        if self.options & set("hVi?x") or self.program >= len(self.words):
            return False
        return self.words[self.program] != "-"


def parse_interpreter(words: Sequence[str]) -> Interpreter:
    """The command line of an interpreter, whose name is the first word."""
    options: set[str] = set()
    index = 1
    while index < len(words):
        word = words[index]
        if not word.startswith("-") or word == "-":
            break
        if word == "--":
            index += 1
            break
        if word.startswith("--"):
            if word == "--check-hash-based-pycs":
                index += 1
            elif word.startswith(("--help", "--version")):
                options.add("h")
            index += 1
            continue
        stops = False
        for place, letter in enumerate(word[1:], start=1):
            if letter in _ENDS:
                stops = True
                break
            options.add(letter)
            if letter in _WITH_VALUE:
                if place == len(word) - 1:
                    index += 1
                break
        if stops:
            break
        index += 1
    return Interpreter(words=tuple(words), program=index, options=frozenset(options))


def find_command(name: str, environ: Mapping[str, str]) -> Path | None:
    found = shutil.which(name, path=environ.get("PATH"))
    return None if found is None else Path(found)


def is_python_name(name: str) -> bool:
    return _PYTHON.match(os.path.basename(name)) is not None


def interpreter_of(command: Sequence[str], environ: Mapping[str, str]) -> Interpreter | None:
    """The interpreter that the command starts, by itself or through its script's first line; None: no Python."""
    if is_python_name(command[0]):
        return parse_interpreter(command)
    path = find_command(command[0], environ)
    line = None if path is None else _shebang(path)
    if not line:
        return None
    program = str(path)
    name, _, rest = line.partition(" ")
    rest = rest.strip()
    if os.path.basename(name) == "env":
        words = rest.removeprefix("-S").split()
        if not words:
            return None
    else:
        words = [name, rest] if rest else [name]  # Linux gives all that follows as one word
    return parse_interpreter([*words, program, *command[1:]]) if is_python_name(words[0]) else None


def _shebang(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            head = file.read(_SHEBANG_BYTES)
    except OSError:
        return ""
    return head[2:].split(b"\n", 1)[0].decode("utf-8", "surrogateescape").strip() if head.startswith(b"#!") else ""


def can_start_python(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    """False only where a binary is surely neither Python, nor with Python inside, nor meant to start others."""
    path = find_command(command[0], environ)
    if path is None or path.name.removesuffix(".exe") in _STARTERS:
        return True
    if any(is_python_name(word) or word.endswith((".py", ".pyz")) for word in command[1:]):
        return True
    try:
        data = path.read_bytes() if path.stat().st_size < 1 << 28 else b""
    except OSError:
        return True
    return not data.startswith(_BINARIES) or any(word in data for word in _EMBEDS_PYTHON)
