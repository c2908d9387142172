"""A line `::: commands` in a page becomes the reference of the command line, from what click knows of it.

A Markdown extension, named in mkdocs.yml; `scripts/docs` puts this folder on the import path.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import click
from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

from dtrace_profiler.cli.commands import cli

PROGRAM = "dtrace-profiler"
_MARK = "::: commands"


def reference() -> list[str]:
    """The lines of the page, in Markdown."""
    root = click.Context(cli, info_name=PROGRAM, **cli.context_settings)
    out = []
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        if command is not None and not command.hidden:
            out += _command(command, click.Context(command, info_name=name, parent=root))
    return out


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield from (f"## {context.info_name}", "", command.help or "", "")
    yield from ("```text", f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}", "```", "")
    yield from ("| option | |", "|---|---|")
    for option in command.get_params(context):
        if isinstance(option, click.Option) and not option.hidden:
            names, text = option.get_help_record(context) or ("", "")
            yield f"| {_code(names)} | {_cell(text)} |"
    yield from ("", *_epilog(command.epilog or ""), "")


def _epilog(text: str) -> Iterator[str]:
    """Examples are lines that begin with two blanks; what stands around them is text."""
    inside = False
    for line in text.replace("\b\n", "").splitlines():
        example = line.startswith("  ")
        if example != inside:
            yield from (("", "```text") if example else ("```", ""))
            inside = example
        yield line[2:] if example else _cell(line)
    if inside:
        yield "```"


def _code(names: str) -> str:
    """`-o, --output FILE` as code. A `|` between backticks does not end a cell."""
    return f"`{names}`"


def _cell(text: str) -> str:
    """As it stands: no sign of it is Markdown's."""
    return re.sub(r"([\\|`*_\[])", r"\\\1", html.escape(" ".join(text.split()), quote=False))


class _Commands(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        return [new for line in lines for new in (reference() if line.strip() == _MARK else [line])]


class CommandReference(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        # Before fenced blocks are taken out, and before mkdocstrings looks for its own `:::`.
        md.preprocessors.register(_Commands(md), "command_reference", 100)


def makeExtension(**configuration: object) -> Extension:
    return CommandReference(**configuration)
