"""Which samples of a profile a question is about: of a time, of threads, of processes, with labels, of a kind."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import compress

from dtrace_profiler.errors import UsageError
from dtrace_profiler.formats.names import shown
from dtrace_profiler.model.frame import FrameKind
from dtrace_profiler.model.profile import Profile, Thread
from dtrace_profiler.model.wildcard import matches

_NS = 1_000_000_000
_TOLD = 8
"""So many names are told of those that there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Empty: everything. Several of one sort: any of them; of different sorts: all of them."""

    from_s: float | None = None
    """Seconds since the profile's start; this moment is in."""
    to_s: float | None = None
    """This moment is not in."""
    threads: tuple[str, ...] = ()
    """Ids or names; `*` stands for any characters."""
    processes: tuple[int, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    """Key and value. Different keys must all be there, with one of the values given for each."""
    kinds: tuple[FrameKind, ...] = ()
    """Of the function that ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """A part of a profile, as a profile; frames and nodes are those of the whole."""

    whole: Profile
    profile: Profile
    selection: Selection
    start_ns: int
    """What `from_s` and `to_s` count from, UNIX epoch; 0 where no sample has a time."""
    rows: bytes | None
    """1 for each row of the whole that is in; None: all are."""
    lost: int | None
    """What was lost in this time, as far as its second is known. None: the profile does not tell when."""


def select(profile: Profile, selection: Selection | None = None) -> Selected:
    """Raises `UsageError` for what can't be chosen by, and for threads, processes and labels that there are none of.

    A time in which nothing was sampled is an answer: an empty part.
    """
    selection = selection or Selection()
    start_ns = start_of(profile)
    keep = [_threads(profile, selection), _kinds(profile, selection), _times(profile, selection, start_ns)]
    tests = [test for test in keep if test is not None]
    part = profile
    chosen = None
    if tests:
        chosen = bytearray(len(profile))
        for row in range(len(profile)):
            chosen[row] = all(test(row) for test in tests)
        columns = (profile.timestamp_ns, profile.thread, profile.node, profile.value)
        times, threads, nodes, values = (array(column.typecode, compress(column, chosen)) for column in columns)
        part = replace(profile, timestamp_ns=times, thread=threads, node=nodes, value=values)
    return Selected(
        whole=profile,
        profile=part,
        selection=selection,
        start_ns=start_ns,
        rows=None if chosen is None else bytes(chosen),
        lost=_lost(profile, selection, start_ns),
    )


def part(profile: Profile, selection: Selection) -> Profile:
    """What `select` chooses, with the duration of the time that was chosen. The losses stay those of the whole."""
    found = select(profile, selection)
    if selection.from_s is None and selection.to_s is None:
        return found.profile
    begin_s, whole_s = selection.from_s or 0.0, end_s(profile)
    seconds = min(whole_s, whole_s if selection.to_s is None else selection.to_s) - begin_s
    start_ns, duration_ns = found.start_ns + round(begin_s * _NS), max(0, round(seconds * _NS))
    return replace(found.profile, meta=replace(profile.meta, start_ns=start_ns, duration_ns=duration_ns))


def in_common(first: Selected, second: Selected) -> int:
    """Rows that are in both parts of one profile; 0 for parts of two."""
    if first.whole is not second.whole:
        return 0
    if first.rows is None or second.rows is None:
        return len((first if second.rows is None else second).profile)
    return sum(one and other for one, other in zip(first.rows, second.rows, strict=True))


def start_of(profile: Profile) -> int:
    """The profile's start if it is known and no sample is older, else its first sample's time; 0 without times."""
    first = min((time for time in profile.timestamp_ns if time > 0), default=0)
    start = profile.meta.start_ns
    return start if 0 < start <= first or (start > 0 and not first) else first


def last_seconds(profile: Profile, seconds: float) -> float:
    """`from_s` of the last so many seconds of a profile. Raises `UsageError` where its samples have no times."""
    if len(profile) and not any(profile.timestamp_ns):
        raise UsageError("this profile has no times, so no part of its time can be chosen.")
    return max(0.0, end_s(profile) - seconds)


def end_s(profile: Profile) -> float:
    """Seconds from a profile's start to its end, or to its last sample if that is later."""
    last_ns = max(profile.timestamp_ns, default=0) - start_of(profile)
    return max(profile.meta.duration_ns, last_ns + 1) / _NS


def _threads(profile: Profile, selection: Selection) -> Callable[[int], bool] | None:
    if not (selection.threads or selection.processes or selection.labels):
        return None
    allowed = bytearray(b"\1" * len(profile.threads))
    for wanted in selection.threads:
        if not any(_is_thread(thread, wanted) for thread in profile.threads):
            there = (f"{thread.name or 'unnamed'} ({thread.thread_id})" for thread in profile.threads)
            raise UsageError(f"no thread is {shown(wanted)!r}: {_some(there)}.")
    for process in selection.processes:
        if not any(thread.process_id == process for thread in profile.threads):
            there = (str(thread.process_id) for thread in profile.threads)
            raise UsageError(f"no process is {process}: {_some(there)}.")
    values: dict[str, set[str]] = {}
    for key, value in selection.labels:
        values.setdefault(key, set()).add(value)
        if not any((key, value) in thread.labels for thread in profile.threads):
            there = (f"{key}={value}" for thread in profile.threads for key, value in thread.labels)
            raise UsageError(f"no sample has the label {shown(f'{key}={value}')!r}: {_some(there)}.")
    for place, thread in enumerate(profile.threads):
        labels = dict(thread.labels)
        allowed[place] = (
            (not selection.threads or any(_is_thread(thread, wanted) for wanted in selection.threads))
            and (not selection.processes or thread.process_id in selection.processes)
            and all(labels.get(key) in wanted for key, wanted in values.items())
        )
    return lambda row: bool(allowed[profile.thread[row]])


def _is_thread(thread: Thread, wanted: str) -> bool:
    return wanted == str(thread.thread_id) or matches(wanted, thread.name)


def _some(there: Iterable[str]) -> str:
    """What there is instead."""
    names = list(dict.fromkeys(there))
    if not names:
        return "there are none"
    more = f" and {len(names) - _TOLD:,} more" if len(names) > _TOLD else ""
    return f"there {'is' if len(names) == 1 else 'are'} {', '.join(shown(name) for name in names[:_TOLD])}{more}"


def _kinds(profile: Profile, selection: Selection) -> Callable[[int], bool] | None:
    if not selection.kinds:
        return None
    of_kind = [frame.kind in selection.kinds for frame in profile.frames]
    return lambda row: of_kind[profile.frame[profile.node[row]]]


def _times(profile: Profile, selection: Selection, start_ns: int) -> Callable[[int], bool] | None:
    if selection.from_s is None and selection.to_s is None:
        return None
    if len(profile) and not any(profile.timestamp_ns):
        raise UsageError("this profile has no times, so no part of its time can be chosen.")
    begin, end = selection.from_s or 0.0, selection.to_s
    if end is not None and end <= begin:
        raise UsageError(f"from {begin:g} s to {end:g} s is no time: the end comes after the beginning.")
    # A sample of another processor's clock may be a little older than the start: it is of its first moment.
    first_ns = start_ns + round(begin * _NS) if begin else 1
    last_ns = None if end is None else start_ns + round(end * _NS)
    times = profile.timestamp_ns
    return lambda row: first_ns <= times[row] and (last_ns is None or times[row] < last_ns)


def _lost(profile: Profile, selection: Selection, start_ns: int) -> int | None:
    if not profile.lost:
        return None if any(profile.meta.losses.values()) else 0
    first_ns = start_ns + round((selection.from_s or 0.0) * _NS)
    last_ns = None if selection.to_s is None else start_ns + round(selection.to_s * _NS)
    return sum(
        count
        for second_ns, count in profile.lost
        if second_ns + _NS > first_ns and (last_ns is None or second_ns < last_ns)
    )
