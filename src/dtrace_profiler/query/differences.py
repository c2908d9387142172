"""What changed from one profile, or part of one, to another: the rows of `compare`, as an answer."""

from __future__ import annotations

from dataclasses import replace

from dtrace_profiler.compare import By, ComparisonRow, Measure, Normalise, compare
from dtrace_profiler.errors import UsageError
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.query.answer import DEFAULT_LIMIT, Row, head, side, text
from dtrace_profiler.query.selection import Selected, Selection, end_s, in_common, select

DEFAULT_CONFIDENCE = 0.95


def differences(
    before: Profile,
    after: Profile,
    before_selection: Selection | None = None,
    after_selection: Selection | None = None,
    *,
    by: By = "function",
    measure: Measure = "self",
    normalise: Normalise = "samples",
    confidence: float = DEFAULT_CONFIDENCE,
    anyway: bool = False,
    limit: int | None = DEFAULT_LIMIT,
) -> Row:
    """Rows: a function (file, module), what it had before and has after, the change with its interval, and whether
    that is beyond noise. The largest changes first. Both profiles may be the same, with different selections.

    Raises `NotComparable` where the numbers of the two do not mean the same, unless `anyway`; `UsageError` for parts
    of one profile that share samples, as the method takes the two as independent.
    """
    sides = select(before, before_selection), select(after, after_selection)
    if shared := in_common(*sides):
        raise UsageError(
            f"the two parts have {shared:,} samples in common: name another profile, or parts that share none."
        )
    found = compare(
        _of_its_time(sides[0]),
        _of_its_time(sides[1]),
        by=by,
        measure=measure,
        normalise=normalise,
        confidence=confidence,
        anyway=anyway,
    )
    kept = found.rows if limit is None else found.rows[:limit]
    rest = found.rows[len(kept) :]
    return {
        **head("differences"),
        "before": {"unit": found.before.unit, **side(sides[0])},
        "after": {"unit": found.after.unit, **side(sides[1])},
        "by": found.by,
        "measure": found.measure,
        "normalise": found.normalise,
        "quantity": found.quantity,
        "confidence": found.confidence,
        "whole": None if found.whole is None else _row(found.whole),
        "warnings": [text(warning) for warning in found.warnings],
        "rows": [_row(row) for row in kept],
        "left_out": {"rows": len(rest), "beyond_noise": sum(row.beyond_noise for row in rest)},
    }


def _of_its_time(selected: Selected) -> Profile:
    """The part, with the duration and the losses of its time instead of the whole profile's."""
    selection, part = selected.selection, selected.profile
    if selection.from_s is None and selection.to_s is None:
        return part
    until_s = end_s(selected.whole)
    if selection.to_s is not None:
        until_s = min(until_s, selection.to_s)
    duration_ns = max(0, round((until_s - (selection.from_s or 0.0)) * 1e9))
    losses = {"lost": selected.lost} if selected.lost else {}
    return replace(part, meta=replace(part.meta, duration_ns=duration_ns, losses=losses))


def _row(row: ComparisonRow) -> Row:
    return {
        "name": text(row.name),
        "module": text(row.module) or None,
        "function": text(row.function) or None,
        "before": _rounded(row.before),
        "after": _rounded(row.after),
        "change": _rounded(row.change),
        "change_from": _rounded(row.interval.low),
        "change_to": _rounded(row.interval.high),
        "relative_change": None if row.relative is None else _rounded(row.relative),
        "p_value": _rounded(row.p_value),
        "adjusted_p_value": _rounded(row.adjusted_p_value),
        "beyond_noise": row.beyond_noise,
    }


def _rounded(number: float) -> float:
    """To what can be told apart."""
    return float(f"{number:.6g}")
