"""Whether the numbers of two profiles mean the same, and what to know where they do only in part."""

from __future__ import annotations

from dataclasses import dataclass

from dtrace_profiler.compare.groups import Measure
from dtrace_profiler.compare.quantities import Normalise
from dtrace_profiler.model.frame import FrameKind
from dtrace_profiler.model.profile import Profile

_NOT_CPU_SAMPLES = ("The values are ", "Austin sampled by the clock", "Sampled in the mode ")
"""How notes begin with which a reader says that a file's values are something else than samples of CPU time."""
_EXPECTED = 10
"""So many samples of a kind must be missing before it is taken to have been left out, not to have been rare."""
_MUCH_LOST = 0.01
_KINDS = {FrameKind.PYTHON: "Python", FrameKind.NATIVE: "native", FrameKind.KERNEL: "kernel"}
_SAMPLED_ENGINES = {"dtrace": "DTrace", "sampler": "the embedded sampler"}


@dataclass(frozen=True, slots=True)
class Comparability:
    refusals: tuple[str, ...]
    """Why the numbers don't mean the same; a sentence each. Empty: they do."""
    warnings: tuple[str, ...]


def comparability(
    before: Profile, after: Profile, *, measure: Measure = "self", normalise: Normalise = "samples"
) -> Comparability:
    """In sentences that call the two A and B."""
    refusals: list[str] = []
    warnings: list[str] = []
    values = [_value_notes(profile) for profile in (before, after)]
    if values[0] != values[1]:
        said = [" ".join(notes) or "The values are samples of CPU time." for notes in values]
        refusals.append(f"the values of A and B are of different things. Of A: {said[0]} Of B: {said[1]}")
    _engines(before, after, measure, refusals, warnings)
    _kinds(before, after, measure, refusals, warnings)
    _units(before, after, normalise, refusals, warnings)
    frequencies = before.meta.frequency_hz, after.meta.frequency_hz
    if all(frequencies) and frequencies[0] != frequencies[1]:
        warnings.append(
            f"A was sampled at {frequencies[0]} Hz and B at {frequencies[1]} Hz: the rarer one has the wider error."
        )
    for what, texts in (
        ("system", (before.meta.system, after.meta.system)),
        ("Python", (before.meta.versions.get("python", ""), after.meta.versions.get("python", ""))),
    ):
        if all(texts) and texts[0] != texts[1]:
            warnings.append(f"the {what} is another one: {texts[0]} of A, {texts[1]} of B.")
    for name, profile in (("A", before), ("B", after)):
        _losses(name, profile, warnings)
    return Comparability(tuple(refusals), tuple(warnings))


def seconds_a_value(profile: Profile) -> float:
    """Seconds of CPU time that a value of 1 stands for; 0 where that isn't known."""
    if profile.meta.unit == "nanoseconds":
        return 1e-9
    return 1 / profile.meta.frequency_hz if profile.meta.frequency_hz else 0.0


def _value_notes(profile: Profile) -> list[str]:
    return sorted(note for note in profile.meta.notes if note.startswith(_NOT_CPU_SAMPLES))


def _engines(before: Profile, after: Profile, measure: Measure, refusals: list[str], warnings: list[str]) -> None:
    engines = before.meta.engine, after.meta.engine
    if engines[0] == engines[1]:
        return
    names = [_SAMPLED_ENGINES.get(engine, engine or "an unknown engine") for engine in engines]
    if "sampler" in engines and "dtrace" in engines:
        sentence = (
            f"A was sampled by {names[0]} and B by {names[1]}: without native frames, a Python function's own time"
            " has that of the C functions which it calls."
        )
        (refusals if measure == "self" else warnings).append(sentence)
    else:
        warnings.append(
            f"A comes from {names[0]} and B from {names[1]}: what they call the same function may have two names."
        )


def _kinds(before: Profile, after: Profile, measure: Measure, refusals: list[str], warnings: list[str]) -> None:
    """Kinds of frames that one has and the other must have left out."""
    if {before.meta.engine, after.meta.engine} == {"dtrace", "sampler"}:
        return  # said already
    for name, profile, other_name, other in (("A", before, "B", after), ("B", after, "A", before)):
        missing = {frame.kind for frame in profile.frames} - {frame.kind for frame in other.frames}
        shares = _shares_of_kinds(profile)
        for kind, word in _KINDS.items():
            if kind in missing and shares[kind] * _samples(other) >= _EXPECTED:
                sentence = (
                    f"{name} has {word} frames and {other_name} has none: they were sampled in different modes."
                )
                (refusals if measure == "self" else warnings).append(sentence)


def _shares_of_kinds(profile: Profile) -> dict[FrameKind, float]:
    """By the function that ran."""
    values = dict.fromkeys(FrameKind, 0)
    for node, value in profile.stack_values().items():
        values[profile.frames[profile.frame[node]].kind] += value
    return {kind: value / max(1, profile.total) for kind, value in values.items()}


def _samples(profile: Profile) -> int:
    return profile.total if profile.meta.unit == "samples" else len(profile)


def _units(before: Profile, after: Profile, normalise: Normalise, refusals: list[str], warnings: list[str]) -> None:
    sides = (("A", before), ("B", after))
    if before.meta.unit != after.meta.unit:
        warnings.append("one counts samples and the other CPU time: shares of both are shares of CPU time.")
    if normalise == "samples":
        for name, profile in sides:
            if profile.meta.unit == "nanoseconds" and not profile.meta.frequency_hz and not any(profile.timestamp_ns):
                warnings.append(
                    f"{name} has CPU time already summed by stack, and no frequency: its intervals are too wide."
                )
        return
    unknown = [name for name, profile in sides if not seconds_a_value(profile)]
    if normalise == "time":
        refusals += [
            f"how long {name} was profiled is not known, so it can't be compared by time."
            for name, profile in sides
            if not profile.meta.duration_ns
        ]
        refusals += [
            f"at what frequency {name} was sampled is not known, so its samples are no time." for name in unknown
        ]
    elif len(unknown) == 1:
        refusals.append(f"at what frequency {unknown[0]} was sampled is not known, so its samples are no time.")
    elif unknown:
        warnings.append("the frequency of neither is known: it is taken to be the same, and samples are compared.")


def _losses(name: str, profile: Profile, warnings: list[str]) -> None:
    samples = _samples(profile)
    for loss, count in profile.meta.losses.items():
        if count > _MUCH_LOST * max(1, samples):
            warnings.append(f"{name} lacks something: {loss.replace('_', ' ')} {count:,}, of {samples:,} samples.")
