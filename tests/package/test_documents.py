"""What the documents promise is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from document_blocks import BLOCKS, DOCUMENTS, ROOT
from document_commands import commands_in_help, our_commands, type_it

from dtrace_profiler.errors import CommandNotStarted, DTraceProfilerError
from dtrace_profiler.record import messages
from dtrace_profiler.record.message_table import MESSAGES

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


COMMANDS = sorted(
    {words for block in BLOCKS if block.language != "json" for words in our_commands(block.code)}
    | set(commands_in_help())
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands_in_the_documents_can_be_typed(words: tuple[str, ...]) -> None:
    """The command line's own parser takes each, values included. Files and processes need not be."""
    type_it(words)


@pytest.mark.parametrize(
    "line", ["attach nobody", "attach 1 --no-such-option", "run -d soon -- x", "convert a", "look"]
)
def test_a_command_that_can_not_be_typed_is_noticed(line: str) -> None:
    with pytest.raises(click.UsageError):
        type_it(tuple(line.split()))


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
    for target in ("demo", "test", "lint", "bench", "fuzz", "docs", "clean"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
        assert f'"make {target}' in makefile


def heading_anchors(path: Path) -> set[str]:
    """As GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def pages_that_are_named() -> dict[str, str]:
    """Page with anchor, below docs/ → who names it: errors, messages of dtrace, checks of `doctor`."""
    named = {message.page: message.pattern.pattern for message in MESSAGES if message.page}
    named |= {error("").page: error.__name__ for error in with_a_place_to_read(DTraceProfilerError)}
    for path in (ROOT / "src" / "dtrace_profiler" / "doctor").glob("*.py"):
        text = path.read_text()
        for anchor in re.findall(r"\{_PAGE\}#([\w-]+)", text):
            system = path.name.removesuffix("_checks.py")
            named[f"install/{system}.md#{anchor}"] = path.name
        named.update(dict.fromkeys(re.findall(r'"([\w/-]+\.md#[\w-]+)"', text), path.name))
    return named


def with_a_place_to_read(error: type[DTraceProfilerError]) -> Iterator[type[DTraceProfilerError]]:
    """The leaves of the tree, but for the one that needs more than a text."""
    for below in error.__subclasses__():
        if not below.__subclasses__() and below is not CommandNotStarted:
            yield below
        yield from with_a_place_to_read(below)


def test_every_page_that_an_error_or_a_check_names_has_that_heading() -> None:
    named = pages_that_are_named()
    assert "errors.md#dtracenotfound" in named
    assert len(named) > 25
    for page, who in named.items():
        name, _, anchor = page.partition("#")
        assert anchor in heading_anchors(ROOT / "docs" / name), f"{page}, of {who}"
