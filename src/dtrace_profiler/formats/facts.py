"""What a profile is of, how it was taken and what is missing, in words. The page says
the same (assets/status.js)."""

from __future__ import annotations

from datetime import UTC, datetime

from dtrace_profiler.formats.names import shown
from dtrace_profiler.model.profile import Profile, Unit

_ENGINES = {"dtrace": "DTrace", "sampler": "embedded sampler"}

_LOSSES = {
    "drops": "records dropped by dtrace, its buffer was full",
    "dynamic_variable_drops": "records dropped by dtrace, its table of stacks was full",
    "stack_string_drops": "stacks dropped by dtrace, its table of strings was full",
    "not_taken": "samples that nobody took in time",
    "labels_dropped": "samples without their labels",
    "expired_samples": "old samples dropped, the store was full",
    "truncated": "stacks cut at the depth limit",
    "truncated_stacks": "stacks cut at the depth limit",
    "truncated_python_stacks": "Python stacks cut at the depth limit",
    "broken_unwinds": "native stacks that could be followed only in part",
    "walk_faults_stacks": "Python stacks that could not be read",
    "undefined_stacks": "samples whose stack is not known",
    "unresolved_stacks": "Python stacks without names",
    "unresolved_code": "Python functions without a name",
    "unprinted_samples": "samples that dtrace had counted and did not print in time",
    "missed_ticks": "moments at which no sample was taken",
}
"""Losses that have a sentence; others are shown by their name."""


def loss_words(name: str) -> str:
    """What a loss of this name is, safe to show."""
    return _LOSSES.get(name) or shown(name).replace("_", " ")


def title_of(profile: Profile, title: str | None = None) -> str:
    return shown(title or profile.meta.target or "CPU profile")


def facts(profile: Profile) -> list[str]:
    """Engine, duration, samples, threads, start, versions: a short text each, safe to show."""
    meta = profile.meta
    out = []
    engine = _ENGINES.get(meta.engine) or shown(meta.engine)
    frequency = f"{meta.frequency_hz:,} Hz" if meta.frequency_hz else ""
    if engine or frequency:
        out.append(f"{engine} at {frequency}" if engine and frequency else engine or frequency)
    if meta.duration_ns:
        out.append(f"over {duration(meta.duration_ns)}")
    total = profile.total
    samples = total if meta.unit == "samples" else len(profile)
    count = f"{samples:,} {'sample' if samples == 1 else 'samples'}"
    if meta.unit == "nanoseconds":
        count += f" of {duration(total)} on CPU"
    elif meta.frequency_hz and samples:
        count += f" ≈ {duration(samples / meta.frequency_hz * 1e9)} on CPU"
    out.append(count)
    threads = len({(thread.process_id, thread.thread_id) for thread in profile.threads})
    if threads > 1:
        processes = len({thread.process_id for thread in profile.threads})
        out.append(f"{threads:,} threads" + (f" of {processes:,} processes" if processes > 1 else ""))
    if meta.start_ns > 0:
        try:
            out.append(datetime.fromtimestamp(meta.start_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC"))
        except (OverflowError, ValueError, OSError):
            pass
    if python := meta.versions.get("python"):
        out.append(f"Python {shown(python)}")
    if meta.system:
        out.append(shown(meta.system))
    return out


def losses(profile: Profile) -> list[str]:
    """A short text a kind of loss, empty where nothing was lost."""
    return [f"{loss_words(name)} ({count:,})" for name, count in profile.meta.losses.items() if count > 0]


def duration(ns: float) -> str:
    """With three digits that count."""
    s = ns / 1e9
    if s >= 3600:
        return f"{int(s // 3600)} h {_rounded(s % 3600 / 60)} min"
    if s >= 100:
        return f"{int(s // 60)} min {_rounded(s % 60)} s"
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if s * factor >= 1 or unit == "µs":
            value = s * factor
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:.{digits}f} {unit}"
    raise AssertionError


def quantity(value: int, unit: Unit) -> str:
    if unit == "nanoseconds":
        return duration(value)
    return f"{value:,} {'sample' if value == 1 else 'samples'}"


def percent(share: float) -> str:
    value = share * 100
    if value == 0 or value >= 9.995:
        return f"{value:.1f} %"
    return f"{value:.2f} %" if value >= 0.01 else "< 0.01 %"


def _rounded(value: float) -> int:
    return int(value + 0.5)
