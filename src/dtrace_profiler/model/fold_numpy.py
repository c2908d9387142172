"""Stacks folded to a call tree with NumPy, level by level: the same results as `fold`, some ten times faster.

A level costs a few array operations, however few nodes it has: wide trees win, a few very deep stacks don't
(`worthwhile`). Figures: benchmarks/bench_fold.py.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np

from dtrace_profiler.model.fold import ChildIndex, Columns, Stacks

MIN_NODES_PER_LEVEL = 200


def worthwhile(parent: array[int]) -> bool:
    return len(parent) >= MIN_NODES_PER_LEVEL * (int(_depths(_column(parent)).max()) + 1)


def fold(stacks: Stacks) -> Columns:
    parent, own = _column(stacks.parent), _column(stacks.own)
    levels = list(_levels(_depths(parent)))
    needed = np.frombuffer(stacks.sampled, dtype=np.uint8).astype(bool)
    for level in reversed(levels[1:]):
        needed[parent[level[needed[level]]]] = True
    first = _first_like_it(stacks, levels, needed)
    kept = np.flatnonzero(first == np.arange(len(parent)))
    tree_node: Any = np.zeros(len(parent), dtype=np.int64)
    tree_node[kept] = np.arange(1, len(kept) + 1)
    up = parent[kept]
    tree_parent = np.where(up >= 0, tree_node[first[up]], 0)
    sampled = np.flatnonzero(needed)
    self_value: Any = np.zeros(len(kept) + 1, dtype=np.int64)
    np.add.at(self_value, tree_node[first[sampled]], own[sampled])
    return _columns(tree_parent, _column(stacks.frame)[kept], self_value)


def _first_like_it(stacks: Stacks, levels: list[Any], needed: Any) -> Any:
    """For each needed node the first node with the same merged stack; -1 for the others."""
    parent, frame = _column(stacks.parent), _column(stacks.frame).astype(np.int64)
    if stacks.siblings_differ:
        return np.where(needed, np.arange(len(parent)), -1)
    first: Any = np.full(len(parent), -1, dtype=np.int64)
    frames = int(frame.max()) + 1 if len(frame) else 1
    for level in levels:
        nodes = level[needed[level]]
        up = parent[nodes]
        keys = np.where(up >= 0, first[up] + 1, 0) * frames + frame[nodes]
        _, where, group = np.unique(keys, return_index=True, return_inverse=True)
        first[nodes] = nodes[where][group]
    return first


def fold_inverted(stacks: Stacks) -> Columns:
    parent, frame = _column(stacks.parent), _column(stacks.frame).astype(np.int64)
    frames = int(frame.max()) + 1 if len(frame) else 1
    leaf = np.flatnonzero(np.frombuffer(stacks.sampled, dtype=np.uint8))
    own = _column(stacks.own)[leaf]
    stack, node = np.arange(len(leaf)), leaf
    tree_node: Any = np.zeros(len(leaf), dtype=np.int64)
    empty: Any = np.zeros(0, dtype=np.int64)
    keys, first_stack = [empty], [empty]
    values: list[Any] = [np.zeros(1, dtype=np.int64)]
    count = 1
    while len(stack):
        level, where, group = np.unique(tree_node * frames + frame[node], return_index=True, return_inverse=True)
        keys.append(level)
        first_stack.append(stack[where])
        tree_node = count + group
        count += len(level)
        node = parent[node].astype(np.int64)
        ends = node < 0
        value: Any = np.zeros(len(level), dtype=np.int64)
        np.add.at(value, group[ends], own[stack[ends]])
        values.append(value)
        stack, node, tree_node = stack[~ends], node[~ends], tree_node[~ends]
    depth: Any = np.repeat(np.arange(len(keys)), [len(level) for level in keys])
    order = np.lexsort((depth, np.concatenate(first_stack)))
    renumbered: Any = np.zeros(count, dtype=np.int64)
    renumbered[order + 1] = np.arange(1, count)
    key = np.concatenate(keys)[order]
    own_values = np.concatenate(values)
    self_value = np.concatenate((own_values[:1], own_values[1:][order]))
    return _columns(renumbered[key // frames], key % frames, self_value)


def child_index(parent: array[int], frame: array[int], rank: array[int]) -> ChildIndex:
    parents = _column(parent)[1:]
    ranks = _column(rank)[_column(frame)[1:]]
    start: Any = np.zeros(len(parent) + 1, dtype=np.int64)
    start[1:] = np.cumsum(np.bincount(parents, minlength=len(parent)))
    return ChildIndex(_array("i", start), _array("i", np.lexsort((ranks, parents)) + 1))


def _columns(tree_parent: Any, tree_frame: Any, self_value: Any) -> Columns:
    """`tree_parent` and `tree_frame` without the root."""
    parent = np.concatenate(([-1], tree_parent)).astype(np.int64)
    total = self_value.copy()
    for level in reversed(list(_levels(_depths(parent)))[1:]):
        np.add.at(total, parent[level], total[level])
    frame = np.concatenate(([-1], tree_frame))
    return Columns(_array("i", parent), _array("i", frame), _array("q", self_value), _array("q", total))


def _depths(parent: Any) -> Any:
    """Steps to the root, a node, by doubling: as many passes as the greatest depth has binary digits."""
    ancestor = parent.astype(np.int64)
    depth = (ancestor >= 0).astype(np.int64)
    while True:
        more = np.flatnonzero(ancestor >= 0)
        if not len(more):
            return depth
        depth[more] += depth[ancestor[more]]
        ancestor[more] = ancestor[ancestor[more]]


def _levels(depth: Any) -> Iterator[Any]:
    """The nodes of each depth, ascending, from depth 0 on."""
    order = np.argsort(depth, kind="stable")
    ends = np.cumsum(np.bincount(depth)) if len(depth) else []
    first = 0
    for end in ends:
        yield order[first:end]
        first = end


def _column(values: array[int]) -> Any:
    return np.frombuffer(values, dtype=np.dtype(values.typecode))


def _array(typecode: str, values: Any) -> array[int]:
    out: array[int] = array(typecode)
    out.frombytes(np.ascontiguousarray(values, dtype=np.dtype(typecode)).tobytes())
    return out
