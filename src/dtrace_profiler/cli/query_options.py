"""The options that say of which part of a profile a question is, and how much of the answer is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from dtrace_profiler.cli.parameters import Duration, F, Number
from dtrace_profiler.model.frame import FrameKind

if TYPE_CHECKING:
    from dtrace_profiler.model.profile import Profile
    from dtrace_profiler.query.selection import Selection

DEFAULT_LIMIT = 20
_ALL = 1_000_000_000


class Moment(Duration):
    """Seconds since the profile's start, like a duration, but 0 is one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return 0.0 if str(value).strip().rstrip("smh") in ("0", "0.0") else super().convert(value, param, ctx)


class Label(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.3
    """`key=value`; the pair."""

    name = "label"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, sign, wanted = str(value).partition("=")
        if not key or not sign:
            self.fail(f"{value!r} is no label: write key=value.", param, ctx)
        return key, wanted


_TIME = (
    click.option(
        "--from", "from_s", type=Moment(), metavar="SECONDS", help="From this moment of the profile: 10s, 1m."
    ),
    click.option("--to", "to_s", type=Moment(), metavar="SECONDS", help="Up to this moment."),
    click.option("--last", "last_s", type=Duration(), metavar="SECONDS", help="Only the last so many seconds."),
)
_TIME_BEFORE = (
    click.option("--before-from", type=Moment(), metavar="SECONDS", help="Of BEFORE: from this moment."),
    click.option("--before-to", type=Moment(), metavar="SECONDS", help="Of BEFORE: up to this moment."),
)
_WHO = (
    click.option("--thread", "threads", multiple=True, metavar="ID|NAME", help="Of this thread; * is any text."),
    click.option(
        "--process",
        "processes",
        multiple=True,
        type=Number("PID", "", 0, _ALL),
        metavar="PID",
        help="Of this process.",
    ),
    click.option("--label", "labels", multiple=True, type=Label(), metavar="KEY=VALUE", help="With this label."),
    click.option(
        "--kind",
        "kinds",
        multiple=True,
        type=click.Choice([str(kind) for kind in FrameKind]),
        help="Only while a function of this kind ran.",
    ),
)


def selection_options(command: F) -> F:
    """Which samples: the fields of `Selection`, and `last_s`."""
    for option in reversed((*_TIME, *_WHO)):
        command = option(command)
    return command


def two_selections_options(command: F) -> F:
    """The same for two profiles: times of each, all else of both."""
    for option in reversed((*_TIME_BEFORE, *_TIME, *_WHO)):
        command = option(command)
    return command


def limit_option(command: F) -> F:
    return click.option(
        "-n",
        "--limit",
        type=Number("N", "rows", 1, _ALL),
        default=DEFAULT_LIMIT,
        show_default=True,
        metavar="N",
        help="Rows; how many there are besides is told.",
    )(command)


def make_selection(values: Mapping[str, Any], profile: Profile) -> Selection:
    """`Selection` of the values of `selection_options`. Raises `UsageError` where they contradict each other."""
    from dtrace_profiler.errors import UsageError
    from dtrace_profiler.query.selection import Selection, last_seconds

    from_s = values["from_s"]
    if values["last_s"] is not None:
        if from_s is not None or values["to_s"] is not None:
            raise UsageError("--last is a time of its own: leave out --from and --to.")
        from_s = last_seconds(profile, values["last_s"])
    return Selection(
        from_s=from_s,
        to_s=values["to_s"],
        threads=tuple(values["threads"]),
        processes=tuple(values["processes"]),
        labels=tuple(values["labels"]),
        kinds=tuple(FrameKind(kind) for kind in values["kinds"]),
    )
