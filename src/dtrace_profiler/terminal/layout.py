"""A call tree put into cells: rows of boxes, from the zoomed node down.

Only what can be seen costs anything: nothing is laid out below a box that is narrower than half a cell, or below the
last row asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.terminal.nodes import CallNodes

ELIDED = -1
"""The node of a box that stands for several that are too narrow to draw."""


class Box(NamedTuple):
    """Columns from `left` up to, but without, `right`; never empty."""

    left: int
    right: int
    node: int
    begin: int
    """Where it begins, in the profile's unit, from the left edge."""


def lay_out(nodes: CallNodes, functions: Sequence[StackFrame], root: int, width: int, rows: int) -> list[list[Box]]:
    """At most `rows` rows, the first of them the root's own; none where it has no value.

    Edges are rounded to whole cells, so that boxes side by side stay so. A box that isn't drawn because others share
    its cell is no longer than half of one.
    """
    whole = nodes.total[root]
    if whole <= 0 or width <= 0 or rows <= 0:
        return []
    out = [[Box(0, width, root, 0)]]
    while len(out) < rows:
        row: list[Box] = []
        for box in out[-1]:
            if box.node != ELIDED:
                _add_children(row, nodes, functions, box, width, whole)
        if not row:
            break
        out.append(row)
    return out


def _add_children(
    row: list[Box], nodes: CallNodes, functions: Sequence[StackFrame], box: Box, width: int, whole: int
) -> None:
    total = nodes.total
    twice = 2 * width
    begin = box.begin
    elided_from = -1
    for child in nodes.children(box.node, functions):
        value = total[child]
        if value * twice < whole:
            if elided_from < 0 and value:
                elided_from = begin
        else:
            left = (begin * twice + whole) // (2 * whole)
            right = ((begin + value) * twice + whole) // (2 * whole)
            if elided_from >= 0:
                _add_elided(row, elided_from, left, width, whole)
                elided_from = -1
            if right > left:
                row.append(Box(left, right, child, begin))
        begin += value
    if elided_from >= 0:
        _add_elided(row, elided_from, (begin * twice + whole) // (2 * whole), width, whole)


def _add_elided(row: list[Box], begin: int, right: int, width: int, whole: int) -> None:
    left = (begin * 2 * width + whole) // (2 * whole)
    if right > left:
        row.append(Box(left, right, ELIDED, begin))
