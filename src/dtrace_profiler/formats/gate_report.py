"""What a gate decided, and why: for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from dtrace_profiler.compare.calibration import Calibration
from dtrace_profiler.compare.gate import GateResult, Judgement, Verdict
from dtrace_profiler.compare.rules import Rule
from dtrace_profiler.compare.runs import Run, Runs
from dtrace_profiler.formats.comparison_markdown import code, plain, table
from dtrace_profiler.formats.comparison_text import number_formats, p_text, quantity_text
from dtrace_profiler.formats.names import shown

_CODES = {Verdict.PASS: "\x1b[1;32m", Verdict.FAIL: "\x1b[1;31m", Verdict.INCONCLUSIVE: "\x1b[1;33m"}
_MOST_WARNINGS = 8
_RED, _END = "\x1b[31m", "\x1b[0m"
_SIGNS = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.INCONCLUSIVE: "❔"}


def gate_text(result: GateResult, runs: Runs, rules: Sequence[Rule], *, limit: int, colour: bool) -> str:
    """For a terminal."""
    out = [_headline(result.verdict, result.reason, colour)]
    out += ["", *_facts(result, runs, rules)]
    out += [_painted(f"warning: {shown(text)}", colour) for text in _warnings(runs)]
    rows = [_cells(item, runs.quantity) for item in result.judgements[:limit]]
    lines = _aligned([_head(runs), *rows]) if rows else []
    out += ["", *lines[:1]]
    out += [_painted(line, colour and item.failed) for line, item in zip(lines[1:], result.judgements, strict=False)]
    if len(result.judgements) > limit:
        out.append(f"… and {len(result.judgements) - limit:,} more")
    return "\n".join(out) + "\n"


def gate_markdown(result: GateResult, runs: Runs, rules: Sequence[Rule], *, limit: int) -> str:
    out = [f"### {_SIGNS[result.verdict]} {result.verdict}: {plain(result.reason)}", ""]
    out += [f"- {plain(text)}" for text in _facts(result, runs, rules)]
    out += [f"- ⚠️ {plain(text)}" for text in _warnings(runs)]
    rows = []
    for item in result.judgements[:limit]:
        verdict, rule, *numbers, name = _cells(item, runs.quantity)
        rows.append((code(name), code(rule), *numbers, f"**{verdict}**" if item.failed else verdict))
    if rows:
        head = _head(runs)
        out += ["", *table((head[-1], *head[1:-1], "verdict"), rows, left=0)]
    if len(result.judgements) > limit:
        out += ["", f"… and {len(result.judgements) - limit:,} more."]
    return "\n".join(out) + "\n"


def calibration_text(found: Calibration, runs: Runs, rules: Sequence[Rule], *, colour: bool) -> str:
    """For a terminal."""
    out = [_headline(found.verdict, found.reason, colour), "", *_calibration_facts(found, runs, rules)]
    out += [_painted(f"warning: {shown(text)}", colour) for text in _warnings(runs)]
    rows = _detectable_rows(found)
    if rows:
        out += ["", *_aligned([_DETECTABLE_HEAD, *rows])]
    return "\n".join(out) + "\n"


def calibration_markdown(found: Calibration, runs: Runs, rules: Sequence[Rule]) -> str:
    out = [f"### {_SIGNS[found.verdict]} {found.verdict}: {plain(found.reason)}", ""]
    out += [f"- {plain(text)}" for text in _calibration_facts(found, runs, rules)]
    out += [f"- ⚠️ {plain(text)}" for text in _warnings(runs)]
    rows = [(code(name), code(rule), share, growth) for share, growth, rule, name in _detectable_rows(found)]
    if rows:
        out += ["", *table(("function", "rule", "share", "would be seen"), rows, left=0)]
    return "\n".join(out) + "\n"


def _headline(verdict: Verdict, reason: str, colour: bool) -> str:
    word = f"{_CODES[verdict]}{verdict}{_END}" if colour else str(verdict)
    return f"{word}: {reason}"


def _facts(result: GateResult, runs: Runs, rules: Sequence[Rule]) -> list[str]:
    ways = f"all {result.ways:,}" if result.exact else f"{result.ways:,} random"
    out = [
        f"Baseline: {_runs(runs.baseline)}. Candidate: {_runs(runs.candidate)}.",
        f"{quantity_text(runs.by, runs.measure, runs.quantity)}; mean ± standard deviation of the runs.",
        f"Fails on {', '.join(shown(rule.text) for rule in rules)}, at a level of {result.level:.3g}.",
        f"Permutation test over {ways} arrangements of the runs, p adjusted by Holm's method; the smallest that there"
        f" can be is {p_text(result.smallest_p)}.",
    ]
    if result.left_out:
        out.append(f"Not judged, because smaller than {100 * result.least_share:g} % of all: {result.left_out:,}.")
    return out


def _calibration_facts(found: Calibration, runs: Runs, rules: Sequence[Rule]) -> list[str]:
    ways = "all" if found.exact else "random"
    out = [
        f"{_runs(runs.all)} of one program, divided {found.divisions:,} times ({ways} ways) into {found.sides[0]} and"
        f" {found.sides[1]}; {found.judged:,} judged each time.",
        f"False alarms: {found.false_alarms:,} of {found.divisions:,} divisions, {found.rate:.1%}."
        f" The level is {found.level:.0%}.",
        f"Fails on {', '.join(shown(rule.text) for rule in rules)}.",
        f"{quantity_text(runs.by, runs.measure, runs.quantity)}.",
    ]
    if found.drift:
        out.append(f"The first and the last half of the runs differ in {', '.join(map(shown, found.drift))}.")
    return out


def _runs(runs: Sequence[Run]) -> str:
    samples = [run.samples for run in runs]
    between = f"{min(samples):,}" if min(samples) == max(samples) else f"{min(samples):,} to {max(samples):,}"
    return f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} of {between} samples"


def _warnings(runs: Runs) -> list[str]:
    left = len(runs.warnings) - _MOST_WARNINGS
    return [*runs.warnings[:_MOST_WARNINGS], *([f"and {left:,} more, which JSON has."] if left > 0 else [])]


def _head(runs: Runs) -> tuple[str, ...]:
    return "", "rule", "baseline", "candidate", "change", "relative", "adj. p", runs.by


def _cells(item: Judgement, quantity: str) -> tuple[str, ...]:
    value, change = number_formats(quantity)
    (before, after), (scatter_before, scatter_after) = item.means, item.deviations
    return (
        "FAIL" if item.failed else "",
        shown(item.rule.text),
        f"{value(before)} ± {value(scatter_before)}",
        f"{value(after)} ± {value(scatter_after)}",
        change(item.change),
        "new" if item.relative is None else f"{100 * item.relative:+.1f} %".replace("-", "−"),
        p_text(item.adjusted_p_value),
        shown(item.group.name),
    )


_DETECTABLE_HEAD = ("share", "would be seen", "rule", "function")


def _detectable_rows(found: Calibration) -> list[tuple[str, ...]]:
    """How much beyond the rule's limit a function must grow to be seen four times in five."""
    return [
        (
            f"{item.share:.2%}",
            f"+{item.growth:.0%}" if item.growth is not None else "not even +200%",
            shown(item.rule.text),
            shown(item.group.name),
        )
        for item in found.detectable
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns one under the other; the last one is open to the right."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return ["  ".join([*(f"{text:>{room}}" for text, room in zip(row, wide, strict=False)), row[-1]]) for row in rows]


def _painted(text: str, colour: bool) -> str:
    return f"{_RED}{text}{_END}" if colour else text
