"""The commands that compare profiles, and their help."""

from __future__ import annotations

from typing import Any

import click

from dtrace_profiler.cli.compare_options import Percent, Range, quantity_options
from dtrace_profiler.cli.gate_command import GateCommand
from dtrace_profiler.cli.parameters import Number, ProcessId
from dtrace_profiler.cli.query_options import limit_option


@click.command(
    epilog="""\b
Examples:
  dtrace-profiler diff before.dtrace after.dtrace
  dtrace-profiler diff before.pb.gz after.pb.gz -o diff.html     red has grown, blue has shrunk
  dtrace-profiler diff a.dtrace b.dtrace --format markdown       for a pull request
  dtrace-profiler diff run.dtrace run.dtrace --range-a ..10s --range-b 10s..20s
  dtrace-profiler diff run.dtrace run.dtrace --process-a 4711 --process-b 4712 --measure total

Each change has the interval that it lies in with this confidence, as far as sampling goes; * marks those that are
beyond noise, all rows together. The interval knows nothing of how much one run differs from another: the command gate
does, with several runs a side."""
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--range-a", type=Range(), metavar="FROM..TO", help="Only this time of A, as 10s..20s, ..1m or 30s.. .")
@click.option("--range-b", type=Range(), metavar="FROM..TO", help="Only this time of B.")
@click.option("--process-a", multiple=True, type=ProcessId(), metavar="PID", help="Only this process of A.")
@click.option("--process-b", multiple=True, type=ProcessId(), metavar="PID", help="Only this process of B.")
@click.option("--thread-a", multiple=True, metavar="ID|NAME", help="Only this thread of A.")
@click.option("--thread-b", multiple=True, metavar="ID|NAME", help="Only this thread of B.")
@quantity_options
@click.option(
    "--confidence", type=Percent(50, 99.9999), default="95%", show_default=True, help="Of intervals and marks."
)
@limit_option
@click.option(
    "--min-share", type=Percent(0, 100), default="0%", help="Leave out rows that are smaller than this in A and in B."
)
@click.option("--only-changed", is_flag=True, help="Only rows that changed by more than noise.")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="FILE",
    help="Write it here, in the format of the suffix: .txt .md .json .html .svg; - is stdout. May be given again.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["text", "markdown", "json", "html", "svg"]),
    help="The format, whatever the suffix.",
)
def diff(before: str, after: str, outputs: tuple[str, ...], format_name: str | None, **values: Any) -> int:
    """Say what changed from one profile to another, and which changes are more than chance.

    A and B are any files that convert reads, or addresses of live views; - is stdin.
    """
    from dtrace_profiler.cli import diff as work

    sides = [
        work.Part(
            path=path,
            time=values.pop(f"range_{letter}"),
            processes=values.pop(f"process_{letter}"),
            threads=values.pop(f"thread_{letter}"),
        )
        for path, letter in ((before, "a"), (after, "b"))
    ]
    request = work.Request(least=values.pop("min_share"), **values)
    return work.diff((sides[0], sides[1]), request, outputs, format_name)


@click.command(
    cls=GateCommand,
    epilog="""\b
Examples:
  dtrace-profiler gate --baseline old-*.dtrace --candidate new-*.dtrace --fail-on '*>5%'
  dtrace-profiler gate --baseline old-*.dtrace --candidate new-*.dtrace --fail-on 'app.views:*>10%' -o report.md
  dtrace-profiler gate --baseline old-*.dtrace --candidate new-*.dtrace --normalise run --fail-on '(all)>3%'
  dtrace-profiler gate --calibrate --baseline old-*.dtrace --fail-on '*>5%'

A rule is PATTERN>LIMIT: a function's name, or module:function, with * for any characters; the limit as 5% of what it
was, or as 0.5pp of all samples. (all) is the whole run, with --normalise run or time.

The exit status is 0 for PASS, 1 for FAIL and 2 for INCONCLUSIVE. Errors have others: 64 for wrong options, 5 for a
file that can't be read, 70 for a defect of ours. Six runs a side, taken in turn, are a good beginning.""",
)
@click.option(
    "--baseline",
    multiple=True,
    metavar="FILE...",
    help="Runs of the program as it was, a file each; *.dtrace may stand here.",
)
@click.option("--candidate", multiple=True, metavar="FILE...", help="Runs of the program as it is now.")
@click.option(
    "--fail-on", "rules", multiple=True, metavar="RULE", help="PATTERN>LIMIT, as '*>5%'. May be given several times."
)
@quantity_options
@click.option(
    "--level",
    type=Percent(0.0001, 50),
    default="5%",
    show_default=True,
    help="The chance of FAIL where nothing grew by more than its rule allows is at most this.",
)
@click.option(
    "--min-share",
    type=Percent(0, 100),
    default="0.5%",
    show_default=True,
    help="A rule with * leaves out what is smaller than this part of all runs together.",
)
@click.option("--prove", is_flag=True, help="PASS only if each has surely grown by less than its rule allows.")
@click.option(
    "--calibrate", is_flag=True, help="All runs are of one program: show how often this gate alarms falsely."
)
@click.option(
    "-n",
    "--limit",
    type=Number("N", "rows", 1, 1_000_000_000),
    default=20,
    show_default=True,
    metavar="N",
    help="Rows of the report; JSON has all.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="FILE",
    help="Write the report here, in the format of the suffix: .md .json .txt; - is stdout. May be given again.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["text", "markdown", "json"]),
    help="The format, whatever the suffix.",
)
def gate(
    baseline: tuple[str, ...],
    candidate: tuple[str, ...],
    rules: tuple[str, ...],
    outputs: tuple[str, ...],
    format_name: str | None,
    **values: Any,
) -> int:
    """Compare several runs of two versions of a program, and fail where one has surely become slower."""
    from dtrace_profiler.cli import gate as work

    request = work.Request(least_share=values.pop("min_share"), **values)
    return work.gate(baseline, candidate, rules, request, outputs, format_name)
