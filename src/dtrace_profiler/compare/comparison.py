"""What changed from one profile to another, function by function, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dtrace_profiler.compare.comparability import comparability
from dtrace_profiler.compare.groups import (
    By,
    Group,
    GroupSums,
    Measure,
    Weight,
    group_sums,
    moved_files,
    renamed,
)
from dtrace_profiler.compare.intervals import Interval, difference_interval, holm, normal_quantile
from dtrace_profiler.compare.quantities import Estimate, Normalise, Scale, p_value, quantity_of, scale_of
from dtrace_profiler.errors import NotComparable, UsageError
from dtrace_profiler.model.profile import Profile, Unit

DEFAULT_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow:
    """All values as `Comparison.quantity` says."""

    name: str
    """`module:function`, a file, or a module."""
    module: str
    function: str
    before: float
    after: float
    change: float
    """after - before."""
    interval: Interval
    """Of the change, at the comparison's confidence, for this row alone."""
    p_value: float
    """Of this row alone."""
    adjusted_p_value: float
    """Holm's, over all rows."""
    beyond_noise: bool
    """`adjusted_p_value` is at most 1 - confidence. Where nothing changed, there is any such row with at most that
    chance."""

    @property
    def relative(self) -> float | None:
        """The change as a part of what was before; None where there was nothing."""
        return self.change / self.before if self.before else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two profiles."""

    samples: int
    value: int
    """In `unit`."""
    unit: Unit
    engine: str
    target: str
    duration_ns: int
    frequency_hz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    by: By
    measure: Measure
    normalise: Normalise
    quantity: str
    """Of the numbers: `share` (of 1), `cores` (seconds of CPU time a second), `seconds` (of CPU time), `samples`."""
    confidence: float
    before: Side
    after: Side
    whole: ComparisonRow | None
    """All of both; None for shares."""
    rows: tuple[ComparisonRow, ...]
    """The largest changes first; equal ones by name. All groups that either has."""
    warnings: tuple[str, ...]


def compare(
    before: Profile,
    after: Profile,
    *,
    by: By = "function",
    measure: Measure = "self",
    normalise: Normalise = "samples",
    confidence: float = DEFAULT_CONFIDENCE,
    anyway: bool = False,
) -> Comparison:
    """Raises `NotComparable` where the numbers of the two don't mean the same, unless `anyway`: then it is a warning;
    also where one has no samples. `UsageError` for a confidence that is none."""
    if not 0.5 <= confidence < 1:
        raise UsageError(f"confidence {confidence!r} is out of range: 0.5 to below 1.")
    for name, profile in (("A", before), ("B", after)):
        if profile.total <= 0:
            raise NotComparable(f"{name} has no samples: there is nothing to compare.")
    said = comparability(before, after, measure=measure, normalise=normalise)
    sums = _with_common_files(group_sums(before, by, measure), group_sums(after, by, measure))
    scales = [
        scale_of(other, profile, normalise, part.everything)
        for other, profile, part in ((after, before, sums[0]), (before, after, sums[1]))
    ]
    possible = [scale for scale in scales if scale is not None]
    if said.refusals and (len(possible) < 2 or not anyway):
        raise NotComparable(said.refusals[0], remedy="--anyway, if you know better" if len(possible) == 2 else "")
    rows = _rows(sums, possible, confidence, normalise)
    whole = None
    if normalise != "samples":
        whole = _row(Group("", ""), [part.everything for part in sums], possible, confidence, normalise)
        whole = _adjusted(whole, whole.p_value, confidence)
    return Comparison(
        by=by,
        measure=measure,
        normalise=normalise,
        quantity=quantity_of(normalise, possible[0].in_seconds),
        confidence=confidence,
        before=_side(before),
        after=_side(after),
        whole=whole,
        rows=rows,
        warnings=said.refusals + said.warnings,
    )


def _with_common_files(*sums: GroupSums) -> tuple[GroupSums, ...]:
    files = moved_files([part.groups for part in sums])
    if not files:
        return sums
    return tuple(
        replace(part, groups={renamed(group, files): weight for group, weight in part.groups.items()})
        for part in sums
    )


def _rows(
    sums: Sequence[GroupSums], scales: list[Scale], confidence: float, normalise: Normalise
) -> tuple[ComparisonRow, ...]:
    nothing = Weight(0, 0.0)
    rows = [
        _row(group, [part.groups.get(group, nothing) for part in sums], scales, confidence, normalise)
        for group in sums[0].groups | sums[1].groups
    ]
    adjusted = holm([row.p_value for row in rows])
    out = [_adjusted(row, value, confidence) for row, value in zip(rows, adjusted, strict=True)]
    out.sort(key=lambda row: (-abs(row.change), row.name))
    return tuple(out)


def _row(
    group: Group, weights: list[Weight], scales: list[Scale], confidence: float, normalise: Normalise
) -> ComparisonRow:
    """Not adjusted yet."""
    z = normal_quantile(confidence)
    first, second = (scale.estimate(weight, z) for scale, weight in zip(scales, weights, strict=True))
    return _compared(group, first, second, p_value(first, second, normalise))


def _compared(group: Group, before: Estimate, after: Estimate, p: float) -> ComparisonRow:
    return ComparisonRow(
        name=group.name,
        module=group.module,
        function=group.function,
        before=before.point,
        after=after.point,
        change=after.point - before.point,
        interval=difference_interval(before.point, before.interval, after.point, after.interval),
        p_value=p,
        adjusted_p_value=p,
        beyond_noise=False,
    )


def _adjusted(row: ComparisonRow, value: float, confidence: float) -> ComparisonRow:
    return replace(row, adjusted_p_value=value, beyond_noise=value <= 1 - confidence)


def _side(profile: Profile) -> Side:
    meta = profile.meta
    return Side(
        samples=profile.total if meta.unit == "samples" else len(profile),
        value=profile.total,
        unit=meta.unit,
        engine=meta.engine,
        target=meta.target,
        duration_ns=meta.duration_ns,
        frequency_hz=meta.frequency_hz,
    )
