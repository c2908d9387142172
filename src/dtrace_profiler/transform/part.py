"""A part of a profile, as a profile: some of its time, its processes or its threads."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from itertools import compress

from dtrace_profiler.errors import UsageError
from dtrace_profiler.model.profile import Profile, Thread

_NS = 1_000_000_000
_TOLD = 8
"""So many of those that there are, are told."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Seconds since the profile's start; from the first moment to before the second."""

    from_s: float
    to_s: float | None
    """None: to the end."""

    def __str__(self) -> str:
        return f"{self.from_s:g}s..{'' if self.to_s is None else f'{self.to_s:g}s'}"


def part(
    profile: Profile,
    *,
    time: TimeRange | None = None,
    processes: Collection[int] = (),
    threads: Collection[str] = (),
) -> Profile:
    """Of all samples those that are of the time, of any of the processes, and of any of the threads (ids or names).

    Frames and nodes stay those of the whole, and the losses, whose times are mostly not known. The duration becomes
    the time's. Raises `UsageError` for a process or a thread that there is none of, and where samples have no times.
    """
    chosen = bytearray(b"\1" * len(profile))
    if processes or threads:
        wanted = _threads(profile, processes, threads)
        chosen = bytearray(index in wanted for index in profile.thread)
    meta = profile.meta
    if time is not None:
        start_ns = _start(profile)
        end_ns = max(start_ns + meta.duration_ns, max(profile.timestamp_ns, default=0) + 1)
        from_ns = start_ns + round(time.from_s * _NS)
        to_ns = end_ns if time.to_s is None else start_ns + round(time.to_s * _NS)
        for row, at in enumerate(profile.timestamp_ns):
            if not from_ns <= at < to_ns:
                chosen[row] = 0
        meta = replace(meta, start_ns=from_ns, duration_ns=max(0, min(to_ns, end_ns) - from_ns))
    if all(chosen) and meta is profile.meta:
        return profile
    columns = (profile.timestamp_ns, profile.thread, profile.node, profile.value)
    times, thread, node, value = (array(column.typecode, compress(column, chosen)) for column in columns)
    return replace(profile, timestamp_ns=times, thread=thread, node=node, value=value, meta=meta)


def _start(profile: Profile) -> int:
    """The profile's start if it is known and no sample is older, else its first sample's time."""
    first = min((time for time in profile.timestamp_ns if time > 0), default=0)
    if not first:
        raise UsageError("its samples have no times, so no range of time can be chosen of it.")
    start = profile.meta.start_ns
    return start if 0 < start <= first else first


def _threads(profile: Profile, processes: Collection[int], threads: Collection[str]) -> set[int]:
    """Indices of those that are of one of the processes and are one of the threads."""
    for process in processes:
        if all(thread.process_id != process for thread in profile.threads):
            raise UsageError(f"it has no process {process}: {_some(str(t.process_id) for t in profile.threads)}.")
    for text in threads:
        if not any(_is(thread, text) for thread in profile.threads):
            raise UsageError(f"it has no thread {text}: {_some(_called(thread) for thread in profile.threads)}.")
    return {
        index
        for index, thread in enumerate(profile.threads)
        if (not processes or thread.process_id in processes)
        and (not threads or any(_is(thread, text) for text in threads))
    }


def _is(thread: Thread, text: str) -> bool:
    return text in (str(thread.thread_id), thread.name)


def _some(there: Iterable[str]) -> str:
    names = list(dict.fromkeys(there))
    more = f" and {len(names) - _TOLD:,} more" if len(names) > _TOLD else ""
    return f"it has {', '.join(names[:_TOLD])}{more}"


def _called(thread: Thread) -> str:
    return f"{thread.name or 'unnamed'} ({thread.thread_id})"
