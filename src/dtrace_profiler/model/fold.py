"""Stacks folded to a call tree: the obvious way, in plain Python.

In: a profile's prefix tree (`parent`, and `frame` as merged ids), what each stack's own value is, and which nodes
have samples at all. Out: the tree's columns, node 0 the root. `fold_numpy` does the same faster and is tested to
give the same; what these functions say is what counts.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

PAIR = 0x1_9E37_79B1
"""parent * PAIR + frame is a different number for each pair of 32-bit numbers, and so are its low bits, mostly, which
are what a dict goes by. Those of `parent << 32 | frame` would be the frame's alone."""


class Stacks(NamedTuple):
    """One entry a node of the profile, `parent[n] < n`, -1 for a root."""

    parent: array[int]
    frame: array[int]
    own: array[int]
    """Value of the samples whose leaf this node is."""
    sampled: bytearray
    """1 where the node is the leaf of at least one sample."""
    siblings_differ: bool
    """No two nodes under one parent have the same frame: nothing to merge."""


class Columns(NamedTuple):
    """One entry a node of the tree; node 0 is the root, with parent and frame -1."""

    parent: array[int]
    frame: array[int]
    self_value: array[int]
    total: array[int]


class ChildIndex(NamedTuple):
    """The children of node n are `order[start[n]:start[n + 1]]`."""

    start: array[int]
    order: array[int]


def fold(stacks: Stacks) -> Columns:
    """Root first. Nodes in the order in which the profile first has them; those without samples are left out."""
    needed = bytearray(stacks.sampled)
    parents = stacks.parent
    for node in range(len(needed) - 1, -1, -1):
        if needed[node] and parents[node] >= 0:
            needed[parents[node]] = 1
    parent = array("i", [-1])
    frame = array("i", [-1])
    self_value = array("q", [0])
    tree_node = array("i", bytes(4 * len(needed)))
    ids: dict[int, int] = {}
    differ = stacks.siblings_differ
    for node, up in enumerate(parents):
        if not needed[node]:
            continue
        tree_parent = tree_node[up] if up >= 0 else 0
        name = stacks.frame[node]
        key = tree_parent * PAIR + name
        found = None if differ else ids.get(key)
        if found is None:
            found = len(parent)
            if not differ:
                ids[key] = found
            parent.append(tree_parent)
            frame.append(name)
            self_value.append(0)
        tree_node[node] = found
        self_value[found] += stacks.own[node]
    return Columns(parent, frame, self_value, totals(parent, self_value))


def fold_inverted(stacks: Stacks) -> Columns:
    """Leaf first: a node's total is the value of the stacks that end like this, `self_value` of those wholly shown.

    Nodes in the order of the stacks, each from its leaf on.
    """
    parent = array("i", [-1])
    frame = array("i", [-1])
    self_value = array("q", [0])
    ids: dict[int, int] = {}
    parents, frames = stacks.parent, stacks.frame
    for leaf, sampled in enumerate(stacks.sampled):
        if not sampled:
            continue
        tree_node = 0
        node = leaf
        while node >= 0:
            key = tree_node * PAIR + frames[node]
            found = ids.get(key)
            if found is None:
                found = ids[key] = len(parent)
                parent.append(tree_node)
                frame.append(frames[node])
                self_value.append(0)
            tree_node = found
            node = parents[node]
        self_value[tree_node] += stacks.own[leaf]
    return Columns(parent, frame, self_value, totals(parent, self_value))


def totals(parent: array[int], self_value: array[int]) -> array[int]:
    """Own value and that of all nodes below, a node."""
    total = self_value[:]
    for node in range(len(total) - 1, 0, -1):
        total[parent[node]] += total[node]
    return total


def depths(parent: array[int]) -> array[int]:
    """Frames from the root down, a node; 0 for the root."""
    depth = array("i", bytes(4 * len(parent)))
    for node in range(1, len(parent)):
        depth[node] = depth[parent[node]] + 1
    return depth


def child_index(parent: array[int], frame: array[int], rank: array[int]) -> ChildIndex:
    """Children by the rank of their frame."""
    count = len(parent)
    start = array("i", bytes(4 * (count + 1)))
    for node in range(1, count):
        start[parent[node] + 1] += 1
    for node in range(count):
        start[node + 1] += start[node]
    order = array("i", bytes(4 * (count - 1)))
    fill = start[:]
    for node in range(1, count):
        up = parent[node]
        order[fill[up]] = node
        fill[up] += 1
    for node in range(count):
        first, end = start[node], start[node + 1]
        if end - first > 1:
            order[first:end] = array("i", sorted(order[first:end], key=lambda child: rank[frame[child]]))
    return ChildIndex(start, order)
