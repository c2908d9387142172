"""What is special about `gate` as a command: options that take many files, and exit statuses that mean a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

GATE_STATUSES: Mapping[int, int] = {1: 70, 2: 64}
"""What our own errors with the statuses of FAIL and INCONCLUSIVE end with instead: EX_SOFTWARE and EX_USAGE of
BSD's sysexits.h."""


class ErrorOfGate(Exception):
    """Any error of `gate`: `error` is to be told as ever, and its status to be looked up in `GATE_STATUSES`."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class GateCommand(click.Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, many_files(args, ("--baseline", "--candidate")))

    def make_context(self, *args: Any, **values: Any) -> click.Context:
        try:
            return super().make_context(*args, **values)
        except click.ClickException as error:
            raise ErrorOfGate(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            raise ErrorOfGate(error) from error


def many_files(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """`--baseline a b c` as `--baseline a --baseline b --baseline c`, so that a shell's `*.dtrace` can stand there.

    The command has no arguments but options, so what follows a file and is no option is another file.
    """
    out: list[str] = []
    option = ""
    for argument in arguments:
        if argument in options:
            option = argument
        elif option and (argument == "-" or not argument.startswith("-")):
            out += [option, argument]
        else:
            option = ""
            out.append(argument)
    return out
