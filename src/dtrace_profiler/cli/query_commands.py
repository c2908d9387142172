"""The commands below `query`, and their help."""

from __future__ import annotations

from typing import Any

import click

from dtrace_profiler.cli.parameters import Duration, F
from dtrace_profiler.cli.query_options import limit_option, selection_options, two_selections_options

_ORDER = click.option(
    "--by",
    "order",
    type=click.Choice(["self", "total"]),
    default="self",
    show_default=True,
    help="Order of the rows.",
)


@click.group(
    epilog="""\b
Examples:
  dtrace-profiler query functions run.dtrace --limit 5
  dtrace-profiler query callers run.dtrace json.decoder:JSONDecoder.decode
  dtrace-profiler query ranges run.dtrace --every 1s | jq '.rows[.busiest_row]'
  dtrace-profiler query hot-paths run.dtrace --from 10s --to 20s --thread main
  dtrace-profiler query differences old.dtrace new.dtrace
  dtrace-profiler query functions 'http://127.0.0.1:PORT/?key=KEY'

SOURCE is a file that convert reads, - for stdin, or the address that a running profiler printed. What the fields
mean: docs/query.md; their form as JSON Schema: `query schema`."""
)
def query() -> None:
    """Answer a question about a profile in JSON, for scripts: functions, callers, lines, hot paths, ranges."""


def _asked(command: F) -> F:
    """SOURCE, and which part of it."""
    command = selection_options(command)
    command = click.option("--input-format", metavar="NAME", help="The format of SOURCE, if it isn't told right.")(
        command
    )
    return click.argument("source", metavar="SOURCE")(command)


@query.command()
@_asked
@_ORDER
@limit_option
def functions(source: str, order: Any, limit: int, **values: Any) -> int:
    """The functions, by their own time or with what they called."""
    from dtrace_profiler.cli import query as asked
    from dtrace_profiler.query.functions import functions as ask

    return asked.print_answer(source, values, lambda profile, part: ask(profile, part, order=order, limit=limit))


@query.command()
@_asked
@click.argument("function", required=False)
@_ORDER
@limit_option
def lines(source: str, function: str | None, order: Any, limit: int, **values: Any) -> int:
    """The source lines, of one function or of all."""
    from dtrace_profiler.cli import query as asked
    from dtrace_profiler.query.functions import lines as ask

    return asked.print_answer(
        source, values, lambda profile, part: ask(profile, function, part, order=order, limit=limit)
    )


@query.command()
@_asked
@click.argument("function")
@limit_option
def callers(source: str, function: str, limit: int, **values: Any) -> int:
    """Who calls a function: FUNCTION is name, module:name or file:name; * is any text."""
    from dtrace_profiler.cli import query as asked
    from dtrace_profiler.query.around import callers as ask

    return asked.print_answer(source, values, lambda profile, part: ask(profile, function, part, limit=limit))


@query.command()
@_asked
@click.argument("function")
@limit_option
def callees(source: str, function: str, limit: int, **values: Any) -> int:
    """Whom a function calls: FUNCTION is name, module:name or file:name; * is any text."""
    from dtrace_profiler.cli import query as asked
    from dtrace_profiler.query.around import callees as ask

    return asked.print_answer(source, values, lambda profile, part: ask(profile, function, part, limit=limit))


@query.command("hot-paths")
@_asked
@click.option(
    "--least-share",
    type=float,
    default=0.01,
    show_default=True,
    metavar="SHARE",
    help="Branches of the call tree below this share are added to their caller.",
)
@limit_option
def hot_paths(source: str, least_share: float, limit: int, **values: Any) -> int:
    """The paths through the call tree that hold most, no two of which share a sample."""
    from dtrace_profiler.cli import query as asked
    from dtrace_profiler.query.paths import hot_paths as ask

    return asked.print_answer(
        source, values, lambda profile, part: ask(profile, part, least_share=least_share, limit=limit)
    )


@query.command()
@_asked
@click.option(
    "--every", "every_s", type=Duration(), metavar="SECONDS", help="Length of a piece. Without: 60 pieces at most."
)
def ranges(source: str, every_s: float | None, **values: Any) -> int:
    """The samples over time, in pieces of equal length."""
    from dtrace_profiler.cli import query as asked
    from dtrace_profiler.query.ranges import ranges as ask

    return asked.print_answer(source, values, lambda profile, part: ask(profile, part, every_s=every_s))


@query.command()
@_asked
@limit_option
def summary(source: str, limit: int, **values: Any) -> int:
    """What the profile holds: samples, kinds, threads, labels, losses. The same as stat --json."""
    from dtrace_profiler.cli import query as asked
    from dtrace_profiler.query.summary import summary as ask

    return asked.print_answer(source, values, lambda profile, part: ask(profile, part, limit=limit))


@query.command()
@click.argument("before")
@click.argument("after", required=False)
@click.option("--input-format", metavar="NAME", help="The format of both files, if it isn't told right.")
@two_selections_options
@click.option("--by", type=click.Choice(["function", "file", "module"]), default="function", show_default=True)
@click.option(
    "--measure",
    type=click.Choice(["self", "total"]),
    default="self",
    show_default=True,
    help="Own time, or with callees.",
)
@click.option(
    "--normalise",
    type=click.Choice(["samples", "time", "run"]),
    default="samples",
    show_default=True,
    help="Compare shares, CPU time a second, or CPU time.",
)
@click.option("--confidence", type=float, default=0.95, show_default=True, metavar="SHARE", help="Of the intervals.")
@click.option(
    "--anyway", is_flag=True, help="Compare also what does not mean the same; the reason is a warning then."
)
@limit_option
def differences(
    before: str,
    after: str | None,
    by: str,
    measure: str,
    normalise: str,
    confidence: float,
    anyway: bool,
    limit: int,
    **values: Any,
) -> int:
    """What changed from BEFORE to AFTER, or with one source from one time of it to another."""
    from dtrace_profiler.cli import query as asked

    how = {"by": by, "measure": measure, "normalise": normalise, "confidence": confidence}
    return asked.print_differences(before, after, values, **how, anyway=anyway, limit=limit)


@query.command()
def schema() -> int:
    """The JSON Schema that every answer keeps."""
    from dtrace_profiler.cli import query as asked

    return asked.print_schema()
