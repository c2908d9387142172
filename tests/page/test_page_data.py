from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from page_profiles import HOSTILE, empty, forest, hostile, shop

from dtrace_profiler.formats.page_data import page_data
from dtrace_profiler.formats.palette import KINDS
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.model.tree import CallTree

_FRAMES = st.builds(
    StackFrame,
    st.sampled_from("abc"),
    st.sampled_from(["", "m"]),
    st.integers(0, 2),
    st.just("f.c"),
    st.integers(0, 2),
    st.just(1),
    st.sampled_from(KINDS),
)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    builder = ProfileBuilder()
    unit = draw(st.sampled_from(["samples", "nanoseconds"]))
    for stack, thread, value in draw(
        st.lists(
            st.tuples(st.lists(_FRAMES, min_size=1, max_size=6), st.integers(0, 2), st.integers(0, 9)), max_size=30
        )
    ):
        builder.add_sample(0, builder.add_thread(1, thread), builder.add_stack(stack), value)
    return builder.snapshot(Meta(unit=unit))


def totals(data: dict[str, Any]) -> list[int]:
    """By node, the root last."""
    parents = data["nodes"]["parent"]
    out = [0] * (len(parents) + 1)
    for columns in (data["values"], data["elided"]):
        for node, value in zip(columns["node"], columns["value"], strict=True):
            out[node] += value
    for node in range(len(parents) - 1, -1, -1):
        assert parents[node] < node
        out[parents[node]] += out[node]
    return out


def path_totals(profile: Profile) -> dict[tuple[StackFrame, ...], int]:
    tree = CallTree.from_profile(profile, by="line")
    return {tree.stack(node): tree.total[node] for node in range(1, len(tree)) if tree.total[node]}


def data_paths(data: dict[str, Any]) -> dict[tuple[StackFrame, ...], int]:
    frames, strings = data["frames"], data["strings"]
    merged = [
        StackFrame(strings[name], strings[module], 0, strings[file], line, first_line, KINDS[kind])
        for name, module, file, line, first_line, kind in zip(
            *(frames[column] for column in ("name", "module", "file", "line", "first_line", "kind")), strict=True
        )
    ]
    paths: list[tuple[StackFrame, ...]] = []
    for parent, frame in zip(data["nodes"]["parent"], data["nodes"]["frame"], strict=True):
        paths.append((*(paths[parent] if parent >= 0 else ()), merged[frame]))
    assert len(set(paths)) == len(paths)
    return dict(zip(paths, totals(data), strict=False))


@given(profiles())
def test_holds_every_path_with_its_total(profile: Profile) -> None:
    data = page_data(profile)
    assert data_paths(data) == path_totals(profile)
    assert data["elided_nodes"] == 0
    assert sum(thread["samples"] for thread in data["threads"]) == len(profile)


@given(profiles(), st.integers(0, 12))
def test_leaves_out_only_the_smallest_and_keeps_totals(profile: Profile, max_nodes: int) -> None:
    data = page_data(profile, max_nodes=max_nodes)
    whole = path_totals(profile)
    kept = data_paths(data)
    assert len(kept) == min(max_nodes, len(whole))
    assert data["elided_nodes"] == len(whole) - len(kept)
    assert kept.items() <= whole.items()
    assert totals(data)[-1] == profile.total
    left_out = [value for path, value in whole.items() if path not in kept]
    assert max(left_out, default=0) <= min(kept.values(), default=profile.total)


@given(profiles(), st.integers(0, 12))
def test_squares_stand_for_the_errors_of_weighted_samples(profile: Profile, max_nodes: int) -> None:
    data = page_data(profile, max_nodes=max_nodes)
    if profile.meta.unit == "samples":
        assert "square" not in data["values"]
    else:
        squares = data["values"]["square"] + data["elided"]["square"]
        assert sum(squares) == sum(value * value for value in profile.value)


@settings(max_examples=30)
@given(st.text(st.characters(codec=None), max_size=30))
def test_any_text_survives_json(text: str) -> None:
    builder = ProfileBuilder()
    builder.add_sample(0, builder.add_thread(1, 1, text), builder.add_stack([StackFrame(text, text)]))
    data = page_data(builder.snapshot(Meta(target=text)))
    assert json.loads(json.dumps(data)) == data
    assert text in data["strings"]


def test_frames_that_differ_by_address_are_one() -> None:
    builder = ProfileBuilder()
    thread = builder.add_thread(1, 1)
    for address in (1, 2, 3):
        frame = StackFrame("f", "lib", address, kind=FrameKind.NATIVE)
        builder.add_sample(0, thread, builder.add_stack([frame]), address)
    data = page_data(builder.snapshot(Meta()))
    assert data["nodes"] == {"parent": [-1], "frame": [0]}
    assert data["values"] == {"thread": [0], "node": [0], "value": [6]}


def test_strings_stand_once() -> None:
    strings = page_data(shop())["strings"]
    assert len(set(strings)) == len(strings)


def test_stacks_whose_samples_expired_are_left_out() -> None:
    builder = ProfileBuilder(max_samples=4)
    thread = builder.add_thread(1, 1)
    for name in "abcdef":
        builder.add_sample(0, thread, builder.add_stack([StackFrame(name)]))
    data = page_data(builder.snapshot(Meta()))
    assert data["strings"] == ["c", "", "d", "e", "f"]
    assert data["elided_nodes"] == 0


def test_an_empty_profile_has_empty_columns() -> None:
    data = page_data(empty())
    assert data["nodes"] == {"parent": [], "frame": []}
    assert totals(data) == [0]


def test_names_of_all_kinds() -> None:
    assert set(HOSTILE) <= set(page_data(hostile())["strings"])


def test_a_large_profile_is_cut_to_size() -> None:
    profile = forest(30_000)
    data = page_data(profile, max_nodes=5_000)
    assert len(data["nodes"]["parent"]) == 5_000
    assert totals(data)[-1] == profile.total
