"""`gate`: several runs of two versions of a program, and one answer for CI."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dtrace_profiler.cli.diff import colourful, write_text
from dtrace_profiler.cli.files import read
from dtrace_profiler.cli.outputs import STDOUT
from dtrace_profiler.compare import By, Measure, Normalise
from dtrace_profiler.compare.calibration import Calibration, calibrate
from dtrace_profiler.compare.gate import GateResult, Verdict, judge
from dtrace_profiler.compare.rules import Rule, parse_rule
from dtrace_profiler.compare.runs import Runs, read_runs
from dtrace_profiler.errors import UsageError
from dtrace_profiler.formats.gate_json import calibration_json, gate_json
from dtrace_profiler.formats.gate_report import calibration_markdown, calibration_text, gate_markdown, gate_text
from dtrace_profiler.model.profile import Profile

STATUSES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 2}
_SUFFIXES = {".md": "markdown", ".markdown": "markdown", ".json": "json", ".txt": "text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    by: By
    measure: Measure
    normalise: Normalise
    anyway: bool
    input_format: str | None
    level: float
    least_share: float
    prove: bool
    calibrate: bool
    limit: int


def gate(
    baseline: Sequence[str],
    candidate: Sequence[str],
    rules: Sequence[str],
    request: Request,
    outputs: Sequence[str],
    format_name: str | None,
) -> int:
    """Returns the status of the verdict. Without outputs, stdout."""
    planned = [(path, _format_of(path, format_name)) for path in outputs or [STDOUT]]
    if not rules:
        raise UsageError("it has to be said what to fail on: --fail-on 'app.views:*>5%', or '*>5%' for any function.")
    parsed = [parse_rule(text) for text in dict.fromkeys(rules)]
    _check(baseline, candidate, request)
    runs = read_runs(
        _profiles(baseline, request.input_format),
        _profiles(candidate, request.input_format),
        by=request.by,
        measure=request.measure,
        normalise=request.normalise,
        anyway=request.anyway,
    )
    result: GateResult | Calibration
    if request.calibrate:
        result = calibrate(runs, parsed, level=request.level, least_share=request.least_share)
    else:
        result = judge(runs, parsed, level=request.level, least_share=request.least_share, prove=request.prove)
    for path, chosen in planned:
        write_text(path, _report(result, runs, parsed, chosen, request.limit, path == STDOUT and colourful()))
    return STATUSES[result.verdict]


def _report(
    result: GateResult | Calibration, runs: Runs, rules: Sequence[Rule], chosen: str, limit: int, colour: bool
) -> str:
    if isinstance(result, Calibration):
        if chosen == "json":
            return calibration_json(result, runs, rules)
        if chosen == "markdown":
            return calibration_markdown(result, runs, rules)
        return calibration_text(result, runs, rules, colour=colour)
    if chosen == "json":
        return gate_json(result, runs, rules)
    if chosen == "markdown":
        return gate_markdown(result, runs, rules, limit=limit)
    return gate_text(result, runs, rules, limit=limit, colour=colour)


def _check(baseline: Sequence[str], candidate: Sequence[str], request: Request) -> None:
    if not baseline:
        raise UsageError("there is no run of the baseline: name its files after --baseline.")
    if not candidate and not request.calibrate:
        raise UsageError("there is no run of the candidate: name its files after --candidate.")
    seen: set[str] = set()
    for path in [*baseline, *candidate]:
        if path == STDOUT:
            raise UsageError("runs are files: stdin is not read here.")
        same = os.path.realpath(path)
        if same in seen:
            raise UsageError(f"{path} is named twice: each run counts once.")
        seen.add(same)
    if request.prove and request.calibrate:
        raise UsageError("--calibrate counts false alarms: leave out --prove.")


def _profiles(paths: Sequence[str], input_format: str | None) -> Iterator[tuple[str, Profile]]:
    for path in paths:
        yield path, read(path, input_format)


def _format_of(path: str, format_name: str | None) -> str:
    if format_name is not None:
        return format_name
    if path == STDOUT:
        return "text"
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _SUFFIXES:
        raise UsageError(f"the suffix of {path} names no format of a report: {', '.join(_SUFFIXES)} do.")
    return _SUFFIXES[suffix]
