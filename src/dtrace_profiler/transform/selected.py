"""A part of a profile: some of its samples, with the frames, stacks and threads of no others."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace

from dtrace_profiler.model.profile import Profile


def selected(profile: Profile, rows: Sequence[int]) -> Profile:
    """The samples at these indices, in this order. `meta` and `lost` are those of the whole."""
    used: set[int] = set()
    for row in rows:
        node = profile.node[row]
        while node >= 0 and node not in used:
            used.add(node)
            node = profile.parent[node]
    # In their order, so that a parent stays before its children.
    nodes = {old: new for new, old in enumerate(sorted(used))}
    frames: dict[int, int] = {}
    frame_column = array("i", [frames.setdefault(profile.frame[old], len(frames)) for old in nodes])
    threads: dict[int, int] = {}
    thread_column = array("i", [threads.setdefault(profile.thread[row], len(threads)) for row in rows])
    return replace(
        profile,
        frames=tuple(profile.frames[old] for old in frames),
        parent=array("i", [nodes.get(profile.parent[old], -1) for old in nodes]),
        frame=frame_column,
        threads=tuple(profile.threads[old] for old in threads),
        timestamp_ns=array("q", [profile.timestamp_ns[row] for row in rows]),
        thread=thread_column,
        node=array("i", [nodes[profile.node[row]] for row in rows]),
        value=array("q", [profile.value[row] for row in rows]),
    )


def labelled(profile: Profile, key: str, value: str) -> Profile:
    """The samples that have this label."""
    threads = {place for place, thread in enumerate(profile.threads) if (key, value) in thread.labels}
    return selected(profile, [row for row, thread in enumerate(profile.thread) if thread in threads])


def between(profile: Profile, begin_ns: int, end_ns: int) -> Profile:
    """The samples from one time on until before another, UNIX epoch."""
    times = profile.timestamp_ns
    return selected(profile, [row for row, time in enumerate(times) if begin_ns <= time < end_ns])
