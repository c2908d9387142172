"""The hot paths: the parts of the call tree that hold much, in rows no two of which share a sample.

The call tree is cut where a branch holds less than `least_share` of the selection. What is then at a node, its own
value and that of the branches cut off below it, is one path, if it is at least as much. A sample counts for one path
at most.
"""

from __future__ import annotations

from dtrace_profiler.errors import UsageError
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.tree import CallTree
from dtrace_profiler.query.answer import DEFAULT_LIMIT, Row, answer, function, measured
from dtrace_profiler.query.measured_tree import MeasuredTree
from dtrace_profiler.query.selection import Selection, select

DEFAULT_LEAST_SHARE = 0.01
MOST_FRAMES = 100
"""Of a path, its leaf side; how many are left out is told."""


def hot_paths(
    profile: Profile,
    selection: Selection | None = None,
    *,
    least_share: float = DEFAULT_LEAST_SHARE,
    limit: int | None = DEFAULT_LIMIT,
) -> Row:
    """Rows: a path of functions, root first, with the value of the samples that ran there or below in branches too
    small to be paths themselves; `self_value` is of those that ran in its last function. Largest first."""
    if not 0 < least_share <= 1:
        raise UsageError(f"the least share {least_share:g} is out of range: above 0, and 1 at most.")
    selected = select(profile, selection)
    measured_tree = MeasuredTree(selected.profile)
    tree, whole = measured_tree.tree, measured_tree.whole
    # A float's error must not cut off what holds exactly that share.
    least = least_share * whole.value * (1 - 1e-12)
    amounts = [measured_tree.own(node) for node in range(len(tree))]
    # What is cut off has less than that itself, so it is no path of its own.
    for node in range(len(tree) - 1, 0, -1):
        if tree.total[node] < least:
            amounts[tree.parent[node]] = amounts[tree.parent[node]].plus(amounts[node])
    found = sorted(
        (node for node in range(1, len(tree)) if amounts[node].value and amounts[node].value >= least),
        key=lambda node: (-amounts[node].value, node),
    )
    kept = found if limit is None else found[:limit]
    rows = [
        {**_frames(tree, node), **measured(amounts[node], whole), "self_value": tree.self_value[node]}
        for node in kept
    ]
    shown = sum(amounts[node].value for node in kept)
    left_out = {"rows": len(found) - len(kept), "value": whole.value - shown}
    return answer("hot-paths", selected, least_share=least_share, rows=rows, left_out=left_out)


def _frames(tree: CallTree, node: int) -> Row:
    frames: list[Row] = []
    left_out = 0
    while node > 0:
        if len(frames) < MOST_FRAMES:
            frames.append(function(tree.frames[tree.frame[node]]))
        else:
            left_out += 1
        node = tree.parent[node]
    frames.reverse()
    return {"path": frames, "frames_left_out": left_out}
