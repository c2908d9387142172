"""`top`: the functions that take the time, once or again and again: of a file, a process, or a running profiler."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import click
from click.core import ParameterSource

from dtrace_profiler.cli.interrupts import Interrupts
from dtrace_profiler.cli.profiling import profiler_of
from dtrace_profiler.cli.progress import Progress
from dtrace_profiler.cli.query import as_json
from dtrace_profiler.cli.query_options import make_selection
from dtrace_profiler.cli.sources import read_source
from dtrace_profiler.errors import InputError, UsageError
from dtrace_profiler.formats.facts import facts, losses, quantity
from dtrace_profiler.formats.table import format_top
from dtrace_profiler.live.client import fetch_profile, is_address
from dtrace_profiler.model.options import Options
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.query.functions import functions
from dtrace_profiler.query.selection import select

ONCE_S = 5.0
"""How long a process is sampled for one table."""
_WIDEST = 160
_HOME_AND_ERASE = "\x1b[H\x1b[J"
_OTHER_SCREEN, _OWN_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


def top(source: str, options: Options, values: Mapping[str, Any]) -> int:
    """`source`: all digits is a process; a file of such a name is `./4711`. Returns 0."""
    if source.isascii() and source.isdigit():
        return _process(int(source), options, values)
    if values["watch"] and not is_address(source):
        raise UsageError(f"{source} does not change: --watch is for a process or the address of a live view.")
    # One that a file or the environment sets is for processes.
    if click.get_current_context().get_parameter_source("duration_s") is ParameterSource.COMMANDLINE:
        raise UsageError("--duration is for a process: leave it out, or take --last.")
    if not values["watch"]:
        click.echo(_shown(read_source(source, values["input_format"]), values))
        return 0
    _watch_address(source, values)
    return 0


def _watch_address(address: str, values: Mapping[str, Any]) -> None:
    last = None
    with Interrupts() as interrupts, _Screen(values) as screen:
        while not interrupts.count:
            try:
                last = fetch_profile(address)
            except InputError:
                if last is None:
                    raise
                break  # the profiler has ended
            screen.show(last)
            interrupts.wait(values["every_s"])
    if last is not None and sys.stdout.isatty():
        click.echo(_shown(last, values))


def _process(pid: int, options: Options, values: Mapping[str, Any]) -> int:
    if pid == 0:
        raise UsageError("'0' is not a process id: a whole number above 0.")
    if options.engine == "sampler":
        raise UsageError(
            "the sampler can't look into a process that runs already: it is started with the program.",
            remedy="dtrace-profiler run --engine sampler -- COMMAND",
        )
    watch = values["watch"]
    duration_s = options.duration_s or (None if watch else ONCE_S)
    progress = Progress(quiet=False)
    # What is older than the last seconds asked for need not be kept.
    profiler = profiler_of(pid, options, keep_s=values["last_s"] or 0.0)
    with Interrupts() as interrupts:
        profiler.start(options.frequency_hz)
        try:
            while not profiler.wait_ready(0.05) and not interrupts.count:
                pass
            began = time.monotonic()

            def going_on() -> bool:
                over = duration_s is not None and time.monotonic() - began >= duration_s
                return not (over or interrupts.count or profiler.target_ended or profiler.error)

            if watch:
                _watch(profiler.profile, going_on, interrupts, values)
            else:
                while going_on():
                    progress.sampling(time.monotonic() - began, profiler.sample_count, profiler.losses)
                    interrupts.wait(0.25)
        finally:
            progress.clear()
            profiler.stop()
        if profiler.error is not None and not profiler.sample_count:
            raise profiler.error
        # The last table stays: that of all, when the process has ended.
        click.echo(_shown(profiler.profile(), values))
    if profiler.error is not None:
        raise profiler.error
    return 0


def _watch(
    profile: Callable[[], Profile], going_on: Callable[[], bool], interrupts: Interrupts, values: Mapping[str, Any]
) -> None:
    with _Screen(values) as screen:
        while going_on():
            screen.show(profile())
            until = time.monotonic() + values["every_s"]
            while going_on() and (left := until - time.monotonic()) > 0:
                interrupts.wait(min(0.25, left))


class _Screen:
    """Tables one over the other, on a screen that is put away at the end; one below the other where stdout is no
    terminal."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._terminal = sys.stdout.isatty() and not values["as_json"]

    def __enter__(self) -> _Screen:
        if self._terminal:
            click.echo(_OTHER_SCREEN, nl=False)
        return self

    def __exit__(self, *error: object) -> None:
        if self._terminal:
            click.echo(_OWN_SCREEN, nl=False)

    def show(self, profile: Profile) -> None:
        if not self._terminal:
            click.echo(_shown(profile, self._values) + ("" if self._values["as_json"] else "\n"))
            return
        rows = shutil.get_terminal_size().lines
        lines = _shown(profile, self._values).splitlines()
        # Written at once, so that no half of a picture is seen.
        click.echo(_HOME_AND_ERASE + "\n".join(lines[: max(1, rows - 1)]), nl=False)


def _shown(profile: Profile, values: Mapping[str, Any]) -> str:
    selection = make_selection(values, profile)
    order: Literal["self", "total"] = values["order"]
    limit: int = values["limit"]
    if values["as_json"]:
        answer = functions(profile, selection, order=order, limit=limit)
        return as_json(answer, one_line=values["watch"])
    part = select(profile, selection).profile
    lines = [_cut(", ".join(facts(part)))]
    if part.total != profile.total:
        lines.append(f"a part: {quantity(part.total, part.meta.unit)} of {quantity(profile.total, part.meta.unit)}")
    if not part.total:
        lines.append("no samples yet." if values["watch"] else "no samples.")
        return "\n".join(lines)
    lines += ["", format_top(part, limit, _width(), order=order).rstrip("\n")]
    left_out = functions(part, limit=limit, order=order)["left_out"]
    if left_out["rows"]:
        share = left_out["self_value"] / part.total
        lines.append(f"{share:>7.1%} {'':>5} {'':>7} {'':>5}  {left_out['rows']:,} more functions")
    if lost := losses(profile):
        lines.append(_cut(f"lost: {', '.join(lost)}"))
    return "\n".join(lines)


def _cut(line: str) -> str:
    """A line that is one row on a terminal."""
    room = _width() if sys.stdout.isatty() else len(line)
    return line if len(line) <= room else line[: room - 1] + "…"


def _width() -> int:
    return min(_WIDEST, shutil.get_terminal_size().columns) if sys.stdout.isatty() else _WIDEST
