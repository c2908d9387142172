"""The types of the values of `diff` and `gate`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import click

from dtrace_profiler.cli.parameters import Duration

F = TypeVar("F", bound=Callable[..., Any])


class TimeRange(NamedTuple):
    """Seconds since the profile's start; from the first moment to before the second, or (None) to the end."""

    from_s: float
    to_s: float | None

    def __str__(self) -> str:
        return f"{self.from_s:g}s..{'' if self.to_s is None else f'{self.to_s:g}s'}"


class Range(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.3
    """`10s..20s`, `..1m`, `30..`: from the one moment to the other, since the profile's start."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> TimeRange:
        first, dots, last = str(value).partition("..")
        if not dots or not (first.strip() or last.strip()):
            self.fail(f"{value!r} is no range of time: write 10s..20s, ..1m or 30s.. .", param, ctx)
        seconds = Duration()
        from_s = 0.0 if re.fullmatch(r"0*\.?0*(ms|s|m|min|h)?", first.strip()) else seconds.convert(first, param, ctx)
        to_s = seconds.convert(last, param, ctx) if last.strip() else None
        if to_s is not None and from_s >= to_s:
            self.fail(f"{value!r} ends before it begins.", param, ctx)
        return TimeRange(from_s, to_s)


class Percent(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.3
    """`5`, `5%` or `0.5%`; a float from 0 to 1."""

    name = "percent"

    def __init__(self, least: float, most: float) -> None:
        """In percent."""
        self._least = least
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+) *%?", str(value).strip())
        number = float(match[1]) if match else -1.0
        if not self._least <= number <= self._most:
            self.fail(f"{value!r} is out of range: {self._least:g} to {self._most:g} percent.", param, ctx)
        return number / 100


def quantity_options(command: F) -> F:
    """What is compared: functions or more, own time or all, by what it is normalised."""
    for option in reversed(
        (
            click.option(
                "--by",
                type=click.Choice(["function", "file", "module"]),
                default="function",
                show_default=True,
                help="What a row is.",
            ),
            click.option(
                "--measure",
                type=click.Choice(["self", "total"]),
                default="self",
                show_default=True,
                help="Time in the function itself, or also in what it called; recursion counts once.",
            ),
            click.option(
                "--normalise",
                type=click.Choice(["samples", "time", "run"]),
                default="samples",
                show_default=True,
                help="samples: shares. time: CPU time a second. run: CPU time, of runs that do the same work.",
            ),
            click.option(
                "--anyway", is_flag=True, help="Compare what was sampled in different ways, and only warn of it."
            ),
            click.option("--input-format", metavar="NAME", help="The format of the files, if it isn't told right."),
        )
    ):
        command = option(command)
    return command
