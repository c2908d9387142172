"""The command line: `main` runs it and turns every error into one sentence and an exit status."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from dtrace_profiler.cli.commands import ReaderGone, cli
from dtrace_profiler.cli.gate_command import GATE_STATUSES, ErrorOfGate
from dtrace_profiler.errors import CommandNotStarted, DTraceProfilerError, EngineError, TargetError

PROGRAM = "dtrace-profiler"
DEBUG_VARIABLE = "DTRACE_PROFILER_DEBUG"
"""Set to 1, tracebacks are printed."""

_USAGE = 2
_BROKEN_PIPE = 141
_INTERRUPTED = 130
"""As a shell shows a program ended by SIGPIPE and SIGINT."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line (default: that of this process). Returns the exit status; docs/errors.md lists them."""
    try:
        status = cli.main(
            args=None if arguments is None else list(arguments), prog_name=PROGRAM, standalone_mode=False
        )
        _flush()
        return status if isinstance(status, int) else 0
    except ErrorOfGate as error:
        status = _told(error.error)
        return GATE_STATUSES.get(status, status)
    except (Exception, KeyboardInterrupt) as error:
        return _told(error)


def _told(error: BaseException) -> int:
    """Says what is wrong, and returns the exit status."""
    if isinstance(error, click.UsageError):
        where = error.ctx.command_path if error.ctx is not None else PROGRAM
        say(error.format_message(), f"{where} --help")
        return _USAGE
    if isinstance(error, click.ClickException):
        say(error.format_message())
        return error.exit_code
    if isinstance(error, DTraceProfilerError):
        known = isinstance(error, EngineError | TargetError) and not isinstance(error, CommandNotStarted)
        say(str(error), error.remedy, error.page if known else "")
        _trace()
        return error.exit_status
    if isinstance(error, (ReaderGone, BrokenPipeError)):
        # Who read our output has gone, as `head` does. Nothing more can be written there, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        say("interrupted.")
        return _INTERRUPTED
    where = _origin(error)
    say(
        f"unexpected {type(error).__name__}{where}: {error}",
        f"{DEBUG_VARIABLE}=1, and please report what it prints",
    )
    _trace()
    return 1


def say(sentence: str, remedy: str = "", page: str = "") -> None:
    """An error on stderr: `dtrace-profiler: sentence`, what to try, and where to read more, below docs/."""
    click.echo(f"{PROGRAM}: {sentence}", err=True)
    if remedy:
        click.echo(f"  try: {remedy}", err=True)
    if page:
        click.echo(f"  read: docs/{page}", err=True)


def _flush() -> None:
    """What is still buffered may fail to be written: here, where it is reported."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def _trace() -> None:
    if os.environ.get(DEBUG_VARIABLE, "") not in ("", "0"):
        traceback.print_exc()


def _origin(error: BaseException) -> str:
    """Where in our code an unexpected error arose: enough for a first report."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
