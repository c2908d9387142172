"""Calls of our command in a text of shell lines, and whether its own parser takes them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click

from dtrace_profiler.cli.commands import cli

_CALL = re.compile(r"(?<![\w/-])(?:\.venv/bin/)?dtrace-profiler (?P<rest>[^\n]*)")
_SUBSTITUTED = re.compile(r"\"?\$\([^)]*\)\"?")
_OPERATORS = set("|&;<>()")
_STANDS_FOR_A_PROCESS = {"PID": "4711", "$$": "4711", "$MAINPID": "4711"}


def our_commands(text: str) -> Iterator[tuple[str, ...]]:
    """The words after `dtrace-profiler` of each call, up to what the shell takes. `$(...)` stands for a number."""
    for call in _CALL.finditer(text.replace("\\\n", " ")):
        rest = _SUBSTITUTED.sub("4711", call["rest"])
        # A remark beside it, as in a list of commands; and the end of a quote that it stands in.
        rest = re.split(r"  +", rest)[0]
        rest = rest.removesuffix("'") if rest.count("'") % 2 else rest
        lexer = shlex.shlex(rest, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = []
        for word in lexer:
            if set(word) <= _OPERATORS:
                break
            words.append(_STANDS_FOR_A_PROCESS.get(word, word))
        if words and words[0] != "COMMAND":
            yield tuple(words)


def commands_in_help() -> Iterator[tuple[str, ...]]:
    """The examples below each command's help."""
    yield from _examples(cli)


def _examples(command: click.Command) -> Iterator[tuple[str, ...]]:
    yield from our_commands(command.epilog or "")
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _examples(below)


def type_it(words: tuple[str, ...]) -> None:
    """Parses as the command line would, and runs nothing. Raises `click.UsageError`, as for an unknown option."""
    context = click.Context(cli, info_name="dtrace-profiler", **cli.context_settings)
    if words[0] in ("--help", "--version", "-h"):
        return
    group: click.Command | None = cli
    rest = list(words)
    while isinstance(group, click.Group):
        name, group, rest = group.resolve_command(context, rest)
        assert group is not None
        if {"--help", "--show-config"} & set(rest[: rest.index("--") if "--" in rest else None]):
            return
        if not isinstance(group, click.Group):
            group.make_context(name, rest, parent=context)
