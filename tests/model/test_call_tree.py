from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_profiles import ROWS, native, profile_of

from dtrace_profiler.model import fold, tree
from dtrace_profiler.model.identity import merge_frames
from dtrace_profiler.model.tree import CallTree

BY = st.sampled_from(["function", "line", "address"])
THREADS = st.none() | st.sets(st.integers(0, 2))


def shape(call_tree: CallTree) -> dict[tuple[Any, ...], tuple[int, int]]:
    """Stack → self and total, a node."""
    return {
        call_tree.stack(node): (call_tree.self_value[node], call_tree.total[node]) for node in range(len(call_tree))
    }


def expected_shape(rows: list[Any], by: Any, threads: set[int] | None, inverted: bool) -> dict[Any, tuple[int, int]]:
    """The definition, stack by stack."""
    profile = profile_of(rows)
    merged = merge_frames(profile.frames, by)
    new = dict(zip(profile.frames, (merged.frames[index] for index in merged.of_frame), strict=True))
    out: dict[Any, tuple[int, int]] = {(): (0, 0)}
    for thread, stack, value in rows:
        if threads is not None and thread not in threads:
            continue
        path = tuple(new[frame] for frame in (reversed(stack) if inverted else stack))
        for length in range(len(path) + 1):
            own, total = out.get(path[:length], (0, 0))
            out[path[:length]] = (own + value if length == len(path) else own, total + value)
    return out


@given(ROWS, BY, THREADS, st.booleans())
def test_tree_holds_every_stack_with_self_and_total(
    rows: list[Any], by: Any, threads: set[int] | None, inverted: bool
) -> None:
    call_tree = CallTree.from_profile(profile_of(rows), by=by, threads=threads, inverted=inverted)
    assert shape(call_tree) == expected_shape(rows, by, threads, inverted)
    assert len(shape(call_tree)) == len(call_tree), "a stack stands once"


@given(ROWS, BY, st.booleans())
def test_total_is_self_and_children_and_the_root_holds_the_profile(rows: list[Any], by: Any, inverted: bool) -> None:
    profile = profile_of(rows)
    call_tree = CallTree.from_profile(profile, by=by, inverted=inverted)
    for node in range(len(call_tree)):
        below = sum(call_tree.total[child] for child in call_tree.children(node))
        assert call_tree.total[node] == call_tree.self_value[node] + below
    assert call_tree.total[0] == profile.total == sum(call_tree.self_value)
    assert all(-1 <= parent < node for node, parent in enumerate(call_tree.parent))


@given(ROWS, BY)
def test_first_level_inverted_is_self_of_each_function(rows: list[Any], by: Any) -> None:
    profile = profile_of(rows)
    rooted = CallTree.from_profile(profile, by=by)
    inverted = CallTree.from_profile(profile, by=by, inverted=True)
    own: dict[Any, int] = {}
    for node in range(1, len(rooted)):
        frame = rooted.frames[rooted.frame[node]]
        own[frame] = own.get(frame, 0) + rooted.self_value[node]
    leaves = {inverted.frames[inverted.frame[node]]: inverted.total[node] for node in inverted.children(0)}
    assert {frame: value for frame, value in own.items() if value} == {
        frame: value for frame, value in leaves.items() if value
    }


@given(ROWS, st.booleans())
def test_children_come_by_name_and_walk_visits_each_node_once(rows: list[Any], inverted: bool) -> None:
    call_tree = CallTree.from_profile(profile_of(rows), inverted=inverted)
    for node in range(len(call_tree)):
        children = call_tree.children(node)
        names = [call_tree.frames[call_tree.frame[child]] for child in children]
        assert names == sorted(set(names))
        assert all(call_tree.parent[child] == node for child in children)
    visited = list(call_tree.walk())
    assert sorted(visited) == list(range(len(call_tree)))
    place = {node: index for index, node in enumerate(visited)}
    assert all(place[call_tree.parent[node]] < place[node] for node in range(1, len(call_tree)))
    assert [len(call_tree.stack(node)) for node in range(len(call_tree))] == list(call_tree.depth)


