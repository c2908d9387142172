"""A profile cut along the time: one of each span, of nothing but what was sampled in it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from dtrace_profiler.model.profile import Profile
from dtrace_profiler.transform.selected import selected

Span = tuple[int, int]
"""(from, to) in nanoseconds since the UNIX epoch, the end not within."""
_SECOND_NS = 1_000_000_000


def split_by_time(profile: Profile, spans: Sequence[Span]) -> list[Profile]:
    """A profile of each span, in their order; spans may overlap, be empty, and leave time out.

    Frames, stacks and threads are those of its own samples, so that many small parts of a large profile stay small.
    `meta` is of the span, but for the losses: when they were is known to the second at best, so each part has those
    of the whole, and a note that says so.
    """
    order = sorted(range(len(profile)), key=profile.timestamp_ns.__getitem__)
    times = [profile.timestamp_ns[row] for row in order]
    return [
        _part(profile, order[bisect_left(times, begin) : bisect_left(times, end)], (begin, max(begin, end)))
        for begin, end in spans
    ]


def _part(profile: Profile, rows: Sequence[int], span: Span) -> Profile:
    begin, end = span
    meta = replace(profile.meta, start_ns=begin, duration_ns=end - begin)
    if meta.losses:
        meta = replace(meta, notes=[*meta.notes, "The losses are those of the whole profile that this is a part of."])
    lost = tuple((at, count) for at, count in profile.lost if at + _SECOND_NS > begin and at < end)
    return replace(selected(profile, rows), meta=meta, lost=lost)
