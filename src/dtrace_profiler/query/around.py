"""Who calls a function, and whom it calls.

Each pair of caller and callee counts a stack once, however often it stands in it, as in the page. So where a function
calls itself, by itself or by others, the callers' values may add up to more than the function's.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Literal

from dtrace_profiler.model.profile import Profile
from dtrace_profiler.query.answer import (
    DEFAULT_LIMIT,
    NO_FUNCTION,
    Amount,
    Row,
    answer,
    function,
    limited,
    measured,
    share,
    share_error,
)
from dtrace_profiler.query.matching import find_functions
from dtrace_profiler.query.measured_tree import MeasuredTree
from dtrace_profiler.query.selection import Selection, select

_NOBODY = -1
"""In place of a function: no caller, as the stack begins there; or no callee, as the function itself ran."""
_ITSELF = -2
"""In place of a neighbour: the function, which is on the stack."""
_Side = Literal["callers", "callees"]


def callers(
    profile: Profile, name: str, selection: Selection | None = None, *, limit: int | None = DEFAULT_LIMIT
) -> Row:
    """Rows: a function that calls one of those called `name`, with the value of the stacks in which it does. A row
    without a name: the stacks begin with it."""
    return _around("callers", profile, name, selection, limit)


def callees(
    profile: Profile, name: str, selection: Selection | None = None, *, limit: int | None = DEFAULT_LIMIT
) -> Row:
    """Rows: a function that one of those called `name` calls, likewise. A row without a name: it ran itself."""
    return _around("callees", profile, name, selection, limit)


def _around(side: _Side, profile: Profile, name: str, selection: Selection | None, limit: int | None) -> Row:
    selected = select(profile, selection)
    matched = find_functions(profile, name)
    measured_tree = MeasuredTree(selected.profile)
    sums: dict[int, Amount] = {}
    for neighbour, amount in _neighbours(measured_tree, matched.chosen, side):
        sums[neighbour] = sums.get(neighbour, Amount()).plus(amount)
    within, whole = sums.pop(_ITSELF, Amount()), measured_tree.whole
    order = sorted(sums, key=lambda neighbour: (-sums[neighbour].value, neighbour))
    rows = [
        {
            **(function(matched.merged.frames[neighbour]) if neighbour != _NOBODY else NO_FUNCTION),
            **measured(sums[neighbour], whole),
            "share_of_function": share(sums[neighbour], within),
            "share_of_function_error": share_error(sums[neighbour], within),
        }
        for neighbour in order
        if sums[neighbour].value
    ]
    functions = [function(matched.merged.frames[index]) for index in sorted(matched.chosen)]
    return answer(side, selected, functions=functions, function_total=measured(within, whole), **limited(rows, limit))


def _neighbours(measured_tree: MeasuredTree, chosen: Set[int], side: _Side) -> Iterator[tuple[int, Amount]]:
    """Neighbours of the chosen functions, each with what is at and below a place where its pair (of `_ITSELF`: the
    function) comes to stand on the stack for the first time. Each node is visited once."""
    tree = measured_tree.tree
    running: dict[int, int] = {}
    """How often it stands between the root and the node that is visited."""
    path: list[list[int]] = []
    """What each node of that way has brought."""
    for node in tree.walk():
        if not node:
            continue
        while len(path) >= tree.depth[node]:
            for key in path.pop():
                running[key] -= 1
        parent = tree.parent[node]
        above = tree.frame[parent] if parent else _NOBODY
        brought = []
        if tree.frame[node] in chosen:
            brought.append(_ITSELF)
            if side == "callers":
                brought.append(above)
            else:
                yield _NOBODY, measured_tree.own(node)
        if side == "callees" and above in chosen:
            brought.append(tree.frame[node])
        for key in brought:
            known = running.get(key, 0)
            running[key] = known + 1
            if not known:
                yield key, measured_tree.total(node)
        path.append(brought)
