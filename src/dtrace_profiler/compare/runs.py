"""Runs of one program: each a profile, of which only the values by function are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from dtrace_profiler.compare.comparability import comparability
from dtrace_profiler.compare.groups import By, Group, Measure, group_sums, moved_files, renamed
from dtrace_profiler.compare.quantities import Normalise, quantity_of, scale_of
from dtrace_profiler.compare.rules import ALL
from dtrace_profiler.errors import NotComparable
from dtrace_profiler.model.profile import Profile


@dataclass(frozen=True, slots=True)
class Run:
    name: str
    samples: int
    values: dict[Group, float]
    """Absent: 0."""
    whole: float
    """1 where the values are shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Both sides, in the order given."""

    by: By
    measure: Measure
    normalise: Normalise
    quantity: str
    """As `Comparison.quantity`."""
    baseline: tuple[Run, ...]
    candidate: tuple[Run, ...]
    warnings: tuple[str, ...]

    @property
    def all(self) -> tuple[Run, ...]:
        return self.baseline + self.candidate

    def groups(self) -> set[Group]:
        return {group for run in self.all for group in run.values}

    def share(self, group: Group) -> float:
        """The mean of its parts of all runs: the same, whichever runs are called the candidate's."""
        return fmean(run.values.get(group, 0.0) / run.whole if run.whole else 0.0 for run in self.all)


def read_runs(
    baseline: Iterable[tuple[str, Profile]],
    candidate: Iterable[tuple[str, Profile]],
    *,
    by: By = "function",
    measure: Measure = "self",
    normalise: Normalise = "samples",
    anyway: bool = False,
) -> Runs:
    """Takes profiles with their names, one after the other, so that one at a time is held beside the first.

    Raises `NotComparable` as `compare` does, each against the first.
    """
    first: tuple[str, Profile] | None = None
    warnings: dict[str, None] = {}
    sides: list[tuple[Run, ...]] = []
    in_seconds = False
    for profiles in (baseline, candidate):
        runs = []
        for name, profile in profiles:
            if profile.total <= 0:
                raise NotComparable(f"{name} has no samples: there is nothing to compare.")
            first = first or (name, profile)
            said = comparability(first[1], profile, measure=measure, normalise=normalise, names=(first[0], name))
            sums = group_sums(profile, by, measure)
            scale = scale_of(first[1], profile, normalise, sums.everything)
            if said.refusals and (scale is None or not anyway):
                raise NotComparable(
                    said.refusals[0], remedy="--anyway, if you know better" if scale is not None else ""
                )
            assert scale is not None  # what has none is refused
            warnings.update(dict.fromkeys(said.refusals + said.warnings))
            values = {group: scale.point(weight) for group, weight in sums.groups.items()}
            whole = scale.point(sums.everything)
            if normalise != "samples":
                values[ALL] = whole
            samples = profile.total if profile.meta.unit == "samples" else len(profile)
            runs.append(Run(name, samples, values, whole))
            in_seconds = scale.in_seconds
        sides.append(tuple(runs))
    files = moved_files([run.values for side in sides for run in side])
    if files:
        sides = [tuple(_with_files(run, files) for run in side) for side in sides]
    return Runs(
        by=by,
        measure=measure,
        normalise=normalise,
        quantity=quantity_of(normalise, in_seconds),
        baseline=sides[0],
        candidate=sides[1],
        warnings=tuple(warnings),
    )


def _with_files(run: Run, files: Mapping[str, str]) -> Run:
    return replace(run, values={renamed(group, files): value for group, value in run.values.items()})
