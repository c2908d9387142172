"""What lies over the view when asked for: keys and meanings, the choice of threads, the program's output."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from dtrace_profiler.formats.facts import percent
from dtrace_profiler.formats.names import shown
from dtrace_profiler.terminal.cells import cut, fit
from dtrace_profiler.terminal.lines import PLAIN, Lines, Piece
from dtrace_profiler.terminal.view_state import ViewState

KEYS = (
    ("← ↑ → ↓", "move in the graph, or in the table"),
    ("Enter or click", "zoom into a frame; in the table: find the function"),
    ("Backspace", "zoom out to the caller"),
    ("Home", "to the root"),
    ("Esc", "reset zoom, then search"),
    ("/", 'search: text, /regex/ (/regex/i), or "exact name"'),
    ("n p", "next and previous match"),
    ("i", "root first or leaf first"),
    ("t or Tab", "to the table, or back to the graph"),
    ("s", "sort the table: by self, total, or name"),
    ("T", "choose threads"),
    ("Space", "hold the picture still, or go on"),
    ("o", "what the program has printed"),
    ("d", "dark or light"),
    ("PgUp PgDn", "scroll; the mouse wheel does, too"),
    ("Ctrl-C", "end the profile, and then this view"),
    ("q", "close this view"),
    ("?", "this page"),
)

MEANINGS = (
    "Width is CPU time: a box is as wide as the share of samples it was on the stack in.",
    "Self is time in the function itself, total with all that it called.",
    "░ stands for functions too narrow to draw: zoom in to see them.",
)


class _Page(Lines, can_focus=True):
    """Lines that can be scrolled."""

    def __init__(self, lines: Callable[[int], list[list[Piece]]]) -> None:
        super().__init__()
        self._lines = lines
        self.top = 0

    def draw(self, width: int, height: int) -> list[list[Piece]]:
        lines = self._lines(width)
        self.top = max(0, min(self.top, len(lines) - height))
        return lines[self.top : self.top + height]

    def scroll(self, rows: int) -> None:
        self.top += rows
        self.redraw()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.scroll(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.scroll(3)


class Sheet(ModalScreen[None]):
    """Closed by Esc, q, or the key that opened it."""

    CSS = """
    Sheet { background: ansi_default; }
    _Page { background: ansi_default; width: 1fr; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,o,T", "close", show=False),
        Binding("up", "scroll_by(-1)", show=False),
        Binding("down", "scroll_by(1)", show=False),
        Binding("pageup", "scroll_by(-10)", show=False),
        Binding("pagedown", "scroll_by(10)", show=False),
    ]

    def __init__(self, state: ViewState) -> None:
        super().__init__()
        self.state = state
        self.page = _Page(self.lines)

    def compose(self) -> ComposeResult:
        yield self.page

    def lines(self, width: int) -> list[list[Piece]]:
        raise NotImplementedError

    def heading(self, text: str, width: int) -> list[Piece]:
        return [(fit(f" {text}", width), self.state.look.bar)]

    def action_close(self) -> None:
        self.dismiss()

    def action_scroll_by(self, rows: int) -> None:
        self.page.scroll(rows)


class Help(Sheet):
    def lines(self, width: int) -> list[list[Piece]]:
        look = self.state.look
        out = [self.heading("Keys and meanings (Esc closes)", width)]
        out += [[(fit(f" {key}", 16), look.strong), (cut(text, width - 16), PLAIN)] for key, text in KEYS]
        out.append([])
        for text in MEANINGS:
            out += [[(line, PLAIN)] for line in _wrapped(text, width - 2)]
        return out


class Output(Sheet):
    """`tail`: gives the last lines that the program has printed, as text that is safe to show."""

    def __init__(self, state: ViewState, tail: Callable[[], list[str]]) -> None:
        super().__init__(state)
        self._tail = tail
        self.page.top = 1 << 30

    def on_mount(self) -> None:
        self.set_interval(0.25, self.page.redraw)

    def lines(self, width: int) -> list[list[Piece]]:
        tail = self._tail()
        title = "What the program has printed; all of it is printed when the view closes (Esc closes)"
        return [self.heading(title, width), *([(cut(shown(line), width), PLAIN)] for line in tail)]


class Threads(Sheet):
    """A line a thread; Enter shows it alone, Space adds it or takes it away, a shows all."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("enter", "only", show=False),
        Binding("space", "add_or_take", show=False),
        Binding("a", "all", show=False),
    ]

    def __init__(self, state: ViewState, changed: Callable[[], None]) -> None:
        super().__init__(state)
        self._changed = changed
        self._at = 0
        self._order = self._by_value()

    def _by_value(self) -> list[int]:
        values = self.state.profile.thread_values
        return sorted(range(len(values)), key=lambda thread: -values[thread])

    def lines(self, width: int) -> list[list[Piece]]:
        profile, look = self.state.profile, self.state.look
        whole = sum(profile.thread_values) or 1
        out = [self.heading("Threads: Enter only this, Space add or take away, a all, Esc closes", width)]
        for row, thread in enumerate(self._order):
            chosen = profile.shown_threads is None or thread in profile.shown_threads
            one = profile.threads[thread]
            name = f"  {shown(one.name)}" if one.name else ""
            name += "".join(f"  {shown(key)}={shown(value)}" for key, value in one.labels)
            share = f"{percent(profile.thread_values[thread] / whole):>9}"
            text = f" [{'x' if chosen else ' '}] {share}  thread {one.thread_id} of process {one.process_id}{name}"
            out.append([(fit(text, width), look.bar if row == self._at else PLAIN)])
        return out

    def action_move(self, step: int) -> None:
        self._at = max(0, min(self._at + step, len(self._order) - 1))
        height = max(1, self.page.size.height)
        self.page.top = min(max(self.page.top, self._at + 2 - height), self._at)
        self.page.redraw()

    def action_only(self) -> None:
        if self._order:
            self._show(frozenset([self._order[self._at]]))

    def action_add_or_take(self) -> None:
        if not self._order:
            return
        profile = self.state.profile
        chosen = frozenset(self._order) if profile.shown_threads is None else profile.shown_threads
        self._show(chosen ^ {self._order[self._at]})

    def action_all(self) -> None:
        self._show(None)

    def _show(self, threads: frozenset[int] | None) -> None:
        everything = threads is not None and len(threads) == len(self.state.profile.threads)
        self.state.show_threads(None if everything else threads)
        self._changed()
        self.page.redraw()

    def on_click(self, event: events.Click) -> None:
        row = self.page.top + event.screen_y - 1
        if 0 <= row < len(self._order):
            self._at = row
            self.action_add_or_take()


def _wrapped(text: str, width: int) -> list[str]:
    out = [""]
    for word in text.split():
        if out[-1] and len(out[-1]) + 1 + len(word) > width:
            out.append("")
        out[-1] += f" {word}"
    return out
