"""A CPU budget of a test: what it allows, and whether a profile surely exceeds it.

A share that was sampled is not the share: of n samples the number that fall into a function spreads as a binomial
does. So a budget counts as exceeded only where a function whose true share is the limit itself would show as many
samples as were seen in less than one run of a thousand (exact one-sided binomial test). A budget of CPU seconds
without a function is measured, not sampled. docs/pytest.md has the assumptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, exp, lgamma, log, log1p, sqrt
from typing import Any

from dtrace_profiler.errors import UsageError
from dtrace_profiler.formats.facts import duration, percent
from dtrace_profiler.formats.names import shown
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.options import EngineName, Options
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.wildcard import matches

FALSE_ALARMS = 0.001
"""How often at most a test fails whose true share is the limit itself."""
FREQUENCY_HZ = 997
"""A tenth of a second gives a hundred samples."""


@dataclass(frozen=True, slots=True)
class Budget:
    """`share` is of the CPU time; one of `share` and `cpu_s` is given."""

    function: str | None
    share: float | None
    cpu_s: float | None
    frequency_hz: int = FREQUENCY_HZ
    engine: EngineName = "sampler"


@dataclass(frozen=True, slots=True)
class Verdict:
    exceeded: bool
    judged: bool
    """False: too few samples for any answer but this."""
    text: str
    """One sentence."""


def budget_of(arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Budget:
    """Of a mark's arguments. Raises `UsageError`."""
    unknown = set(named) - {"function", "share", "cpu_s", "frequency_hz", "engine"}
    if unknown or len(arguments) > 1 or (arguments and "function" in named):
        what = f"has no argument {sorted(unknown)[0]!r}" if unknown else "takes one function"
        raise UsageError(f"profile_budget {what}: function, share, cpu_s, frequency_hz and engine are its arguments.")
    function = arguments[0] if arguments else named.get("function")
    share, cpu_s = named.get("share"), named.get("cpu_s")
    if function is not None and (not isinstance(function, str) or not function):
        raise UsageError(f"profile_budget's function is 'name' or 'module:name', not {function!r}.")
    if (share is None) == (cpu_s is None):
        raise UsageError("profile_budget needs a limit: share=, as in share=0.3, or cpu_s=; not both.")
    if share is not None and (not _is_number(share) or not 0 <= share < 1):
        raise UsageError(f"profile_budget's share {share!r} is out of range: 0 to below 1, as in 0.3 for 30 %.")
    if share is not None and function is None:
        raise UsageError("profile_budget's share is of a function: name it, as in profile_budget('f', share=0.3).")
    if cpu_s is not None and (not _is_number(cpu_s) or not 0 < cpu_s < 1e9):
        raise UsageError(f"profile_budget's cpu_s {cpu_s!r} is out of range: seconds of CPU time, above 0.")
    options = Options(frequency_hz=named.get("frequency_hz", FREQUENCY_HZ), engine=named.get("engine", "sampler"))
    return Budget(function, share, cpu_s, options.frequency_hz, options.engine)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def judge(budget: Budget, profile: Profile, cpu_ns: int) -> Verdict:
    """`cpu_ns`: the CPU time of what is judged, measured by the system's clock."""
    if budget.function is None:
        assert budget.cpu_s is not None
        allowed_ns = budget.cpu_s * 1e9
        return Verdict(
            cpu_ns > allowed_ns,
            True,
            f"the test used {duration(cpu_ns)} of CPU time, and {duration(allowed_ns)} are allowed",
        )
    samples, inside = _counted(profile, budget.function)
    share = inside / samples if samples else 0.0
    name = shown(budget.function)
    if budget.share is not None:
        limit, allowed = budget.share, percent(budget.share)
        part = percent(share)
    else:
        assert budget.cpu_s is not None
        limit, allowed = min(1.0, budget.cpu_s * 1e9 / max(1, cpu_ns)), duration(budget.cpu_s * 1e9)
        part = f"{duration(share * cpu_ns)} ({percent(share)})"
    error = 100 * sqrt(share * (1 - share) / samples) if samples else 0.0
    text = f"{name} took {part} ± {error:.1f} of the test's {duration(cpu_ns)} of CPU time, and {allowed} are allowed"
    if limit >= 1:  # the whole test took less
        return Verdict(False, True, text)
    needed = ceil(log(FALSE_ALARMS) / log(limit)) if limit > 0 else 1
    if samples < needed:
        few = f"too few samples to tell, {samples} of the {needed} that this limit needs"
        return Verdict(False, False, f"{text}; {few}: make the test longer or frequency_hz higher")
    exceeded = _at_least(inside, samples, limit) < FALSE_ALARMS
    if exceeded:
        text += f" (by chance less than once in 1,000 runs: {inside:,} of {samples:,} samples)"
    return Verdict(exceeded, True, text)


def _counted(profile: Profile, function: str) -> tuple[int, int]:
    """How many samples of equal weight the profile is worth, and how many of these have the function in their stack.

    Samples of unequal weights w are worth (Σw)² / Σw² equal ones (Kish); rounded downwards, both.
    """
    matching = [_matches(frame, function) for frame in profile.frames]
    inside = bytearray(len(profile.parent))
    for node, (parent, frame) in enumerate(zip(profile.parent, profile.frame, strict=True)):
        inside[node] = matching[frame] or (parent >= 0 and inside[parent])
    total = profile.total
    part = sum(value for node, value in zip(profile.node, profile.value, strict=True) if inside[node])
    if profile.meta.unit == "samples" or not total:
        return total, part
    squares = sum(value * value for value in profile.value)
    worth = total * total // squares
    return worth, part * worth // total


def _matches(frame: StackFrame, pattern: str) -> bool:
    """By `name`, `module:name` or `file:name`; `*` stands for any characters."""
    file = frame.file.replace("\\", "/").rpartition("/")[2]
    names = (
        frame.function_name,
        f"{frame.module_name}:{frame.function_name}",
        f"{file}:{frame.function_name}",
    )
    return any(matches(pattern, name) for name in names)


def _at_least(count: int, samples: int, chance: float) -> float:
    """The probability of `count` or more of `samples`, each with this chance."""
    if count <= 0:
        return 1.0
    if chance <= 0:
        return 0.0
    if count <= samples * chance:
        return 1.0  # more than is of interest
    total = 0.0
    whole = lgamma(samples + 1)
    for k in range(count, samples + 1):
        term = exp(whole - lgamma(k + 1) - lgamma(samples - k + 1) + k * log(chance) + (samples - k) * log1p(-chance))
        total += term
        if term < total * 1e-12:  # beyond the mean they only shrink
            break
    return total
