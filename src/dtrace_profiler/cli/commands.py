"""The commands, their help, and nothing else: each hands over to the module that does it.

Modules with work in them are imported by the command that needs them, so that `--help` and completion are quick.
"""

from __future__ import annotations

from typing import Any

import click

from dtrace_profiler._version import __version__
from dtrace_profiler.cli import compare_commands
from dtrace_profiler.cli.configuration import ConfiguredCommand
from dtrace_profiler.cli.parameters import Duration, ProcessId, make_options, output_options, sampling_options
from dtrace_profiler.cli.query_commands import query
from dtrace_profiler.cli.query_options import limit_option, selection_options

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class ReaderGone(Exception):
    """Who read our output has gone. Not a BrokenPipeError: click would end us with a status of its own."""


class _Commands(click.Group):
    command_class = ConfiguredCommand

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone from error


@click.group(
    cls=_Commands,
    context_settings=_CONTEXT,
    epilog="""\b
Examples:
  dtrace-profiler run -- python script.py          profile a program, from start to end
  dtrace-profiler run -o out.svg -- ./server -p 80  the flame graph as a picture
  dtrace-profiler attach 4711 -d 10s                look at a running process for ten seconds
  dtrace-profiler view out.folded                   open any profile in the browser
  dtrace-profiler doctor                            what DTrace needs here, and lacks

Each command has more: dtrace-profiler run --help""",
)
@click.version_option(__version__, prog_name="dtrace-profiler")
def cli() -> None:
    """Shows what programs spend the CPU's time on: Python, native and kernel functions in one flame graph."""


@cli.command(
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  dtrace-profiler run -- python script.py --its-own-option
  dtrace-profiler run -F 997 -o fast.html -- ./program "an argument with blanks"
  dtrace-profiler run -o profile.svg -o profile.folded -- make all
  dtrace-profiler run --all-children --kernel -- gunicorn app:app
  dtrace-profiler run -q -o - -- python script.py | sort | head
  dtrace-profiler run --tui -- python script.py     the flame graph in this terminal, while it runs

The exit status is the program's own. Ctrl-C ends the profile and writes it. Without -o the flame graph goes to
PROGRAM-DATE-TIME.html. DTrace needs root: without, you are asked for sudo's password, for DTrace alone; the
program runs as you. With --tui the keys are the view's: the program gets none from this terminal.""",
)
@sampling_options
@output_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENT]...")
def run(command: tuple[str, ...], **values: Any) -> int:
    """Start a program and profile it, from its first instruction to its end."""
    from dtrace_profiler.cli import profiling

    options = make_options(values)
    return profiling.run(command, profiling.make_request(options, values, profiling.default_stem(command)))


@cli.command(
    epilog="""\b
Examples:
  dtrace-profiler attach 4711                      until Ctrl-C, or until it ends
  dtrace-profiler attach 4711 -d 30s -o web.html
  dtrace-profiler attach $(pgrep -o gunicorn) --all-children -d 1m -o web.svg -o web.folded
  sudo dtrace-profiler attach 1 -d 5 --kernel       another user's process"""
)
@sampling_options
@output_options
@click.argument("pid", type=ProcessId(), metavar="PID")
def attach(pid: int, **values: Any) -> int:
    """Profile a process that runs already, without stopping it."""
    from dtrace_profiler.cli import profiling

    options = make_options(values)
    return profiling.attach(pid, profiling.make_request(options, values, f"pid-{pid}"))


@cli.command(
    epilog="""\b
Examples:
  dtrace-profiler convert stacks.txt -o flame.svg    from dtrace's own output, or folded stacks
  dtrace-profiler convert run.dtrace -o run.html     from a recording (run --record run.dtrace)
  dtrace -n 'profile-97 { @[ustack()] = count(); }' -c ./program | dtrace-profiler convert - -o flame.html"""
)
@click.argument("source", metavar="IN")
@click.option("-o", "--output", "outputs", multiple=True, required=True, metavar="FILE", help="- is stdout.")
@click.option("--format", "format_name", metavar="NAME", help="The format of what is written, whatever the suffix.")
@click.option("--input-format", metavar="NAME", help="The format of IN, if it isn't told right by its content.")
def convert(source: str, outputs: tuple[str, ...], format_name: str | None, input_format: str | None) -> int:
    """Turn a recording, folded stacks or dtrace's plain output (IN; - is stdin) into another format."""
    from dtrace_profiler.cli import files

    return files.convert(source, outputs, format_name, input_format)


@cli.command(
    epilog="""\b
Examples:
  dtrace-profiler view run.dtrace
  dtrace-profiler view --no-browser stacks.folded   prints where the page is
  dtrace-profiler view --tui run.dtrace             in this terminal"""
)
@click.argument("source", metavar="FILE")
@click.option("--input-format", metavar="NAME", help="The format of FILE, if it isn't told right.")
@click.option("--no-browser", is_flag=True, help="Print where the page is, and open nothing.")
@click.option("--tui", is_flag=True, help="Show it in this terminal.")
def view(source: str, input_format: str | None, no_browser: bool, tui: bool) -> int:
    """Open a recording, folded stacks or dtrace's plain output as a flame graph in the browser."""
    if tui:
        from dtrace_profiler.cli import tui as terminal

        return terminal.view(source, input_format)
    from dtrace_profiler.cli import files

    return files.view(source, input_format, open_browser=not no_browser)


