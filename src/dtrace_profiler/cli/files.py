"""`convert` and `view`: profiles from files to files."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence

import click

from dtrace_profiler.cli.browser import open_in_browser
from dtrace_profiler.cli.outputs import STDOUT, Output, choose_format, write
from dtrace_profiler.errors import InputError, UsageError
from dtrace_profiler.formats import dropped, read_profile
from dtrace_profiler.model.profile import Profile


def convert(source: str, outputs: Sequence[str], format_name: str | None, input_format: str | None) -> int:
    """Reads once, writes all. Returns 0."""
    chosen = [Output(path, choose_format(path, format_name)) for path in outputs]
    profile = read(source, input_format)
    for output in chosen:
        write(profile, output)
        if lost := dropped(profile, output.format):
            words = f"{', '.join(lost[:-1])} and {lost[-1]}" if len(lost) > 1 else lost[0]
            click.echo(f"dtrace-profiler: {output.name} can't hold {words}.", err=True)
    return 0


def view(source: str, input_format: str | None, *, open_browser: bool) -> int:
    """Writes the page to a new file in the folder for temporary files, which stays there, and opens it. Returns 0."""
    profile = read(source, input_format)
    descriptor, path = tempfile.mkstemp(prefix="dtrace-profiler-", suffix=".html")
    os.close(descriptor)
    write(profile, Output(path, "html"))
    address = "file://" + path
    if open_browser and not open_in_browser(address):
        click.echo("dtrace-profiler: no browser could be opened; the page is here:", err=True)
        open_browser = False
    if not open_browser:
        click.echo(path)
    return 0


def read(source: str, input_format: str | None) -> Profile:
    """Raises InputError in one sentence for whatever can't be read."""
    with _as_file(source) as path:
        try:
            return read_profile(path, input_format)
        except OSError as error:
            raise InputError(f"{source} can't be read: {(error.strerror or str(error)).lower()}.") from error


@contextlib.contextmanager
def _as_file(source: str) -> Iterator[str]:
    if source != STDOUT:
        yield source
        return
    if sys.stdin.isatty():
        raise UsageError("stdin is the terminal: pipe something into it, or name a file.")
    with tempfile.NamedTemporaryFile(prefix="dtrace-profiler-", delete=False) as file:
        try:
            shutil.copyfileobj(sys.stdin.buffer, file)
            file.close()
            yield file.name
        finally:
            with contextlib.suppress(OSError):
                os.unlink(file.name)
