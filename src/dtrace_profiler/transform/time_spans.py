"""A profile cut along the time: one of each span, of nothing but what was sampled in it."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from dtrace_profiler.model.profile import Profile

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
    parent, frame = profile.parent, profile.frame
    used: set[int] = set()
    for row in rows:
        node = profile.node[row]
        while node >= 0 and node not in used:
            used.add(node)
            node = parent[node]
    # In their order, so that a parent stays before its children.
    nodes = {old: new for new, old in enumerate(sorted(used))}
    frames: dict[int, int] = {}
    frame_column = array("i", [frames.setdefault(frame[old], len(frames)) for old in nodes])
    threads: dict[int, int] = {}
    thread_column = array("i", [threads.setdefault(profile.thread[row], len(threads)) for row in rows])
    meta = replace(profile.meta, start_ns=begin, duration_ns=end - begin)
    if meta.losses:
        meta = replace(meta, notes=(*meta.notes, "The losses are those of the whole profile that this is a part of."))
    return replace(
        profile,
        frames=tuple(profile.frames[old] for old in frames),
        parent=array("i", [nodes[parent[old]] if parent[old] >= 0 else -1 for old in nodes]),
        frame=frame_column,
        threads=tuple(profile.threads[old] for old in threads),
        timestamp_ns=array("q", [profile.timestamp_ns[row] for row in rows]),
        thread=thread_column,
        node=array("i", [nodes[profile.node[row]] for row in rows]),
        value=array("q", [profile.value[row] for row in rows]),
        meta=meta,
        lost=tuple((at, count) for at, count in profile.lost if at + _SECOND_NS > begin and at < end),
    )
