"""Boxes and text in cells."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from dtrace_profiler.formats.names import shown
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.terminal.cells import cut, fit
from dtrace_profiler.terminal.colours import FEW, MANY, NONE, TRUE_COLOUR, Look, colours_of
from dtrace_profiler.terminal.layout import ELIDED, lay_out
from dtrace_profiler.terminal.lines import difference
from dtrace_profiler.terminal.nodes import CallNodes

FUNCTIONS = [StackFrame(f"f{index:03}") for index in range(1000)]


def tree(children: dict[int, list[int]], values: dict[int, int]) -> CallNodes:
    """Node n is the function n - 1."""
    nodes = CallNodes()
    for parent, below in children.items():
        for child in below:
            assert nodes.node(parent, child - 1) == child
    for node, value in values.items():
        nodes.add(node, value)
    return nodes


def test_widths_are_shares() -> None:
    nodes = tree({0: [1, 2], 1: [3]}, {3: 50, 1: 25, 2: 25})
    rows = lay_out(nodes, FUNCTIONS, 0, 100, 10)
    assert [[(box.left, box.right, box.node) for box in row] for row in rows] == [
        [(0, 100, 0)],
        [(0, 75, 1), (75, 100, 2)],
        [(0, 50, 3)],
    ]
    zoomed = lay_out(nodes, FUNCTIONS, 1, 90, 10)
    assert [[(box.left, box.right, box.node) for box in row] for row in zoomed] == [[(0, 90, 1)], [(0, 60, 3)]]


def test_what_is_too_narrow_is_one_box_and_nothing_below_it() -> None:
    nodes = tree({0: list(range(1, 101)), 100: [101]}, {**dict.fromkeys(range(1, 100), 1), 101: 1})
    rows = lay_out(nodes, FUNCTIONS, 0, 10, 10)
    assert [[(box.left, box.right, box.node) for box in row] for row in rows] == [[(0, 10, 0)], [(0, 10, ELIDED)]]


def test_nothing_to_lay_out() -> None:
    assert lay_out(CallNodes(), FUNCTIONS, 0, 80, 10) == []


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40), st.integers(0, 1000)), max_size=60),
    st.integers(1, 120),
    st.integers(1, 12),
)
def test_boxes_never_overlap_and_stay_within_their_callers(
    steps: list[tuple[int, int, int]], width: int, height: int
) -> None:
    nodes = CallNodes()
    for parent, function, value in steps:
        nodes.add(nodes.node(min(parent, len(nodes) - 1), function), value)
    rows = lay_out(nodes, FUNCTIONS, 0, width, height)
    assert len(rows) <= height
    for above, row in zip([None, *rows], rows, strict=False):
        assert all(0 <= box.left < box.right <= width for box in row)
        assert all(one.right <= other.left for one, other in pairwise(row))
        if above is not None:
            place = {box.node: box for box in above}
            for box in row:
                if box.node != ELIDED:
                    caller = place[nodes.parent[box.node]]
                    assert caller.left <= box.left <= box.right <= caller.right


@given(st.text(max_size=30), st.integers(0, 20))
def test_text_takes_exactly_its_cells(text: str, width: int) -> None:
    safe = shown(text)
    assert cell_len(fit(safe, width)) == width
    assert cell_len(cut(safe, width)) <= width


def test_wide_characters_are_cut_whole() -> None:
    assert fit("漢字漢字", 6) == "漢字… "
    assert fit("漢字", 4) == "漢字"
    assert fit("漢字", 3) == "漢…"


@pytest.mark.parametrize(
    ("environ", "colours"),
    [
        ({"TERM": "xterm-256color"}, MANY),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, TRUE_COLOUR),
        ({"TERM": "linux"}, FEW),
        ({"TERM": "vt100"}, NONE),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, NONE),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, NONE),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, MANY),
        ({}, NONE),
    ],
)
def test_how_many_colours(environ: dict[str, str], colours: int) -> None:
    assert colours_of(environ) == colours


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("colours", [NONE, FEW, MANY, TRUE_COLOUR])
def test_selection_and_matches_are_seen_without_colour(colours: int, theme: str) -> None:
    look = Look(colours, theme)
    for kind in FrameKind:
        frame = StackFrame("f", kind=kind)
        plain = look.frame(frame, selected=False, matched=False, searching=False)
        selected = look.frame(frame, selected=True, matched=False, searching=False)
        matched = look.frame(frame, selected=False, matched=True, searching=True)
        assert (bool(plain.reverse), bool(plain.underline)) == (False, False)
        assert selected.reverse
        assert matched.underline
        if colours == NONE:
            assert all(style.color is None and style.bgcolor is None for style in (plain, selected, matched))
    if colours != NONE:
        kinds = [
            look.frame(StackFrame("f", kind=kind), selected=False, matched=False, searching=False)
            for kind in FrameKind
        ]
        assert len({style.bgcolor for style in kinds}) == len(kinds)


def test_only_what_differs_is_drawn_again() -> None:
    def line(text: str, *, bold: bool = False) -> Strip:
        return Strip([Segment(text[:10]), Segment(text[10:], Style(bold=bold))])

    old = line("0123456789" * 4)
    assert difference(old, line("0123456789" * 4)) is None
    assert difference(old, line("x123y56789" + "0123456789" * 3)) == (0, 5)
    assert difference(old, line("x" + "123456789" + "0123456789" * 2 + "012345678x")) == (0, 40)
    assert difference(old, line("0123456789" * 4, bold=True)) == (10, 40)
    assert difference(Strip([Segment("漢字a")]), Strip([Segment("漢a字")])) == (2, 5)


@given(st.text("ab漢\u0301 ", max_size=12), st.text("ab漢\u0301 ", max_size=12))
def test_cells_are_counted_right_when_lines_are_compared(one: str, other: str) -> None:
    old, new = (Strip([Segment("x" + fit(text, 20))]) for text in (one, other))
    assert (difference(old, new) is None) == (old.text == new.text)
