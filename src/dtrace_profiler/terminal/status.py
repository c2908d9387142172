"""What a profile is of, how it was taken, what is missing and why there is nothing to see, in words.

The page says the same (assets/status.js), with more room.
"""

from __future__ import annotations

import time

from rich.cells import cell_len

from dtrace_profiler.formats.facts import duration, loss_words, percent, quantity
from dtrace_profiler.formats.names import shown
from dtrace_profiler.terminal.cells import cut
from dtrace_profiler.terminal.lines import PLAIN, Lines, Piece, clipped
from dtrace_profiler.terminal.view_state import ViewState

_ENGINES = {"dtrace": "DTrace", "sampler": "sampler"}
IDLE_AFTER_S = 2.0


class Status(Lines):
    """As many lines as the facts need, at most `most`."""

    most = 3

    def __init__(self, state: ViewState, *, follows: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self.state = state
        self._follows = follows
        self._last_sample = time.monotonic()

    def sampled(self) -> None:
        """There was a sample just now."""
        self._last_sample = time.monotonic()

    def draw(self, width: int, height: int) -> list[list[Piece]]:
        return self.wrapped(width)[:height]

    def wrapped(self, width: int) -> list[list[Piece]]:
        """State and target on the first line; the facts after it, as many on a line as fit."""
        look = self.state.look
        how, what = self._state_of_it(), shown(self.state.title or self.state.meta.target or "CPU profile")
        facts = self._facts()
        whole = cell_len(f"{how}  {what}  " + "  ".join(text for text, _ in facts))
        room = width - cell_len(how) - 2
        lines: list[list[Piece]] = [[(how, look.strong), ("  ", PLAIN)]]
        if whole > width:
            lines[0].append((cut(what, room), PLAIN))
            used = width
        else:
            lines[0].append((what, PLAIN))
            used = cell_len(how) + 2 + cell_len(what)
        for text, style in facts:
            if used + 2 + cell_len(text) > width and len(lines) < self.most:
                lines.append([])
                used = -2
            if used >= 0:
                lines[-1].append(("  ", PLAIN))
            lines[-1].append((text, style))
            used += 2 + cell_len(text)
        return [clipped(line, width) for line in lines]

    def _state_of_it(self) -> str:
        state = self.state
        if not self._follows:
            return "■ profile"
        if state.paused:
            return "‖ paused"
        if not state.running:
            return "■ ended"
        idle_s = time.monotonic() - self._last_sample
        if idle_s >= IDLE_AFTER_S and state.profile.samples:
            return f"● live, idle for {idle_s:.0f} s"
        return "● live"

    def _facts(self) -> list[Piece]:
        state, meta = self.state, self.state.meta
        lost = [(loss_words(name), count) for name, count in meta.losses.items() if count > 0]
        out: list[Piece] = []
        if lost:
            words = f"{lost[0][0]} ({lost[0][1]:,})" + (f" and {len(lost) - 1} more" if len(lost) > 1 else "")
            out.append((f"incomplete: {words}", state.look.warning))
        else:
            out.append(("nothing lost", PLAIN))
        engine = _ENGINES.get(meta.engine) or shown(meta.engine)
        frequency = f"{meta.frequency_hz:,} Hz" if meta.frequency_hz else ""
        if engine or frequency:
            out.insert(0, (" ".join(part for part in (engine, frequency) if part), PLAIN))
        if meta.duration_ns:
            out.insert(1, (_steady(meta.duration_ns, state.running), PLAIN))
        total, samples = state.profile.total, state.profile.samples
        if state.unit_is_samples:
            out.append((quantity(total, "samples"), PLAIN))
        else:
            out.append((f"{samples:,} {'sample' if samples == 1 else 'samples'}", PLAIN))
            out.append((f"{duration(total)} on CPU", PLAIN))
        count, chosen = len(state.profile.threads), state.profile.shown_threads
        if chosen is not None:
            out.append((f"{len(chosen)} of {count} threads", state.look.strong))
        elif count > 1:
            out.append((f"{count} threads", PLAIN))
        return out


def _steady(ns: int, running: bool) -> str:
    """Whole seconds while it runs, or the line would change all the time."""
    return f"{ns // 1_000_000_000} s" if running and ns < 100e9 else duration(ns)


def emptiness(state: ViewState) -> list[str]:
    """Why there is nothing to see."""
    if state.profile.samples and state.profile.shown_threads is not None:
        return ["Nothing is left to show.", "No sample is of the threads that are chosen (T)."]
    if state.profile.samples:
        return ["Nothing is left to show."]
    if state.running:
        return ["No sample yet.", "The target was not on a CPU so far:", "it is idle, or waits for something."]
    if any(count > 0 for count in state.meta.losses.values()):
        return ["This profile holds no sample.", "Samples were lost: the picture would not be true."]
    return [
        "This profile holds no sample.",
        "The target was never seen on a CPU:",
        "it was idle, or it ended before sampling began.",
    ]


class Detail(Lines):
    """The function under the mouse or the selection: its name in full, and its shares."""

    def __init__(self, state: ViewState, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.state = state
        self.node: int | None = None
        """Of the tree that is shown."""
        self.below = ""
        """What the graph has beyond what is seen."""
        self.say = ""
        """Shown instead, while a search is typed."""

    def draw(self, width: int, height: int) -> list[list[Piece]]:
        state = self.state
        if self.say:
            return [[(cut(self.say, width), state.look.strong)]]
        node = self.node if self.node is not None else state.selected
        if node is None or node >= len(state.nodes):
            node = state.zoom
        nodes, whole = state.nodes, state.nodes.total[0]
        if not whole:
            return []
        share = nodes.total[node] / whole
        shares: list[Piece] = [(f"{percent(share)} ", state.look.strong)]
        own = nodes.self_value[node]
        amount = quantity(nodes.total[node], state.meta.unit)
        if node == 0:
            left = [("all  ", state.look.strong), (amount, PLAIN)]
        else:
            frame = state.function(node)
            place = shown(frame.module_name)
            if frame.file:
                place += f" {shown(frame.file)}" + (f":{frame.line}" if frame.line else "")
            left = [
                *shares,
                (f"{amount}, self {percent(own / whole)}  ", PLAIN),
                (f"{frame.kind.value} ", state.look.kind(frame.kind)),
                (f"{shown(frame.function_name)}  ", state.look.strong),
                (place, PLAIN),
            ]
        taken = cell_len(self.below) + 1 if self.below else 0
        line = clipped(left, width - taken)
        if self.below:
            used = sum(cell_len(text) for text, _ in line)
            line += [(" " * (width - used - taken + 1), PLAIN), (self.below, state.look.faint)]
        return [line]
