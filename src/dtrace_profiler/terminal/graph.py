"""The flame graph in cells."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from dtrace_profiler.formats.facts import percent
from dtrace_profiler.terminal.cells import fit
from dtrace_profiler.terminal.layout import ELIDED, Box, lay_out
from dtrace_profiler.terminal.lines import PLAIN, Lines, Piece
from dtrace_profiler.terminal.status import emptiness
from dtrace_profiler.terminal.view_state import ViewState

_AHEAD = 200
"""Rows laid out beyond those in view, to say how many there are."""


class Graph(Lines, can_focus=True):
    """Rows from the zoomed node down; the first is that node's."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "beside(-1)", show=False),
        Binding("right", "beside(1)", show=False),
        Binding("up", "up", show=False),
        Binding("down", "down", show=False),
        Binding("enter", "zoom", show=False),
        Binding("backspace", "out", show=False),
        Binding("home", "home", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
    ]

    class Changed(Message):
        """Zoom or selection."""

    def __init__(self, state: ViewState, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.state = state
        self.rows: list[list[Box]] = []
        self._top = 0
        """The first row in view."""
        self._ends = False
        """Whether `rows` go down to the last."""

    @property
    def below(self) -> str:
        """How many rows there are below those in view; empty for none."""
        count = len(self.rows) - self._top - self.size.height
        return "" if count <= 0 else f"{count}{'' if self._ends else '+'} ↓"

    @property
    def above(self) -> int:
        return self._top

    def draw(self, width: int, height: int) -> list[list[Piece]]:
        state = self.state
        asked = self._top + height + _AHEAD
        self.rows = lay_out(state.nodes, state.profile.functions, state.zoom, width, asked)
        self._ends = len(self.rows) < asked
        self._top = max(0, min(self._top, len(self.rows) - height))
        if not self.rows:
            sentences = emptiness(state)
            before = max(0, (height - len(sentences)) // 2)
            return [[]] * before + [[(" " + text, PLAIN)] for text in sentences]
        return [self._line(row) for row in self.rows[self._top : self._top + height]]

    def _line(self, row: list[Box]) -> list[Piece]:
        state, look, nodes = self.state, self.state.look, self.state.nodes
        searching = state.search is not None
        pieces: list[Piece] = []
        at = 0
        for box in row:
            if box.left > at:
                pieces.append((" " * (box.left - at), PLAIN))
            at = box.right
            width = box.right - box.left
            if box.node == ELIDED:
                pieces.append(("░" * width, look.elided))
                continue
            if box.node == 0:
                style = look.bar if state.selected == 0 else look.strong
                pieces.append((fit(self._root_text(), width, look.fill), style))
                continue
            function = nodes.function[box.node]
            style = look.frame(
                state.profile.functions[function],
                selected=box.node == state.selected,
                matched=state.matches(function),
                searching=searching,
            )
            text = state.label(function)
            if box.node == state.zoom:
                share = nodes.total[box.node] / nodes.total[0] if nodes.total[0] else 0
                text = f"{text}  {percent(share)} of all"
            if width <= 2:  # no room for a name: one piece, which takes half of what two take to send
                pieces.append(("▏" + look.fill * (width - 1), look.edge(style)))
            else:
                pieces += [("▏", look.edge(style)), (fit(text, width - 1, look.fill), style)]
        return pieces

    def _root_text(self) -> str:
        state = self.state
        what = "all" if state.profile.shown_threads is None else "of the threads chosen"
        return f"{what}, {'leaf first' if state.leaf_first else 'root first'}"

    # Keys.

    def select(self, node: int | None) -> None:
        self.state.selected = node
        self._show_selected()
        self.redraw()
        self.post_message(self.Changed())

    def zoom_to(self, node: int) -> None:
        self.state.zoom = self.state.selected = node
        self._top = 0
        self.redraw()
        self.post_message(self.Changed())

    def to_match(self, step: int) -> bool:
        """Selects the next (1) or previous (-1) box that matches. False where none is drawn."""
        state = self.state
        boxes = [box.node for row in self.rows for box in row]
        found = [node for node in boxes if node > 0 and state.matches(state.nodes.function[node])]
        if not found:
            return False
        if state.selected in found:
            place = (found.index(state.selected) + step) % len(found)
        else:
            place = 0 if step > 0 else -1
        self.select(found[place])
        return True

    def action_beside(self, step: int) -> None:
        place = self._place()
        if place is None:
            self.select(self.state.zoom)
            return
        y, x = place
        boxes = [box.node for box in self.rows[y] if box.node != ELIDED]
        index = boxes.index(self.rows[y][x].node) + step
        if 0 <= index < len(boxes):
            self.select(boxes[index])

    def action_up(self) -> None:
        place = self._place()
        if place is None or place[0] == 0:
            self.select(self.state.zoom)
        else:
            self.select(self.state.nodes.parent[self.state.selected or 0])

    def action_down(self) -> None:
        """To the child with the largest share."""
        place = self._place()
        if place is None:
            self.select(self.state.zoom)
            return
        y, x = place
        nodes, box = self.state.nodes, self.rows[y][x]
        below = self.rows[y + 1] if y + 1 < len(self.rows) else []
        children = [one.node for one in below if one.node != ELIDED and nodes.parent[one.node] == box.node]
        if children:
            self.select(max(children, key=nodes.total.__getitem__))

    def action_zoom(self) -> None:
        if self.state.selected is not None and self.state.selected != self.state.zoom:
            self.zoom_to(self.state.selected)

    def action_out(self) -> None:
        if self.state.zoom > 0:
            self.zoom_to(self.state.nodes.parent[self.state.zoom])

    def action_home(self) -> None:
        self.zoom_to(0)

    def action_page(self, step: int) -> None:
        self._scroll(step * max(1, self.size.height - 1))

    def _scroll(self, rows: int) -> None:
        self._top = max(0, min(self._top + rows, len(self.rows) - self.size.height))
        self.redraw()
        self.post_message(self.Changed())

    def _place(self) -> tuple[int, int] | None:
        """Row and index in it of the box that is selected."""
        if self.state.selected is not None:
            for y, row in enumerate(self.rows):
                for x, box in enumerate(row):
                    if box.node == self.state.selected:
                        return y, x
        return None

    def _show_selected(self) -> None:
        place = self._place()
        if place is not None:
            y, height = place[0], max(1, self.size.height)
            self._top = min(max(self._top, y - height + 1), y)

    # Mouse.

    def box_at(self, x: int, y: int) -> Box | None:
        row = self.rows[self._top + y] if 0 <= self._top + y < len(self.rows) else []
        return next((box for box in row if box.left <= x < box.right), None)

    def on_click(self, event: events.Click) -> None:
        """Zooms into a box; on the first row, out of it."""
        box = self.box_at(event.x, event.y)
        if box is None:
            return
        if box.node == ELIDED:
            self.app.bell()
        elif box.node == self.state.zoom:
            self.action_out()
        else:
            self.zoom_to(box.node)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._scroll(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._scroll(3)
