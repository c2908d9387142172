"""The table of functions: self and total with their shares, in an order that can be chosen."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from dtrace_profiler.formats.names import shown
from dtrace_profiler.terminal.cells import cut, fit
from dtrace_profiler.terminal.lines import PLAIN, Lines, Piece
from dtrace_profiler.terminal.view_state import ViewState

_SELF, _TOTAL, _KIND = 8, 8, 8
"""Widths of the columns before the name."""


class Table(Lines, can_focus=True):
    """One row a function. It is put in order anew when told to, not with each sample: rows must stay to be read."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "move(-1000000000)", show=False),
        Binding("end", "move(1000000000)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Sorted(Message):
        """Another order was asked for."""

    class Chosen(Message):
        """A function whose boxes are to be found."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, state: ViewState, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.state = state
        self.functions: list[int] = []
        """In order."""
        self._top = 0
        self._selected: int | None = None
        """A function."""

    def order(self) -> None:
        """Puts the functions in order by what they have now."""
        profile, order = self.state.profile, self.state.order
        own, total, functions = profile.self_of, profile.total_of, profile.functions
        found = [index for index in range(len(functions)) if total[index]]
        found.sort(key=functions.__getitem__)
        if order == "self":
            found.sort(key=lambda index: (own[index], total[index]), reverse=True)
        elif order == "total":
            found.sort(key=lambda index: (total[index], own[index]), reverse=True)
        self.functions = found
        self.redraw()

    def draw(self, width: int, height: int) -> list[list[Piece]]:
        self._top = max(0, min(self._top, len(self.functions) - (height - 1)))
        rows = self.functions[self._top : self._top + height - 1]
        return [self._head(width), *(self._row(index, width) for index in rows)]

    def _head(self, width: int) -> list[Piece]:
        order = self.state.order
        titles = {name: f"{name}{'▾' if name == order else ''}" for name in ("self", "total")}
        text = f"{titles['self']:>{_SELF - 1}} {titles['total']:>{_TOTAL - 1}} "
        if width >= 60:
            text += f"{'kind':<{_KIND}}"
        name = f"function{'▴' if order == 'name' else ''}"
        count = f"{len(self.functions):,} functions"
        text = fit(text + name, width - len(count) - 1) + " " + count if width >= 60 else fit(text + name, width)
        return [(text, self.state.look.bar if self.has_focus else self.state.look.strong)]

    def _row(self, index: int, width: int) -> list[Piece]:
        state = self.state
        profile, whole = state.profile, state.profile.total or 1
        frame = profile.functions[index]
        chosen = self.has_focus and index == self._selected
        matched = state.matches(index)
        shares = (
            f"{profile.self_of[index] / whole:>{_SELF - 1}.1%} {profile.total_of[index] / whole:>{_TOTAL - 1}.1%} "
        )
        kind = fit(frame.kind.value, _KIND) if width >= 60 else ""
        room = width - _SELF - _TOTAL - len(kind)
        place = shown(frame.module_name)
        if frame.file and frame.line:
            place += f" {shown(frame.file.rpartition('/')[2])}:{frame.line}"
        if chosen:
            return [(fit(f"{shares}{kind}{state.label(index)}  {place}", width), state.look.bar)]
        name = cut(state.label(index), room)
        style = state.look.frame(frame, selected=False, matched=True, searching=True) if matched else PLAIN
        return [
            (shares, PLAIN),
            (kind, state.look.kind(frame.kind)),
            (name, style),
            (fit(f"  {place}", room - cell_len(name)), state.look.faint),
        ]

    def action_move(self, step: int) -> None:
        if not self.functions:
            return
        last = len(self.functions) - 1
        place = self.functions.index(self._selected) if self._selected in self.functions else -1
        place = max(0, min(place + step, last)) if place >= 0 else 0
        self._selected = self.functions[place]
        self._top = min(max(self._top, place - max(1, self.size.height - 1) + 1), place)
        self.redraw()

    def action_page(self, step: int) -> None:
        self.action_move(step * max(1, self.size.height - 2))

    def action_choose(self) -> None:
        if self._selected is not None:
            self.post_message(self.Chosen(self.state.profile.functions[self._selected].function_name))

    def on_focus(self) -> None:
        if self._selected is None and self.functions:
            self._selected = self.functions[0]
        self.redraw()

    def on_blur(self) -> None:
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """The head sorts; a row finds its function in the graph."""
        if event.y == 0:
            self.state.order = "self" if event.x < _SELF else "total" if event.x < _SELF + _TOTAL else "name"
            self.post_message(self.Sorted())
            return
        place = self._top + event.y - 1
        if place < len(self.functions):
            self._selected = self.functions[place]
            self.redraw()
            self.action_choose()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._top = max(0, self._top - 3)
        self.redraw()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._top += 3
        self.redraw()
