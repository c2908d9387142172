"""What the documents promise is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from dtrace_profiler.cli.commands import cli
from dtrace_profiler.errors import DTraceProfilerError
from dtrace_profiler.record import messages

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MODULES = sorted((ROOT / "src" / "dtrace_profiler").rglob("*.py"))
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_links_lead_somewhere(path: Path) -> None:
    links = [link for link in LINK.findall(path.read_text()) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_documents_that_the_code_names_exist() -> None:
    files = [path for folder in ("src", "tests", "scripts", "benchmarks") for path in (ROOT / folder).rglob("*.*")]
    named = set()
    for path in files:
        if path.suffix in (".py", ".js", ".html", ".css"):
            named.update(re.findall(r"\bdocs/[\w/.-]*\.md\b", path.read_text()))
    assert [document for document in sorted(named) if not (ROOT / document).exists()] == []


def commands_in(path: Path) -> list[str]:
    """Lines of code blocks that call our command, continued lines joined."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    words = ("dtrace-profiler ", "sudo dtrace-profiler ", ".venv/bin/dtrace-profiler ")
    return [line.strip() for line in lines if line.strip().startswith(words)]


@pytest.mark.parametrize(
    "line", sorted({line for path in DOCUMENTS if path.name != "CHANGELOG.md" for line in commands_in(path)})
)
def test_commands_in_the_documents_can_be_typed(line: str) -> None:
    """Each names a command and options that there are. Files and processes need not be."""
    words = shlex.split(line.split("  #")[0])
    words = words[[word.endswith("dtrace-profiler") for word in words].index(True) + 1 :]
    if words[0].startswith("-"):
        assert words[0] in ("--help", "--version")
        return
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None, f"there is no command {words[0]!r}"
    while isinstance(command, click.Group):
        words = words[1:]
        name, command = words[0], command.commands.get(words[0])
        assert command is not None, f"there is no command {name!r}"
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options |= {"--help"}
    arguments = words[1 : words.index("--")] if "--" in words else words[1:]
    for word in arguments:
        if word.startswith("--"):
            assert word.split("=")[0] in options
        elif word.startswith("-") and word != "-":
            assert word[:2] in options


def test_the_command_table_of_errors_is_complete() -> None:
    """Every exit status of an error stands in docs/errors.md, with the error's name."""
    text = (ROOT / "docs" / "errors.md").read_text()
    statuses = {error.__name__: error.exit_status for error in DTraceProfilerError.__subclasses__()}
    assert statuses
    for name, status in statuses.items():
        assert re.search(rf"^\| {status} \|.*`{name}`", text, re.MULTILINE), f"{name} ({status})"


def counted_losses() -> set[str]:
    """The names that the code gives to `lose`, as far as they are literal, and those of dtrace's own messages."""
    names = set(
        re.findall(r"\b(?:_?lose|missing\.append)\(\s*\"([a-z_]+)", "".join(path.read_text() for path in MODULES))
    )
    return names | {name for _, name in messages._KINDS} | {"drops", "not_taken", "expired_samples"}


def test_the_table_of_losses_is_complete() -> None:
    names = counted_losses()
    assert "truncated_stacks" in names
    rows = [line for line in (ROOT / "docs" / "losses.md").read_text().splitlines() if line.startswith("|")]
    documented = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])}
    assert sorted(names - documented) == []


def test_make_lists_what_can_be_typed() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "lint", "bench", "fuzz", "clean"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
        assert f'"make {target}' in makefile
