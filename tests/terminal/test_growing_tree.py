"""The tree that grows is the one of a snapshot, whatever came in whatever pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta
from dtrace_profiler.model.top import top_functions
from dtrace_profiler.model.tree import CallTree
from dtrace_profiler.terminal.growth import GrowingProfile, WholeProfile
from dtrace_profiler.terminal.nodes import CallNodes
from dtrace_profiler.terminal.search import Search, parse_query

Sums = dict[tuple[StackFrame, ...], tuple[int, int]]

frames = st.builds(
    StackFrame,
    st.sampled_from("abc"),
    st.sampled_from(["", "m"]),
    st.integers(0, 2),
    first_line=st.integers(0, 3),
    kind=st.sampled_from([FrameKind.PYTHON, FrameKind.NATIVE]),
)
samples = st.tuples(st.integers(0, 2), st.lists(frames, min_size=1, max_size=7), st.integers(1, 5))


def sums_of_tree(tree: CallTree) -> Sums:
    return {tree.stack(node): (tree.self_value[node], tree.total[node]) for node in range(len(tree))}


def sums(profile: GrowingProfile, nodes: CallNodes) -> Sums:
    """Of the nodes that have a value."""
    out = {}
    for node in range(len(nodes)):
        if nodes.total[node] or not node:
            path = tuple(profile.functions[nodes.function[step]] for step in nodes.path(node))
            assert path not in out
            out[path] = nodes.self_value[node], nodes.total[node]
    return out


@given(st.lists(st.lists(samples, max_size=8), max_size=5), st.sets(st.integers(0, 2)) | st.none(), st.integers(0, 4))
def test_it_is_the_tree_of_the_snapshot(
    pieces: list[list[tuple[int, list[StackFrame], int]]], chosen: set[int] | None, choose_at: int
) -> None:
    builder, growing = ProfileBuilder(), GrowingProfile()
    growing.leaf_first  # noqa: B018 (made at the beginning, it has to be followed)
    for place, piece in enumerate(pieces):
        for thread, stack, value in piece:
            builder.add_sample(1, builder.add_thread(1, thread), builder.add_stack(stack), value)
        growing.take(builder)
        if place == choose_at:
            growing.show_threads(chosen)
    if choose_at >= len(pieces):
        growing.show_threads(chosen)
    profile = builder.snapshot(Meta())
    threads = None if chosen is None else [index for index in sorted(chosen) if index < len(profile.threads)]
    for inverted in (False, True):
        tree = CallTree.from_profile(profile, threads=threads, inverted=inverted)
        assert sums(growing, growing.leaf_first if inverted else growing.root_first) == sums_of_tree(tree)
    found = {
        frame: (growing.self_of[index], growing.total_of[index])
        for index, frame in enumerate(growing.functions)
        if growing.total_of[index]
    }
    assert found == {row.frame: (row.self_value, row.total) for row in top_functions(profile, threads=threads)}


def test_a_file_is_taken_at_once() -> None:
    builder = ProfileBuilder()
    builder.add_sample(1, builder.add_thread(1, 1), builder.add_stack([StackFrame("a"), StackFrame("b")]), 7)
    growing, source = GrowingProfile(), WholeProfile(builder.snapshot(Meta()))
    assert growing.take(source)
    assert not growing.take(source)
    assert growing.total == 7


def test_a_very_deep_stack() -> None:
    builder, growing = ProfileBuilder(), GrowingProfile()
    leaf = builder.add_stack([StackFrame(f"f{index % 1000}") for index in range(100_000)])
    builder.add_sample(1, builder.add_thread(1, 1), leaf, 3)
    growing.take(builder)
    builder.add_sample(1, 0, leaf, 4)
    growing.take(builder)
    assert len(growing.leaf_first) == len(growing.root_first) == 100_001
    assert growing.total_of == [7] * 1000
    assert growing.leaf_first.total[-1] == 7


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("DUMPS", {"dumps"}),
        ("json.d", {"dumps"}),
        ("/^(load|dump)s?$/", {"dumps", "load"}),
        ("/LOAD/i", {"load", "unload"}),
        ("/LOAD/", set()),
        ('"load"', {"load"}),
        ("/src/", {"unload"}),
        ("[", set()),
    ],
)
def test_what_a_search_finds(query: str, found: set[str]) -> None:
    functions = [StackFrame("dumps", "json"), StackFrame("load"), StackFrame("unload", file="src.py")]
    test = parse_query(query)
    assert test is not None
    assert {frame.function_name for frame in functions if test(frame)} == found


def test_searches_that_are_none() -> None:
    assert parse_query("  ") is None
    with pytest.raises(ValueError, match="unterminated"):
        parse_query("/(/")


def test_a_stack_with_two_matches_counts_once() -> None:
    builder, growing = ProfileBuilder(), GrowingProfile()
    thread = builder.add_thread(1, 1)
    test = parse_query("f")
    assert test is not None
    search = Search(test)
    for names, value in (("fgf", 5), ("g", 2), ("gf", 1)):
        builder.add_sample(1, thread, builder.add_stack([StackFrame(name) for name in names]), value)
        growing.take(builder)
        search.follow(growing.root_first, growing.functions)
    assert search.follow(growing.root_first, growing.functions) == 6
