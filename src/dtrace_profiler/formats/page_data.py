"""A profile as the page gets it: plain JSON, strings once, everything else as columns of integers.

    version     1; a page refuses others
    seq         0 for a file; a running profiler counts its snapshots and deltas
    strings     every text once
    frames      name, module, file (indices of strings), line, first_line, kind (index of KINDS), glue (1: CPython's
                own, between Python functions; there with --glue): a column each.
                Frames that differ only by address are one
    nodes       parent (-1: none; smaller than the node), frame: a column each
    threads     process_id, thread_id, name, samples (how many)
    values      thread, node, value: a column each, a row a (thread, node) with samples: the stacks' own values.
                Where the unit is not samples also square: the sum of the samples' squared values, for the errors
    elided      the same for what was left out below a node; node -1: below the root
    elided_nodes  how many nodes were left out
    times       when the samples were taken, see `page_times`; null where none has a time
    lost        second (since `times.base_ms`), count: when something was lost; a column each
    before, sides  only in a comparison of two profiles, see `comparison_page`
    meta        what `Meta` holds, live (`running`, `ended`, empty in a file), loss_words (name of a loss → what it
                is), saves (names of formats that a running profiler can be asked for), keep_s (it keeps only the last
                so many seconds; 0: all); start_ms instead of start_ns, for JSON's numbers end at 2^53

The sum of `values` and `elided` is the profile's total, whatever was left out. A delta has the same form; its
`times` has columns that are not packed, `lost` replaces what was there.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from dtrace_profiler.cpython.glue import is_interpreter
from dtrace_profiler.formats.facts import loss_words
from dtrace_profiler.formats.page_times import Row, TimeRows
from dtrace_profiler.formats.palette import KINDS
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile, Thread
from dtrace_profiler.model.shown_threads import ShownThreads

VERSION = 1
MAX_NODES = 120_000
"""More than can be told apart on any screen, and what the page still draws without a stutter (bench_render.py)."""

_KIND_INDEX = {kind: index for index, kind in enumerate(KINDS)}

Columns = dict[str, list[int]]


def page_data(profile: Profile, *, title: str | None = None, max_nodes: int = MAX_NODES) -> dict[str, Any]:
    """The profile for `json.dumps`. Nodes without value are left out; of more than `max_nodes` the largest stay."""
    frame_ids, kept_frames = _frames_without_address(profile)
    node_ids, parents, frames = _nodes(profile, frame_ids)
    count = len(parents)
    shown = ShownThreads()
    shown.extend(profile.threads)
    samples = [0] * len(shown.threads)
    sums: dict[int, int] = {}
    """thread * count + node → value"""
    squares: dict[int, int] | None = None if profile.meta.unit == "samples" else {}
    for of, leaf, value in zip(profile.thread, profile.node, profile.value, strict=True):
        thread = shown.of[of]
        samples[thread] += 1
        key = thread * count + node_ids[leaf]
        sums[key] = sums.get(key, 0) + value
        if squares is not None:
            squares[key] = squares.get(key, 0) + value * value
    kept, elided_nodes = _kept_nodes(parents, sums, max_nodes)
    values, elided = _value_columns(parents, sums, squares, kept)
    times = TimeRows(merge=profile.meta.unit == "samples")
    times.extend(_timed_rows(profile, shown.of, node_ids, parents, kept), profile.meta.start_ns)
    strings = Strings()
    new_frames: dict[int, int] = {}
    nodes: Columns = {"parent": [], "frame": []}
    for node in range(count):
        if kept[node] < 0:
            continue
        parent = parents[node]
        nodes["parent"].append(kept[parent] if parent >= 0 else -1)
        nodes["frame"].append(new_frames.setdefault(frames[node], len(new_frames)))
    columns = no_frames()
    for frame in new_frames:
        add_frame(columns, strings, profile.frames[kept_frames[frame]])
    return {
        "version": VERSION,
        "seq": 0,
        "strings": strings.list,
        "frames": columns,
        "nodes": nodes,
        "threads": page_threads(shown.threads, samples),
        "values": values,
        "elided": elided,
        "elided_nodes": elided_nodes,
        "times": times.whole() if times else None,
        "lost": page_lost(profile.lost, times.base_ns),
        "meta": page_meta(profile.meta, title or ""),
    }


def page_meta(meta: Meta, title: str = "", *, live: str = "") -> dict[str, Any]:
    """The column `meta`."""
    return {
        "live": live,
        "title": title,
        "engine": meta.engine,
        "unit": meta.unit,
        "frequency_hz": meta.frequency_hz,
        "start_ms": meta.start_ns // 1_000_000,
        "duration_ns": meta.duration_ns,
        "target": meta.target,
        "system": meta.system,
        "versions": dict(meta.versions),
        "losses": dict(meta.losses),
        "loss_words": {name: loss_words(name) for name in meta.losses},
        "notes": list(meta.notes),
    }


def page_threads(threads: Sequence[Thread], samples: Sequence[int]) -> list[dict[str, Any]]:
    """The column `threads`."""
    return [
        {
            "process_id": thread.process_id,
            "thread_id": thread.thread_id,
            "name": thread.name,
            "labels": dict(thread.labels),
            "samples": count,
        }
        for thread, count in zip(threads, samples, strict=True)
    ]


def page_lost(lost: Sequence[tuple[int, int]], base_ns: int) -> Columns:
    """The column `lost`, of (timestamp_ns, count)."""
    counts: dict[int, int] = {}
    for timestamp_ns, count in lost if base_ns else ():
        second = max(0, timestamp_ns - base_ns) // 1_000_000_000
        counts[second] = counts.get(second, 0) + count
    return {"second": list(counts), "count": list(counts.values())}


def no_frames() -> Columns:
    """The columns of `frames`, empty."""
    return {name: [] for name in ("name", "module", "file", "line", "first_line", "kind", "glue")}


def add_frame(columns: Columns, strings: Strings, frame: StackFrame) -> None:
    """A row of `frames`."""
    columns["name"].append(strings.add(frame.function_name))
    columns["module"].append(strings.add(frame.module_name))
    columns["file"].append(strings.add(frame.file))
    columns["line"].append(frame.line)
    columns["first_line"].append(frame.first_line)
    columns["kind"].append(_KIND_INDEX[frame.kind])
    columns["glue"].append(int(is_interpreter(frame)))


def frame_key(frame: StackFrame) -> tuple[object, ...]:
    """Equal for frames that differ only by address."""
    return (frame.function_name, frame.module_name, frame.file, frame.line, frame.first_line, frame.kind)


class Strings:
    def __init__(self) -> None:
        self.list: list[str] = []
        self._ids: dict[str, int] = {}

    def add(self, text: str) -> int:
        index = self._ids.get(text)
        if index is None:
            index = self._ids[text] = len(self.list)
            self.list.append(text)
        return index


def _frames_without_address(profile: Profile) -> tuple[list[int], list[int]]:
    """Frame → id shared by those that differ only by address, and id → one such frame."""
    ids: dict[tuple[object, ...], int] = {}
    of_frame: list[int] = []
    kept: list[int] = []
    for index, frame in enumerate(profile.frames):
        found = ids.setdefault(frame_key(frame), len(kept))
        if found == len(kept):
            kept.append(index)
        of_frame.append(found)
    return of_frame, kept


def _nodes(profile: Profile, frame_ids: list[int]) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """The prefix tree over the shared frames: old node → new node, and the new parents and frames."""
    if len(set(frame_ids)) == len(frame_ids):
        return range(len(profile.parent)), profile.parent, [frame_ids[frame] for frame in profile.frame]
    ids: dict[tuple[int, int], int] = {}
    of_node = array("i")
    parents = array("i")
    frames = array("i")
    for old_parent, old_frame in zip(profile.parent, profile.frame, strict=True):
        parent = of_node[old_parent] if old_parent >= 0 else -1
        frame = frame_ids[old_frame]
        node = ids.setdefault((parent, frame), len(parents))
        if node == len(parents):
            parents.append(parent)
            frames.append(frame)
        of_node.append(node)
    return of_node, parents, frames


def _kept_nodes(parents: Sequence[int], sums: dict[int, int], max_nodes: int) -> tuple[list[int], int]:
    """Node → its number among those kept, -1 for the others; and how many nodes with a value are left out.

    A parent's total is never below its child's, and its number is smaller: the largest nodes, taken in the order of
    their numbers where totals are equal, are whole paths from the root.
    """
    count = len(parents)
    totals = [0] * count
    for key, value in sums.items():
        totals[key % count] += value
    for node in range(count - 1, -1, -1):
        if (parent := parents[node]) >= 0:
            totals[parent] += totals[node]
    alive = count - totals.count(0)
    least, of_least = 1, alive
    if alive > max_nodes:
        largest = sorted(totals, reverse=True)
        least = largest[max_nodes - 1] if max_nodes else largest[0] + 1
        of_least = max_nodes - sum(1 for total in largest[:max_nodes] if total > least)
    kept = [-1] * count
    number = 0
    for node, total in enumerate(totals):
        if total < least:
            continue
        if total == least:
            if of_least == 0:
                continue
            of_least -= 1
        kept[node] = number
        number += 1
    return kept, alive - number


def _value_columns(
    parents: Sequence[int], sums: dict[int, int], squares: dict[int, int] | None, kept: list[int]
) -> tuple[Columns, Columns]:
    """What the kept nodes have themselves, and what they have of nodes that are left out below them."""
    count = len(parents)
    own: dict[tuple[int, int], list[int]] = {}
    left_out: dict[tuple[int, int], list[int]] = {}
    for key, value in sums.items():
        if not value:
            continue
        thread, node = divmod(key, count)
        rows = own if kept[node] >= 0 else left_out
        while node >= 0 and kept[node] < 0:
            node = parents[node]
        row = rows.setdefault((thread, kept[node] if node >= 0 else -1), [0, 0])
        row[0] += value
        if squares is not None:
            row[1] += squares[key]
    out = []
    for rows in (own, left_out):
        columns: Columns = {
            "thread": [thread for thread, _ in rows],
            "node": [node for _, node in rows],
            "value": [value for value, _ in rows.values()],
        }
        if squares is not None:
            columns["square"] = [square for _, square in rows.values()]
        out.append(columns)
    return out[0], out[1]


def _timed_rows(
    profile: Profile, threads: Sequence[int], node_ids: Sequence[int], parents: Sequence[int], kept: Sequence[int]
) -> Iterator[Row]:
    """The samples with the nodes of the page."""
    places: dict[int, int] = {}
    columns = zip(profile.timestamp_ns, profile.thread, profile.node, profile.value, strict=True)
    for timestamp_ns, thread, leaf, value in columns:
        place = places.get(leaf)
        if place is None:
            node = node_ids[leaf]
            left_out = kept[node] < 0
            while node >= 0 and kept[node] < 0:
                node = parents[node]
            node = kept[node] if node >= 0 else -1
            place = places[leaf] = -2 - node if left_out else node
        if value:
            yield timestamp_ns, threads[thread], place, value
