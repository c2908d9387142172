"""Whether the numbers of two profiles mean the same, and what to know where they do only in part."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dtrace_profiler.compare.groups import Measure
from dtrace_profiler.compare.quantities import Normalise, seconds_a_value
from dtrace_profiler.model.frame import FrameKind
from dtrace_profiler.model.profile import Profile

_EVENT = re.compile(r"Samples of perf's event `(?P<name>[^:`]*)")
_CPU_EVENTS = ("cpu-clock", "task-clock", "cycles", "cpu-cycles")
"""Whose samples are of CPU time, or nearly."""
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
    before: Profile,
    after: Profile,
    *,
    measure: Measure = "self",
    normalise: Normalise = "samples",
    names: tuple[str, str] = ("A", "B"),
) -> Comparability:
    """`names`: what the sentences call the two."""
    pair = _Pair((before, after), names)
    refusals: list[str] = []
    warnings: list[str] = []
    # Own time is another thing where the functions below are not seen; the time of all that was called is the same.
    of_frames = refusals if measure == "self" else warnings
    refusals += _values(pair)
    if {before.meta.engine, after.meta.engine} == {"dtrace", "sampler"}:
        of_frames.append(_engines(pair))
    else:
        warnings += _sources(pair)
        of_frames += _modes(pair)
    refused, warned = _units(pair, normalise)
    refusals += refused
    warnings += warned + _circumstances(pair) + [text for at in (0, 1) for text in _losses(pair, at)]
    return Comparability(tuple(refusals), tuple(warnings))


@dataclass(frozen=True, slots=True)
class _Pair:
    profiles: tuple[Profile, Profile]
    names: tuple[str, str]

    def told(self, template: str, first: object, second: object) -> str:
        """`{a}` and `{b}` are the names, `{0}` and `{1}` what is said of them."""
        return template.format(first, second, a=self.names[0], b=self.names[1])


def _values(pair: _Pair) -> list[str]:
    notes = [sorted(filter(_tells_of_values, profile.meta.notes)) for profile in pair.profiles]
    if notes[0] == notes[1]:
        return []
    said = [" ".join(own) or "The values are samples of CPU time." for own in notes]
    return [pair.told("the values of {a} and {b} are of different things. Of {a}: {0} Of {b}: {1}", *said)]


def _tells_of_values(note: str) -> bool:
    """Whether a reader's note says that the values are no samples of CPU time."""
    event = _EVENT.match(note)
    return note.startswith(_NOT_CPU_SAMPLES) or (event is not None and event["name"] not in _CPU_EVENTS)


def _engine_names(pair: _Pair) -> list[str]:
    engines = [profile.meta.engine for profile in pair.profiles]
    return [_SAMPLED_ENGINES.get(engine, engine or "an unknown engine") for engine in engines]


def _engines(pair: _Pair) -> str:
    return pair.told(
        "{a} was sampled by {0} and {b} by {1}: without native frames, a Python function's own time has that of the C"
        " functions which it calls.",
        *_engine_names(pair),
    )


def _sources(pair: _Pair) -> list[str]:
    names = _engine_names(pair)
    if names[0] == names[1]:
        return []
    return [
        pair.told("{a} comes from {0} and {b} from {1}: what they call the same function may have two names.", *names)
    ]


def _modes(pair: _Pair) -> list[str]:
    """Kinds of frames that one has and the other must have left out."""
    out = []
    for at in (0, 1):
        profile, other = pair.profiles[at], pair.profiles[1 - at]
        missing = {frame.kind for frame in profile.frames} - {frame.kind for frame in other.frames}
        shares = _shares_of_kinds(profile) if missing else {}
        for kind, word in _KINDS.items():
            if kind in missing and shares[kind] * _samples(other) >= _EXPECTED:
                out.append(
                    f"{pair.names[at]} has {word} frames and {pair.names[1 - at]} has none: they were sampled in"
                    " different modes."
                )
    return out


def _shares_of_kinds(profile: Profile) -> dict[FrameKind, float]:
    """By the function that ran."""
    values = dict.fromkeys(FrameKind, 0)
    for node, value in profile.stack_values().items():
        values[profile.frames[profile.frame[node]].kind] += value
    return {kind: value / max(1, profile.total) for kind, value in values.items()}


def _units(pair: _Pair, normalise: Normalise) -> tuple[list[str], list[str]]:
    """Refusals and warnings."""
    refusals: list[str] = []
    warnings: list[str] = []
    before, after = pair.profiles
    sides = list(zip(pair.names, pair.profiles, strict=True))
    if before.meta.unit != after.meta.unit:
        names = [name for unit in ("samples", "nanoseconds") for name, side in sides if side.meta.unit == unit]
        warnings.append(f"{names[0]} counts samples and {names[1]} CPU time: shares of both are shares of CPU time.")
    if normalise == "samples":
        warnings += [
            f"{name} has CPU time already summed by stack, and no frequency: its intervals are too wide."
            for name, profile in sides
            if profile.meta.unit == "nanoseconds" and not profile.meta.frequency_hz and not any(profile.timestamp_ns)
        ]
        return refusals, warnings
    unknown = [name for name, profile in sides if not seconds_a_value(profile)]
    if normalise == "time":
        refusals += [
            f"how long {name} was profiled is not known, so it can't be compared by time."
            for name, profile in sides
            if not profile.meta.duration_ns
        ]
    if normalise == "time" or len(unknown) == 1:
        refusals += [
            f"at what frequency {name} was sampled is not known, so its samples are no time." for name in unknown
        ]
    elif unknown:
        warnings.append("the frequency of neither is known: it is taken to be the same, and samples are compared.")
    return refusals, warnings


def _circumstances(pair: _Pair) -> list[str]:
    out = []
    before, after = (profile.meta for profile in pair.profiles)
    if before.frequency_hz and after.frequency_hz and before.frequency_hz != after.frequency_hz:
        out.append(
            pair.told(
                "{a} was sampled at {0} Hz and {b} at {1} Hz: the rarer one has the wider error.",
                before.frequency_hz,
                after.frequency_hz,
            )
        )
    for what, texts in (
        ("system", (before.system, after.system)),
        ("Python", (before.versions.get("python", ""), after.versions.get("python", ""))),
    ):
        if all(texts) and texts[0] != texts[1]:
            out.append(pair.told(f"the {what} is another one: {{0}} of {{a}}, {{1}} of {{b}}.", *texts))
    return out


def _losses(pair: _Pair, at: int) -> list[str]:
    profile = pair.profiles[at]
    samples = _samples(profile)
    return [
        f"{pair.names[at]} lacks something: {loss.replace('_', ' ')} {count:,}, of {samples:,} samples."
        for loss, count in profile.meta.losses.items()
        if count > _MUCH_LOST * max(1, samples)
    ]


def _samples(profile: Profile) -> int:
    return profile.total if profile.meta.unit == "samples" else len(profile)
