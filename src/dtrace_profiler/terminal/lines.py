"""A widget that is lines of text, of which only what has changed is sent to the terminal."""

from __future__ import annotations

from rich.cells import get_character_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from dtrace_profiler.terminal.cells import cut

Piece = tuple[str, Style]
"""Text of known width, without line breaks or control characters."""
PLAIN = Style()


class Lines(Widget):
    """Subclasses give `draw`; whoever changes what they show calls `redraw`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._drawn: list[Strip] = []

    def draw(self, width: int, height: int) -> list[list[Piece]]:
        """At most `height` lines of at most `width` cells."""
        raise NotImplementedError

    def redraw(self) -> None:
        width, height = self.size
        if not width or not height:
            return
        lines = [self._strip(pieces, width) for pieces in self.draw(width, height)[:height]]
        lines += [Strip.blank(width)] * (height - len(lines))
        before, self._drawn = self._drawn, lines
        if len(before) != height or (before and before[0].cell_length != width):
            self.refresh()
            return
        changed = [
            Region(span[0], y, span[1] - span[0], 1)
            for y, (old, new) in enumerate(zip(before, lines, strict=True))
            if old != new and (span := difference(old, new)) is not None
        ]
        if changed:
            self.refresh(*changed)

    def on_resize(self) -> None:
        self._drawn = []
        self.redraw()

    def render_line(self, y: int) -> Strip:
        if y < len(self._drawn):
            return self._drawn[y]
        return Strip.blank(self.size.width)

    def _strip(self, pieces: list[Piece], width: int) -> Strip:
        return Strip([Segment(text, style) for text, style in pieces if text]).adjust_cell_length(width)


def difference(old: Strip, new: Strip) -> tuple[int, int] | None:
    """The cells, from and up to, outside of which two lines of one width are the same; None where they are equal.

    One span a line: Textual 8 sends a widget's line from its left end up to the end of each span.
    """
    cells = enumerate(zip(_cells(old), _cells(new), strict=True))
    differ = [cell for cell, (one, other) in cells if one != other]
    return (differ[0], differ[-1] + 1) if differ else None


def _cells(strip: Strip) -> list[tuple[str, Style | None, int]]:
    """Character, style, and which of the character's cells it is: one entry a cell."""
    out: list[tuple[str, Style | None, int]] = []
    for text, style, _ in strip:
        for character in text:
            width = get_character_cell_size(character)
            if width:
                out.extend((character, style, part) for part in range(width))
            elif out:  # a mark on the character before
                out[-1] = out[-1][0] + character, out[-1][1], out[-1][2]
    return out


def clipped(pieces: list[Piece], width: int) -> list[Piece]:
    out: list[Piece] = []
    for text, style in pieces:
        length = Segment(text).cell_length
        if length > width:
            out.append((cut(text, width), style))
            break
        out.append((text, style))
        width -= length
    return out
