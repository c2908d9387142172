"""`doctor`: what `doctor.examination` finds, as a table or JSON; mending on request; the self-test's report."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from dtrace_profiler._version import __version__
from dtrace_profiler.doctor.assumptions import check_assumptions
from dtrace_profiler.doctor.checks import Assumed, Check
from dtrace_profiler.doctor.examination import examine
from dtrace_profiler.doctor.fixes import mend, mendable
from dtrace_profiler.doctor.selftest import Trial, report, selftest
from dtrace_profiler.errors import EngineError, UsageError
from dtrace_profiler.platforms.base import system

DEFAULT_REPORT = "dtrace-profiler-selftest.json"
_INDENT = " " * 20


def doctor(pid: int | None, *, as_json: bool, fix: bool, yes: bool, with_selftest: bool, output: str | None) -> int:
    """Prints the findings on stdout. Returns 0 if DTrace can be used, else the exit status of an EngineError."""
    if fix and not yes and not sys.stdin.isatty():
        raise UsageError("--fix asks before it changes something, and nobody is here to answer: add --yes.")
    checks = list(examine(pid))
    if not as_json:
        _show(checks)
    if fix and _mended(checks, yes=yes, say=not as_json):
        checks = list(examine(pid))
        if not as_json:
            click.echo()
            _show(checks)
    usable = all(check.ok is not False for check in checks)
    if as_json and not with_selftest:
        click.echo(json.dumps(_findings(checks, usable), indent=2))
    elif not as_json:
        click.echo()
        click.echo(_conclusion(usable))
    if with_selftest:
        return _selftest(checks, usable, output, as_json=as_json)
    return 0 if usable else EngineError.exit_status


def _conclusion(usable: bool) -> str:
    if usable:
        return "DTrace can be used: run and attach sample with it."
    return "DTrace can't be used. run samples Python programs from inside; attach can't sample."


def _findings(checks: Sequence[Check], usable: bool) -> dict[str, object]:
    return {
        "version": __version__,
        "usable": usable,
        "engine": "dtrace" if usable else "sampler",
        "reason": next((f"{check.name}: {check.text}" for check in checks if check.ok is False), ""),
        "checks": [asdict(check) for check in checks],
    }


def _show(checks: Sequence[Check]) -> None:
    for check in checks:
        mark, colour = _mark(check)
        click.echo(f"{click.style(mark, fg=colour)} {check.name:<14} {check.text}")
        if check.ok is True:
            continue
        for label, text in (("costs:", check.cost), ("try:", check.remedy), ("read:", _page(check))):
            if text:
                click.echo(f"{_INDENT}{label:<6} {text}")


def _mark(check: Check) -> tuple[str, str | None]:
    if check.ok is None:
        return ("note", "yellow") if check.cost else ("    ", None)
    return ("ok  ", "green") if check.ok else ("FAIL", "red")


def _page(check: Check) -> str:
    return f"docs/{check.page}" if check.page and (check.cost or check.ok is False) else ""


def _mended(checks: Sequence[Check], *, yes: bool, say: bool) -> bool:
    """Whether something was changed."""
    found = mendable(checks)
    if not found and say:
        click.echo("\nNothing here can be mended by a harmless command.")
    changed = False
    for check in found:
        if yes or click.confirm(f"\n{check.name}: {check.text}. Run “{shlex.join(check.fix)}” as root?", err=True):
            mend(check)
            changed = True
    return changed


def _selftest(checks: Sequence[Check], usable: bool, output: str | None, *, as_json: bool) -> int:
    if not as_json:
        click.echo("\nSelf-test: a program burns 75 % of its time in one function and 25 % in another.")
    trials: list[Trial] = []
    for trial in selftest(system(), dtrace_usable=usable):
        trials.append(trial)
        if not as_json:
            mark = click.style("ok  ", fg="green") if trial.ok else click.style("FAIL", fg="red")
            click.echo(f"{mark} {trial.way}: {trial.text}")
    assumed = check_assumptions(system(), trials, dtrace_usable=usable)
    if not as_json:
        _show_assumed(assumed)
    text = report(checks, trials, assumed)
    if as_json and output is None:
        click.echo(text, nl=False)
    else:
        path = Path(output or DEFAULT_REPORT)
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"the report can't be written to {path}: {error.strerror}.") from error
        click.echo(f"\nThe report, without personal names and paths, is in {path}.", err=as_json)
    return 0 if all(trial.ok for trial in trials) else EngineError.exit_status


def _show_assumed(assumed: Sequence[Assumed]) -> None:
    if assumed:
        click.echo("\nWhat we assume of this system (docs/platforms.md#assumptions):")
    for row in assumed:
        mark = {True: click.style("ok  ", fg="green"), False: click.style("FAIL", fg="red"), None: "?   "}[row.holds]
        click.echo(f"{mark} {row.number:>2} {row.text}")