def test_order_of_children_stays_when_stacks_are_added() -> None:
    early = profile_of([(0, [native("z")], 1), (0, [native("b")], 1)])
    late = profile_of([(0, [native("z")], 1), (0, [native("b")], 9), (0, [native("m")], 5), (0, [native("a")], 99)])
    names = []
    for profile in (early, late):
        call_tree = CallTree.from_profile(profile)
        names.append([call_tree.frames[call_tree.frame[node]].function_name for node in call_tree.children(0)])
    assert names == [["b", "z"], ["a", "b", "m", "z"]]


@pytest.mark.parametrize("inverted", [False, True])
def test_a_stack_of_100_000_frames(inverted: bool) -> None:
    stack = [native("f"), native("g")] * 50_000
    profile = profile_of([(0, stack, 2), (1, stack[:7], 3)])
    call_tree = CallTree.from_profile(profile, inverted=inverted)
    assert call_tree.max_depth == 100_000
    assert call_tree.total[0] == 5
    assert sum(1 for _ in call_tree.walk()) == len(call_tree)


def test_by_function_takes_the_first_line_and_forgets_the_address() -> None:
    profile = profile_of(
        [
            (0, [native("f", address=1, line=12, first_line=0)], 1),
            (0, [native("f", address=2, line=15, first_line=10)], 1),
        ]
    )
    assert list(CallTree.from_profile(profile).frames) == [native("f", line=10, first_line=10)]
    assert len(CallTree.from_profile(profile, by="line").frames) == 2
    with pytest.raises(ValueError, match="function, line or address"):
        CallTree.from_profile(profile, by="file")  # type: ignore[arg-type]


def test_a_profile_without_samples_is_a_bare_root() -> None:
    call_tree = CallTree.from_profile(profile_of([]))
    assert (len(call_tree), call_tree.total[0], list(call_tree.walk()), call_tree.max_depth) == (1, 0, [0], 0)


@given(ROWS, BY, THREADS, st.booleans())
def test_numpy_gives_the_same_columns_and_children(
    rows: list[Any], by: Any, threads: set[int] | None, inverted: bool
) -> None:
    pytest.importorskip("numpy")
    from dtrace_profiler.model import fold_numpy

    stacks = stacks_of(rows, by, threads)
    plain = (fold.fold_inverted if inverted else fold.fold)(stacks)
    assert (fold_numpy.fold_inverted if inverted else fold_numpy.fold)(stacks) == plain
    rank = array("i", range(100, 0, -1))
    assert fold_numpy.child_index(plain.parent, plain.frame, rank) == fold.child_index(
        plain.parent, plain.frame, rank
    )


def stacks_of(rows: list[Any], by: Any, threads: set[int] | None) -> fold.Stacks:
    profile = profile_of(rows)
    merged = merge_frames(profile.frames, by)
    own, sampled = array("q", bytes(8 * len(profile.parent))), bytearray(len(profile.parent))
    for thread, node, value in zip(profile.thread, profile.node, profile.value, strict=True):
        if threads is None or thread in threads:
            own[node] += value
            sampled[node] = 1
    frame = array("i", [merged.of_frame[index] for index in profile.frame])
    return fold.Stacks(profile.parent, frame, own, sampled, merged.all_apart)


@pytest.mark.parametrize("inverted", [False, True])
def test_the_numpy_way_is_taken_for_large_profiles(monkeypatch: pytest.MonkeyPatch, inverted: bool) -> None:
    fold_numpy = pytest.importorskip("dtrace_profiler.model.fold_numpy")
    monkeypatch.setattr(tree, "USE_NUMPY_FROM_NODES", 1)
    monkeypatch.setattr(fold_numpy, "MIN_NODES_PER_LEVEL", 1)
    monkeypatch.setattr(fold, "fold", None)
    monkeypatch.setattr(fold, "fold_inverted", None)
    monkeypatch.setattr(fold, "child_index", None)
    rows = [(0, [native("f"), native("g")], 2), (1, [native("f"), native("b")], 3)]
    call_tree = CallTree.from_profile(profile_of(rows), inverted=inverted)
    assert shape(call_tree) == expected_shape(rows, "function", None, inverted)
    assert len(call_tree.children(0)) == (2 if inverted else 1)
