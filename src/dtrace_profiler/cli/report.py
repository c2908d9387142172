"""What is said on stderr beside the profile: notes while it runs, and what was found at its end."""

from __future__ import annotations

import shutil

import click

from dtrace_profiler.cli.outputs import Outputs
from dtrace_profiler.formats.facts import losses
from dtrace_profiler.formats.table import format_top
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.sampled_program import SAMPLED_INSIDE

TOP_FUNCTIONS = 10
_MAX_WIDTH = 120


def note(sentence: str, remedy: str = "", page: str = "") -> None:
    """`page`: where to read more, below docs/."""
    click.echo(f"dtrace-profiler: {sentence}", err=True)
    if remedy:
        click.echo(f"  try: {remedy}", err=True)
    if page:
        click.echo(f"  read: docs/{page}", err=True)


def sampler_note(reason: str, remedy: str) -> None:
    """Why DTrace isn't used and what that costs, in one line, and the command that would change it."""
    note(f"sampling from inside Python, so native and kernel frames are missing: {reason}", remedy)


def summary(profile: Profile, outputs: Outputs) -> None:
    """The top functions, what was lost, and where the files are."""
    click.echo(_headline(profile), err=True)
    if len(profile):
        width = min(_MAX_WIDTH, shutil.get_terminal_size().columns)
        click.echo("\n" + format_top(profile, TOP_FUNCTIONS, width).rstrip("\n"), err=True)
    if lost := losses(profile):
        click.echo(f"\nlost: {', '.join(lost)}", err=True)
    for sentence in profile.meta.notes:
        if not sentence.startswith(SAMPLED_INSIDE):  # said at the start
            click.echo(f"note: {sentence}", err=True)
    for output in outputs.profiles:
        click.echo(f"{'flame graph' if output.format in ('html', 'svg') else output.format}: {output.name}", err=True)
    if outputs.recording:
        click.echo(f"recording: {outputs.recording}", err=True)


def _headline(profile: Profile) -> str:
    meta = profile.meta
    seconds = meta.duration_ns / 1e9
    if not len(profile):
        return f"no samples in {seconds:.1f} s."
    threads = len({(thread.process_id, thread.thread_id) for thread in profile.threads})
    engine = f"DTrace {meta.versions['dtrace']}" if "dtrace" in meta.versions else f"the {meta.engine}"
    return (
        f"{len(profile):,} samples of {threads} thread{'s' if threads > 1 else ''} in {seconds:.1f} s,"
        f" by {engine} at {meta.frequency_hz} Hz"
    )
