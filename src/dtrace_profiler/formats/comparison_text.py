"""A comparison in words: the numbers of a row, and the table for a terminal. Names are made safe to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dtrace_profiler.compare import By, Comparison, ComparisonRow, Measure, Side
from dtrace_profiler.formats.facts import duration
from dtrace_profiler.formats.names import shown

_RED, _BLUE, _SOFT, _END = "\x1b[31m", "\x1b[34m", "\x1b[2m", "\x1b[0m"
_WHAT = {
    "share": "share of all samples",
    "cores": "CPU time a second, in cores",
    "seconds": "CPU time of the whole run",
    "samples": "samples of the whole run",
}
_MEASURES = {"self": "Self", "total": "Total"}


@dataclass(frozen=True, slots=True)
class Cells:
    """One row as text."""

    before: str
    after: str
    change: str
    interval: str
    p_value: str
    name: str


def chosen_rows(
    comparison: Comparison, *, limit: int | None = None, least: float = 0.0, only_changed: bool = False
) -> list[ComparisonRow]:
    """`least`: of the larger of both values, as a part of all (of the larger whole, where these are no shares)."""
    whole = 1.0 if comparison.whole is None else max(comparison.whole.before, comparison.whole.after)
    rows = [
        row
        for row in comparison.rows
        if max(row.before, row.after) >= least * whole and (row.beyond_noise or not only_changed)
    ]
    return rows[:limit]


def cells(row: ComparisonRow, quantity: str) -> Cells:
    value, change = number_formats(quantity)
    return Cells(
        before=value(row.before) if row.before else "0",
        after=value(row.after) if row.after else "0",
        change=change(row.change),
        interval=f"{change(row.interval.low)} … {change(row.interval.high)}",
        p_value=p_text(row.adjusted_p_value),
        name=shown(row.name) or "all",
    )


def p_text(p: float) -> str:
    return "<0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def heading(comparison: Comparison) -> str:
    """What the numbers are."""
    return quantity_text(comparison.by, comparison.measure, comparison.quantity)


def quantity_text(by: By, measure: Measure, quantity: str) -> str:
    """What is compared, in words."""
    unit = " (changes in percentage points)" if quantity == "share" else ""
    return f"{_MEASURES[measure]} time by {by}: {_WHAT[quantity]}{unit}"


def verdict(comparison: Comparison) -> str:
    """How many rows have changed by more than noise."""
    changed = sum(row.beyond_noise for row in comparison.rows)
    things = {"function": "functions", "file": "files", "module": "modules"}[comparison.by]
    if not changed:
        return f"None of {len(comparison.rows):,} {things} changed by more than noise."
    verb = "has" if changed == 1 else "have"
    return f"{changed:,} of {len(comparison.rows):,} {things} {verb} changed by more than noise."


def side_text(side: Side) -> str:
    count = f"{side.samples:,} {'sample' if side.samples == 1 else 'samples'}"
    if side.unit == "nanoseconds":
        count += f" of {duration(side.value)} on CPU"
    if side.duration_ns:
        count += f" in {duration(side.duration_ns)}"
    if side.frequency_hz:
        count += f" at {side.frequency_hz:,} Hz"
    return f"{count}, {shown(side.engine)}" if side.engine else count


def write_table(
    comparison: Comparison, rows: Sequence[ComparisonRow], names: tuple[str, str], *, colour: bool, width: int = 120
) -> str:
    """For a terminal. `names`: of A and B."""
    out = [
        f"{letter}  {shown(name)}: {side_text(side)}"
        for letter, name, side in zip("AB", names, (comparison.before, comparison.after), strict=True)
    ]
    out += [_painted(f"warning: {shown(text)}", _RED, colour) for text in comparison.warnings]
    out += ["", f"{heading(comparison)}. * changed by more than noise.", ""]
    every = [] if comparison.whole is None else [comparison.whole]
    lines = [(row, cells(row, comparison.quantity)) for row in [*every, *rows]]
    head = Cells("A", "B", "change", f"{100 * comparison.confidence:g} % interval", "adj. p", comparison.by)
    columns = ("before", "after", "change", "interval", "p_value")
    wide = {
        column: max(len(getattr(text, column)) for text in [head, *(text for _, text in lines)]) for column in columns
    }

    def numbers(text: Cells) -> str:
        return "  ".join(f"{getattr(text, column):>{wide[column]}}" for column in columns)

    room = max(20, width - sum(wide.values()) - 2 * len(columns) - 2)
    out.append(_painted(f"{numbers(head)}    {head.name}", _SOFT, colour))
    for row, text in lines:
        name = text.name if len(text.name) <= room else text.name[: room - 1] + "…"
        line = f"{numbers(text)}  {'*' if row.beyond_noise else ' '} {name}"
        tint = (_RED if row.change > 0 else _BLUE) if row.beyond_noise else _SOFT
        out.append(_painted(line, tint, colour))
    left = len(comparison.rows) - len(rows)
    if left > 0:
        out.append(f"… and {left:,} more")
    out += ["", verdict(comparison)]
    return "\n".join(out) + "\n"


def _painted(text: str, code: str, colour: bool) -> str:
    return f"{code}{text}{_END}" if colour else text


def number_formats(quantity: str) -> tuple[Callable[[float], str], Callable[[float], str]]:
    """Of a value, and of a change."""
    if quantity == "share":
        return (lambda value: f"{100 * value:.2f} %"), (lambda value: _signed(100 * value, 2))
    if quantity == "samples":
        return (lambda value: f"{value:,.0f}"), (lambda value: _signed(value, 0))
    if quantity == "cores":
        return (lambda value: f"{value:.4f}"), (lambda value: _signed(value, 4))
    return (lambda value: f"{value:.3f} s"), (lambda value: f"{_signed(value, 3)} s")


def _signed(value: float, digits: int) -> str:
    """`+`, or the true minus sign; never -0."""
    text = f"{abs(value):,.{digits}f}"
    if not text.strip("0.,"):
        return text
    return f"{'−' if value < 0 else '+'}{text}"
