"""Every block of code in the documents is run, or checked and a reason given why it is not run."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from document_blocks import BLOCKS, DOCUMENTS, ROOT, RUN_LANGUAGES, Block

import dtrace_profiler
from dtrace_profiler import DTraceProfiler, Meta, Sample, StackFrame

LANGUAGES = {"", "d", "ini", "json", "python", "sh", "sql", "text", "toml", "yaml"}
CHECKED_ONLY = {"README.md", "CONTRIBUTING.md"} | {
    f"docs/{name}.md" for name in ("compare", "gate", "query", "configuration", "pytest", "jupyter", "web")
}
"""Documents whose blocks may go without a word on whether they are run."""
MEANT = {"profiler": DTraceProfiler, "sample": Sample, "frame": StackFrame, "meta": Meta}
"""What a variable of that name is in every example."""
WORK = '''\
def work():
    """Stands for whatever is profiled."""
    import time
    end = time.process_time() + 0.1
    while time.process_time() < end:
        sum(number % 7 for number in range(1000))
'''
SHELL = [block for block in BLOCKS if block.language == "sh"]
PYTHON = [block for block in BLOCKS if block.language == "python"]
RUN = sorted({block.document for block in BLOCKS if block.mark == "run"})


def attributes_that_are_not(tree: ast.AST) -> Iterator[str]:
    """Names of ours that an example uses and that there are not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "dtrace_profiler":
            module = importlib.import_module(node.module or "")
            yield from (f"{node.module}.{name.name}" for name in node.names if not hasattr(module, name.name))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            kind = MEANT.get(node.value.id)
            if node.value.id == "dtrace_profiler":
                there = hasattr(dtrace_profiler, node.attr)
            elif kind is DTraceProfiler:
                there = hasattr(DTraceProfiler(), node.attr)
            else:
                there = kind is None or hasattr(kind, node.attr)
            if not there:
                yield f"{node.value.id}.{node.attr}"


def compiled(code: str) -> ast.AST:
    """As in a notebook or an asyncio console: `await` may stand by itself, and a line may begin with %."""
    plain = "\n".join("" if line.startswith(("%", "!")) else line for line in code.splitlines())
    tree = ast.parse(plain)
    compile(plain, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return tree


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_blocks_say_their_language_and_whether_they_are_run(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    for block in (block for block in BLOCKS if block.document == name):
        assert block.language in LANGUAGES, f"{block} is of an unknown language"
        if block.language in RUN_LANGUAGES and name not in CHECKED_ONLY:
            assert block.mark, f"{block}: say `<!-- run -->` or `<!-- not run: WHY -->` above it"
        if block.mark == "not run":
            assert len(block.what) > 5, f"{block} does not say why it is not run"
    marks = re.findall(r"^ *<!-- *(?:run|not run|file)\b", path.read_text(), re.MULTILINE)
    assert len(marks) == sum(block.document == name and bool(block.mark) for block in BLOCKS), (
        "a mark is above no block"
    )


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_an_example_in_python_uses_what_there_is(block: Block) -> None:
    assert list(attributes_that_are_not(compiled(block.code))) == []


@pytest.mark.parametrize(
    "code",
    ["from dtrace_profiler import nothing", "profiler.begin()", "print(sample.thread)", "dtrace_profiler.nothing"],
)
def test_an_example_that_uses_what_there_is_not_is_noticed(code: str) -> None:
    assert list(attributes_that_are_not(compiled(code)))


def test_shell_examples_are_shell(tmp_path: Path) -> None:
    for block in SHELL:
        script = tmp_path / "block.sh"
        script.write_text(block.code)
        checked = subprocess.run(["bash", "-n", script], capture_output=True, text=True)
        assert checked.returncode == 0, f"{block}: {checked.stderr}"


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `demo.dtrace` is in the documents, of a moment only."""
    path = tmp_path_factory.mktemp("documents") / "demo.dtrace"
    program = [sys.executable, "-c", WORK + "work()"]
    command = [sys.executable, "-m", "dtrace_profiler", "run", "-q", "--engine", "sampler", "--record", path]
    subprocess.run([*command, "-o", path.with_suffix(".folded"), "--", *program], check=True)
    return path


@pytest.fixture
def folder(tmp_path: Path, recording: Path) -> Path:
    """What the documents take for granted: a program, its examples, a recording, a text that dtrace printed."""
    (tmp_path / "script.py").write_text(f"{WORK}\ndef parse():\n    work()\n\nwork(), work(), work(), parse()\n")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    example = tmp_path / "examples" / "slowdown.py"
    example.write_text(example.read_text().replace("12.0", "1.0"))
    shutil.copy(recording, tmp_path / "demo.dtrace")
    shutil.copy(ROOT / "tests" / "data" / "dtrace" / "cxx-stack-and-ustack.txt", tmp_path / "stacks.txt")
    return tmp_path


@pytest.mark.parametrize("document", RUN)
def test_what_is_marked_can_be_run(document: str, folder: Path) -> None:
    """All such blocks of a document, one after the other, in one folder."""
    own = [block for block in BLOCKS if block.document == document]
    for block in (block for block in own if block.mark == "file"):
        (folder / block.what).write_text(block.code)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("DISPLAY", None)
    for block in (block for block in own if block.mark == "run"):
        if block.language == "sh":
            command = ["bash", "-eu", "-c", block.code]
        else:
            (folder / "example.py").write_text(WORK + block.code)
            command = [sys.executable, "-W", "error", "example.py"]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
        )
        assert done.returncode == 0, f"{block} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, f"{block}:\n{done.stderr}"
