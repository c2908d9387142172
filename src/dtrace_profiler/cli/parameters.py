"""The options that `run`, `attach` and `script` share, and the types of their values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from dtrace_profiler.model.options import (
    DEFAULT_DEPTH,
    DEFAULT_FREQUENCY_HZ,
    MAX_DEPTH,
    MAX_FREQUENCY_HZ,
    MIN_FREQUENCY_HZ,
    Options,
)

LOOPBACK = "127.0.0.1"
F = TypeVar("F", bound=Callable[..., Any])

_UNITS_S = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class Duration(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.3
    """Seconds, or a number with its unit: `10`, `1.5`, `500ms`, `10s`, `2m`, `1h`. A float of seconds."""

    name = "seconds"

    def __init__(self, least: float = 0.0, most: float = 1e9) -> None:
        self._least = least
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+) *([a-z]*)", str(value).strip().lower())
        seconds = float(match[1]) * _UNITS_S[match[2]] if match is not None and match[2] in _UNITS_S else 0.0
        if not 0 < seconds < 1e9:
            self.fail(f"{value!r} is no duration above 0: write 10, 1.5, 500ms, 10s, 2m or 1h.", param, ctx)
        if not self._least <= seconds <= self._most:
            self.fail(f"{value!r} is out of range: {self._least:g} to {self._most:g} seconds.", param, ctx)
        return seconds


class Number(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.3
    """A whole number within limits, which the error names."""

    def __init__(self, name: str, unit: str, low: int, high: int) -> None:
        self.name = name
        self._unit = unit
        self._low = low
        self._high = high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value).strip()
        number = int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None
        limits = f"{self._low} to {self._high} {self._unit}"
        if number is None:
            self.fail(f"{value!r} is not a whole number: {limits}.", param, ctx)
        if not self._low <= number <= self._high:
            self.fail(f"{number} is out of range: {limits}.", param, ctx)
        return number


class ProcessId(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.3
    """A whole number above 0."""

    name = "pid"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value).strip()
        if not re.fullmatch(r"0*[1-9][0-9]{0,17}", text):
            self.fail(f"{value!r} is not a process id: a whole number above 0.", param, ctx)
        return int(text)


def sampling_options(command: F) -> F:
    """What is sampled, and how: the fields of `Options`."""
    for option in reversed(
        (
            click.option(
                "-F",
                "--frequency",
                "frequency_hz",
                type=Number("HZ", "Hz", MIN_FREQUENCY_HZ, MAX_FREQUENCY_HZ),
                default=DEFAULT_FREQUENCY_HZ,
                show_default=True,
                metavar="HZ",
                help="Samples a second and CPU, 1 to 4999.",
            ),
            click.option(
                "--engine",
                type=click.Choice(["auto", "dtrace", "sampler"]),
                default="auto",
                show_default=True,
                help="Who samples: DTrace, or the sampler inside a Python program. auto: DTrace where it can run.",
            ),
            click.option(
                "--depth",
                type=Number("FRAMES", "frames", 1, MAX_DEPTH),
                default=DEFAULT_DEPTH,
                show_default=True,
                metavar="FRAMES",
                help="Frames kept of each stack, from the running function upwards.",
            ),
            click.option("--kernel", is_flag=True, help="Kernel frames too."),
            click.option("--all-children", "children", is_flag=True, help="The processes that it starts, too."),
            click.option(
                "--native",
                type=click.Choice(["none", "leaf", "full"]),
                default="full",
                show_default=True,
                help="Native frames: none, only the function that runs, or all.",
            ),
            click.option("--python/--no-python", default=True, help="Python frames, where the program is a CPython."),
            click.option("--glue", is_flag=True, help="Keep the interpreter's own frames between Python frames."),
            click.option(
                "--classic",
                is_flag=True,
                help="As on other systems than Linux: stacks counted for a tenth of a second, dtrace's own names.",
            ),
        )
    ):
        command = option(command)
    return command


def output_options(command: F) -> F:
    """Where the profile goes, and what is said meanwhile."""
    for option in reversed(
        (
            click.option(
                "-d",
                "--duration",
                "duration_s",
                type=Duration(),
                metavar="SECONDS",
                help="End after this time: 10, 1.5, 500ms, 2m.",
            ),
            click.option(
                "-o",
                "--output",
                "outputs",
                multiple=True,
                metavar="FILE",
                help="Write the profile here, in the format of the suffix; - is stdout. May be given several times.",
            ),
            click.option("--format", "format_name", metavar="NAME", help="The format, whatever the suffix."),
            click.option("--record", metavar="FILE", help="Keep what DTrace said, to look at it later (.dtrace)."),
            click.option(
                "--keep",
                "keep_s",
                type=Duration(1.0),
                metavar="SECONDS",
                help="Keep only the last 60s, 5m or 1h in memory; SIGUSR2 writes it, and sampling goes on.",
            ),
            click.option(
                "--save-when",
                metavar="THRESHOLD",
                help="With --keep: write it also when more CPU is used, as in 'cpu>90% for 5s'; 100% is one core.",
            ),
            click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
            click.option(
                "--tui",
                is_flag=True,
                help="Show the flame graph in this terminal. The program's output is shown when the view closes.",
            ),
            click.option(
                "--live/--no-live",
                default=None,
                help="Show the flame graph in the browser while the program runs, until the page is closed. Without"
                " either: where there is a terminal and a browser at hand.",
            ),
            click.option("--live-only", is_flag=True, help="The live view, and no file."),
            click.option("--no-browser", is_flag=True, help="With --live: print the address, and open nothing."),
            click.option(
                "--refresh",
                "refresh_s",
                type=Duration(0.02, 10.0),
                default="100ms",
                show_default=True,
                metavar="SECONDS",
                help="The page is brought up to date this often: 20ms to 10s.",
            ),
            click.option(
                "--host",
                default=LOOPBACK,
                metavar="ADDRESS",
                help="With --live: listen here, not on this machine alone. Unencrypted: for networks that you trust.",
            ),
            click.option(
                "--port",
                type=click.IntRange(0, 65535),
                default=0,
                metavar="PORT",
                help="With --live: listen on this port, not on any that is free.",
            ),
        )
    ):
        command = option(command)
    return command


def make_options(values: dict[str, Any]) -> Options:
    """`Options` of the values of `sampling_options` (and `duration_s`), which are taken out of `values`."""
    names = (
        "frequency_hz",
        "engine",
        "depth",
        "kernel",
        "children",
        "native",
        "python",
        "glue",
        "classic",
        "duration_s",
    )
    return Options(**{name: values.pop(name) for name in names if name in values})
