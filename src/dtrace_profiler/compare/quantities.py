"""What is compared: shares of all samples, CPU time a second, or CPU time a run; each with its interval.

Samples that count 1 each are counts. Samples of different weights (nanoseconds of CPU time) are taken as so many
equal ones as would have the same variance, (Σw)² / Σw² of a sum and share × (1 - share) / variance of a share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from dtrace_profiler.compare.groups import Weight
from dtrace_profiler.compare.intervals import (
    Interval,
    count_interval,
    rate_p_value,
    share_interval,
    share_p_value,
)
from dtrace_profiler.model.profile import Profile

Normalise = Literal["samples", "time", "run"]
"""`samples`: by the number of samples, so shares of 1. `time`: by the time that was profiled, so seconds of CPU time
a second, which is cores. `run`: not at all, so seconds of CPU time (samples, where no frequency is known)."""


class Estimate(NamedTuple):
    point: float
    interval: Interval
    samples: float
    """Effective samples of the group."""
    exposure: float
    """Of a share: effective samples in all. Of a rate: such that `samples / exposure` is the point."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How the sums of one profile become what is compared."""

    normalise: Normalise
    everything: Weight
    unit: float
    """Seconds of CPU time that a value of 1 is, or 1."""
    divisor: float
    """Seconds that were profiled, or 1."""
    in_seconds: bool
    """Whether `unit` is such."""

    def point(self, weight: Weight) -> float:
        if self.normalise == "samples":
            return weight.value / self.everything.value
        return weight.value * self.unit / self.divisor

    def estimate(self, weight: Weight, z: float) -> Estimate:
        if self.normalise == "samples":
            return _share(weight, self.everything, z)
        return self._rate(weight, z)

    def _rate(self, weight: Weight, z: float) -> Estimate:
        value, square = float(weight.value), weight.square
        if not value or not square:
            value, square = 0.0, 0.0
            each = self.everything.square / self.everything.value if self.everything.value else 1.0
            count = 0.0
        else:
            each, count = square / value, value * value / square
        # One effective sample is so much of what is compared.
        step = each * self.unit / self.divisor
        low, high = count_interval(count, z)
        return Estimate(count * step, Interval(low * step, high * step), count, 1 / step)


def scale_of(first: Profile, profile: Profile, normalise: Normalise, everything: Weight) -> Scale | None:
    """Of a profile that is compared with `first`. None where that can't be, for it lacks the frequency or the
    duration."""
    units = [seconds_a_value(item) for item in (first, profile)]
    in_seconds = normalise != "samples" and all(units)
    if normalise == "time" and not (in_seconds and first.meta.duration_ns and profile.meta.duration_ns):
        return None
    if normalise == "run" and any(units) != all(units):
        return None
    return Scale(
        normalise,
        everything,
        units[1] if in_seconds else 1.0,
        profile.meta.duration_ns / 1e9 if normalise == "time" else 1.0,
        in_seconds,
    )


def seconds_a_value(profile: Profile) -> float:
    """Seconds of CPU time that a value of 1 stands for; 0 where that isn't known."""
    if profile.meta.unit == "nanoseconds":
        return 1e-9
    return 1 / profile.meta.frequency_hz if profile.meta.frequency_hz else 0.0


def quantity_of(normalise: Normalise, in_seconds: bool) -> str:
    """The word for what is compared."""
    if normalise == "samples":
        return "share"
    if normalise == "time":
        return "cores"
    return "seconds" if in_seconds else "samples"


def _share(weight: Weight, everything: Weight, z: float) -> Estimate:
    whole = everything.value
    share = weight.value / whole
    samples = whole * whole / everything.square
    if 0 < share < 1:
        outside = max(0.0, everything.square - weight.square)
        variance = ((1 - share) ** 2 * weight.square + share**2 * outside) / whole**2
        if variance > 0:
            samples = share * (1 - share) / variance
    return Estimate(share, share_interval(share, samples, z), share * samples, samples)


def p_value(before: Estimate, after: Estimate, normalise: Normalise) -> float:
    """How likely a difference like this, or a larger one, is where nothing changed."""
    test = share_p_value if normalise == "samples" else rate_p_value
    return test(before.samples, before.exposure, after.samples, after.exposure)
