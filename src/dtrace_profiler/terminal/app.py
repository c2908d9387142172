"""The view: what the widgets are, what the keys do, and the tick that follows the profile."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from dtrace_profiler.formats.facts import percent
from dtrace_profiler.formats.names import shown
from dtrace_profiler.terminal.cells import cut
from dtrace_profiler.terminal.colours import Look, colours_of
from dtrace_profiler.terminal.driver import driver_class
from dtrace_profiler.terminal.graph import Graph
from dtrace_profiler.terminal.growth import Watched
from dtrace_profiler.terminal.lines import PLAIN, Lines, Piece
from dtrace_profiler.terminal.sheets import Help, Output, Threads
from dtrace_profiler.terminal.status import Detail, Status
from dtrace_profiler.terminal.table import Table
from dtrace_profiler.terminal.view_state import ORDERS, ViewState

TICK_S = 0.1
_SLOW_TICKS = 5
"""The table, the facts and the search's share change twice a second: they are read, not watched."""
_BOTH_FROM_ROWS = 18
"""Rows of the terminal from which on graph and table are both shown."""


class Hints(Lines):
    """The last line: what the search found, and the keys that matter most."""

    def __init__(self, state: ViewState, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.state = state
        self.say = ""

    def draw(self, width: int, height: int) -> list[list[Piece]]:
        state = self.state
        if state.query_error:
            return [[(cut(found(state), width), state.look.warning)]]
        keys = "? keys  / search  i turn  t table  T threads  q close"
        if width < 60:
            keys = "? keys  / search  q close"
        said = self.say
        if state.search is not None:
            said = f"{found(state)}: {shown(state.query)}  (n p, Esc)"
        if said:
            return [[(cut(said, width), state.look.strong), ("  ", PLAIN), (keys, state.look.faint)]]
        return [[(keys, state.look.faint)]]


def found(state: ViewState) -> str:
    """What the search has found, or what is wrong with it; empty without one."""
    if state.query_error:
        return f"search: {state.query_error}"
    if state.search is None:
        return ""
    return f"matched {percent(state.matched / state.profile.total if state.profile.total else 0)}"


class SearchBox(Input):
    """`done` is called at once, so that keys typed ahead are no longer the box's."""

    def __init__(self, done: Callable[[], None]) -> None:
        super().__init__(placeholder='text, /regex/ or "exact name"', id="search", select_on_focus=True)
        self._done = done

    async def action_submit(self) -> None:
        self._done()


class TerminalView(App[None]):
    """`run` returns when the view was closed, or `closing` says so.

    `interrupt`: what Ctrl-C does. `closing`: asked at each tick. `tail`: the last lines that the program has printed,
    None where it prints elsewhere. `look`: None finds out what the terminal can.
    """

    CSS = """
    Screen { background: ansi_default; color: ansi_default; layout: vertical; overflow: hidden; }
    Status { height: 1; background: ansi_default; }
    Graph { height: 2fr; background: ansi_default; }
    Detail { height: 1; background: ansi_default; }
    Table { height: 1fr; background: ansi_default; }
    Hints { height: 1; background: ansi_default; }
    Input { height: 1; border: none; padding: 0; background: ansi_default; display: none; }
    Input:focus { border: none; background-tint: transparent; }
    """
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "interrupt", priority=True, show=False),
        Binding("ctrl+q", "close", priority=True, show=False),
        Binding("q", "close", show=False),
        Binding("slash", "search", priority=True, show=False),
        Binding("n", "match(1)", show=False),
        Binding("p,N", "match(-1)", show=False),
        Binding("i", "turn", show=False),
        Binding("s", "sort", show=False),
        Binding("t,tab,shift+tab", "other_pane", priority=False, show=False),
        Binding("T", "threads", show=False),
        Binding("o", "output", show=False),
        Binding("d", "theme", show=False),
        Binding("space", "pause", show=False),
        Binding("escape", "reset", show=False),
        Binding("question_mark", "help", show=False),
    ]

    def __init__(
        self,
        source: Watched,
        *,
        title: str = "",
        interrupt: Callable[[], None] | None = None,
        closing: Callable[[], bool] = lambda: False,
        tail: Callable[[], list[str]] | None = None,
        look: Look | None = None,
    ) -> None:
        super().__init__(ansi_color=True, driver_class=driver_class())
        self.theme = "ansi-dark"
        self.state = ViewState(source, look or Look(colours_of(os.environ)), title)
        self._interrupt = interrupt
        self._asks_to_close = closing
        self._tail = tail
        self._ticks = 0
        self._status = Status(self.state, follows=source.running or interrupt is not None, id="status")
        self._graph = Graph(self.state, id="graph")
        self._detail = Detail(self.state, id="detail")
        self._table = Table(self.state, id="table")
        self._hints = Hints(self.state, id="hints")
        self._input = SearchBox(self._end_search)

    def compose(self) -> ComposeResult:
        yield self._status
        yield self._graph
        yield self._detail
        yield self._table
        yield self._hints
        yield self._input

    def on_mount(self) -> None:
        self._graph.focus()
        self.follow(everything=True)
        self.set_interval(TICK_S, self._tick)

    # Following the profile.

    def _tick(self) -> None:
        if self._asks_to_close() or getattr(self._driver, "terminal_is_gone", bool)():
            self.exit()
            return
        self._ticks += 1
        was_running = self.state.running
        self.follow(everything=self._ticks % _SLOW_TICKS == 0 or was_running != self.state.source.running)

    def follow(self, *, everything: bool) -> None:
        """Takes in what is new. `everything`: also what changes more slowly than the graph."""
        if self.state.follow():
            self._status.sampled()
            self._graph.redraw()
            self._detail.redraw()
        if everything and not self.state.paused:
            self.state.meta = self.state.source.meta()
            self.state.count_matches()
            self._table.order()
            if not self.state.profile.samples:
                self._graph.redraw()
        if everything:
            self._draw_facts()

    def _draw_facts(self) -> None:
        lines = len(self._status.wrapped(max(1, self.size.width)))
        if self._status.styles.height is None or self._status.styles.height.value != lines:
            self._status.styles.height = lines
        self._status.redraw()
        self._hints.redraw()

    def redraw(self) -> None:
        """All of it."""
        self._graph.redraw()
        self._detail.redraw()
        self._table.order()
        self._draw_facts()

    def on_graph_changed(self) -> None:
        rows = [f"{self._graph.above} ↑" if self._graph.above else "", self._graph.below]
        self._detail.below = " ".join(text for text in rows if text)
        self._detail.redraw()

    def on_resize(self, event: events.Resize) -> None:
        self._arrange(event.size.height)
        self.call_after_refresh(self._draw_facts)
        # A terminal may move what it shows after it has told its new size: all of it is sent once more.
        for later_s in (0.2, 1.0):
            self.set_timer(later_s, self._send_all)

    def _send_all(self) -> None:
        for screen in self.screen_stack:  # none when the view has been closed in the meantime
            for widget in screen.query(Lines):
                widget.refresh()

    def _arrange(self, rows: int) -> None:
        """A small terminal shows the graph or the table, not both."""
        both = rows >= _BOTH_FROM_ROWS
        in_table = self._table.has_focus
        self._table.display = both or in_table
        self._graph.display = both or not in_table

    def on_mouse_move(self, event: events.MouseMove) -> None:
        x, y = event.screen_x, event.screen_y
        region = self._graph.region
        inside = self._graph.display and region.contains(x, y)
        box = self._graph.box_at(x - region.x, y - region.y) if inside else None
        node = box.node if box is not None and box.node >= 0 else None
        if node != self._detail.node:
            self._detail.node = node
            self._detail.redraw()

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # It goes before all, so that what is typed at once behind it is the box's: but not into the box, or a sheet.
        return action != "search" or not (self._input.has_focus or len(self.screen_stack) > 1)

    def action_interrupt(self) -> None:
        if self._interrupt is None:
            self.exit()
        else:
            self._hints.say = "the profile ends …" if self.state.source.running else ""
            self._hints.redraw()
            self._interrupt()

    def action_close(self) -> None:
        self.exit()

    def action_help(self) -> None:
        self.push_screen(Help(self.state))

    def action_threads(self) -> None:
        self.push_screen(Threads(self.state, self.redraw))

    def action_output(self) -> None:
        if self._tail is None:
            self.bell()  # not ours to show: it prints elsewhere
        else:
            self.push_screen(Output(self.state, self._tail))

    def action_search(self) -> None:
        self._hints.display = False
        self._input.display = True
        self._input.value = self.state.query
        self.screen.set_focus(self._input)

    def on_input_changed(self, event: Input.Changed) -> None:
        if not self._input.display:
            return  # typed ahead of the box's end
        self.state.look_for(event.value)
        self._detail.say = found(self.state)
        self._detail.redraw()
        self._graph.redraw()
        self._table.redraw()

    def _end_search(self) -> None:
        self.state.look_for(self._input.value)
        self._input.display = False
        self._hints.display = True
        self._detail.say = ""
        self.screen.set_focus(self._graph)
        self._arrange(self.size.height)
        self.call_after_refresh(self.redraw)

    def action_match(self, step: int) -> None:
        if self.state.search is not None and not self._graph.to_match(step):
            self.bell()

    def action_turn(self) -> None:
        self._detail.node = None
        self.state.turn()
        self.redraw()

    def action_sort(self) -> None:
        self.state.order = ORDERS[(ORDERS.index(self.state.order) + 1) % len(ORDERS)]
        self._table.order()

    def on_table_sorted(self) -> None:
        self._table.order()

    def on_table_chosen(self, event: Table.Chosen) -> None:
        self.state.look_for(f'"{event.name}"')
        self.redraw()

    def action_other_pane(self) -> None:
        to_table = not self._table.has_focus
        self._table.display = self._graph.display = True
        self.screen.set_focus(self._table if to_table else self._graph)
        self.call_after_refresh(lambda: self._arrange(self.size.height))

    def action_theme(self) -> None:
        look = self.state.look
        self.state.look = Look(look.colours, "light" if look.theme == "dark" else "dark")
        self.redraw()

    def action_pause(self) -> None:
        self.state.paused = not self.state.paused
        self.follow(everything=True)
        self._graph.redraw()

    def action_reset(self) -> None:
        """Out of the search box, else reset the zoom, else the search."""
        if self._input.has_focus:
            self._input.value = ""
            self._end_search()
        elif self.state.zoom:
            self._graph.zoom_to(0)
        elif self.state.query:
            self.state.look_for("")
            self.redraw()
        else:
            self._graph.select(None)