@cli.command(
    epilog="""\b
Examples:
  dtrace-profiler top run.dtrace                    the functions that took the time, each with its error
  dtrace-profiler top 4711                          of a process, after five seconds
  dtrace-profiler top 4711 --watch --last 10s       refreshed every second, of the last ten
  dtrace-profiler top run.dtrace --by total -n 50 --thread main
  dtrace-profiler top 'http://127.0.0.1:PORT/?key=KEY' --watch

A number is a process; a file of such a name is ./4711. The error (±) is one standard error of the share, in per cent
of all: what another profile as long would differ by, two times out of three."""
)
@click.argument("source", metavar="FILE|PID|ADDRESS")
@click.option("--watch", is_flag=True, help="Again and again, until Ctrl-C, or until the process ends.")
@click.option(
    "--every", "every_s", type=Duration(0.1), default="1s", show_default=True, metavar="SECONDS", help="With --watch."
)
@click.option("--by", "order", type=click.Choice(["self", "total"]), default="self", show_default=True, help="Order.")
@limit_option
@click.option("--json", "as_json", is_flag=True, help="As JSON, the answer of query functions; one line each time.")
@click.option("--input-format", metavar="NAME", help="The format of FILE, if it isn't told right.")
@selection_options
@click.option(
    "-d", "--duration", "duration_s", type=Duration(), metavar="SECONDS", help="How long a process is sampled."
)
@sampling_options
def top(source: str, **values: Any) -> int:
    """Print the functions that take the time, of a file, a process, or a running profiler."""
    from dtrace_profiler.cli import top as table

    return table.top(source, make_options(values), values)


@cli.command(
    epilog="""\b
Examples:
  dtrace-profiler stat run.dtrace
  dtrace-profiler stat run.dtrace --json | jq .unresolved.share
  dtrace-profiler stat run.dtrace --from 10s --to 20s"""
)
@click.argument("source", metavar="FILE|ADDRESS")
@click.option("--json", "as_json", is_flag=True, help="As JSON, the answer of query summary.")
@click.option("--input-format", metavar="NAME", help="The format of FILE, if it isn't told right.")
@limit_option
@selection_options
def stat(source: str, as_json: bool, **values: Any) -> int:
    """Say what a profile holds and how far it can be believed: samples, kinds, threads, losses."""
    from dtrace_profiler.cli import stat as numbers

    return numbers.stat(source, values, as_json_text=as_json)


cli.add_command(query)


@cli.command(
    epilog="""\b
Examples:
  dtrace-profiler mcp run.dtrace                    this file alone
  dtrace-profiler mcp profiles/                     files below this folder
  dtrace-profiler mcp 'http://127.0.0.1:PORT/?key=KEY'

Speaks on stdin and stdout, so it is a client that starts it. Needs dtrace-profiler[mcp]. It reads what is named here,
and nothing else, and writes nothing. See docs/query.md."""
)
@click.argument("named", nargs=-1, metavar="[FILE|FOLDER|ADDRESS]...")
def mcp(named: tuple[str, ...]) -> int:
    """Answer the questions of query to a client of the Model Context Protocol."""
    from dtrace_profiler.cli import mcp as server

    return server.serve(named)


@cli.command(
    epilog="""\b
Examples:
  dtrace-profiler script --pid 4711 --kernel
  dtrace-profiler script --pid 4711 > look.d && sudo dtrace -s look.d"""
)
@sampling_options
@click.option("--pid", type=ProcessId(), required=True, help="The process it would sample.")
def script(pid: int, **values: Any) -> int:
    """Print the D program that DTrace would run with these options."""
    from dtrace_profiler.cli import script as printed

    click.echo(printed.program(pid, make_options(values)), nl=False)
    return 0


@cli.command(
    epilog="""\b
The exit status is 0 if DTrace can be used, and 4 if not.
Examples:
  dtrace-profiler doctor
  dtrace-profiler doctor 4711                       and what there is to know of this process
  dtrace-profiler doctor --fix                      asks, and runs what is harmless
  dtrace-profiler doctor --selftest                 half a minute; writes a report to send along
  dtrace-profiler doctor --json | jq .checks"""
)
@click.argument("pid", type=ProcessId(), required=False, metavar="[PID]")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@click.option("--fix", is_flag=True, help="Run the commands that are harmless, after asking.")
@click.option("--yes", is_flag=True, help="With --fix: do not ask.")
@click.option("--selftest", is_flag=True, help="Profile a program that knows its truth, in every way there is here.")
@click.option("-o", "--output", metavar="FILE", help="Of the self-test's report.")
def doctor(pid: int | None, as_json: bool, fix: bool, yes: bool, selftest: bool, output: str | None) -> int:
    """Say whether DTrace can be used here, what is missing, what that costs, and how to mend it."""
    from dtrace_profiler.cli import doctor as examination

    return examination.doctor(pid, as_json=as_json, fix=fix, yes=yes, with_selftest=selftest, output=output)


@cli.command(
    epilog="""\b
Examples:
  eval "$(dtrace-profiler completion bash)"         in ~/.bashrc
  eval "$(dtrace-profiler completion zsh)"          in ~/.zshrc
  dtrace-profiler completion fish > ~/.config/fish/completions/dtrace-profiler.fish"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print what makes a shell complete our commands and options."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "dtrace-profiler", "_DTRACE_PROFILER_COMPLETE").source())
    return 0


cli.add_command(compare_commands.diff)
cli.add_command(compare_commands.gate)
