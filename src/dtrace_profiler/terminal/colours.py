"""How boxes and words look: in as many colours as the terminal has, by kind of frame, and without colour too.

What is selected is reversed and what was found underlined wherever it is, so that neither needs a colour to be seen.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.color import Color, ColorSystem
from rich.style import Style

from dtrace_profiler.formats.palette import Palette, palettes, shade_of
from dtrace_profiler.model.frame import FrameKind, StackFrame

TRUE_COLOUR, MANY, FEW, NONE = 1 << 24, 256, 16, 0

_WITHOUT = {"", "dumb", "unknown", "vt52", "vt100", "vt102", "vt220", "vt320"}

_NAMED = {
    FrameKind.PYTHON: ("bright_white", "blue"),
    FrameKind.NATIVE: ("black", "yellow"),
    FrameKind.INLINED: ("black", "green"),
    FrameKind.KERNEL: ("bright_white", "magenta"),
    FrameKind.UNKNOWN: ("black", "white"),
}
"""Text and box with 16 colours."""


def colours_of(environ: Mapping[str, str]) -> int:
    """How many colours a terminal has: 2**24, 256, 16 or 0."""
    term = environ.get("TERM", "").lower()
    if environ.get("NO_COLOR") or term in _WITHOUT or term.endswith(("-m", "-mono")):
        return NONE
    if environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit"):
        return TRUE_COLOUR
    return MANY if "256color" in term or term.endswith(("kitty", "direct")) else FEW


def mixed(colour: str, ground: str, share: float) -> str:
    """`#rrggbb` each; `share` of the first, 0 to 1."""
    pairs = [(int(colour[at : at + 2], 16), int(ground[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(one * share + other * (1 - share)):02x}" for one, other in pairs)


class Look:
    """`theme`: `dark` or `light`."""

    def __init__(self, colours: int, theme: str = "dark") -> None:
        self.colours = colours
        self.theme = theme
        self._palette: Palette = palettes()[theme]
        self._made: dict[tuple[str, int, bool, bool, bool], Style] = {}
        self._shades: dict[tuple[str, str], int] = {}
        self.fill = " " if colours else "·"
        """What a box is filled with: without colour it would not be seen where it ends."""
        self.faint = Style(dim=True)
        self.strong = Style(bold=True)
        self.bar = Style(reverse=True)
        self.warning = Style(bold=True, color="yellow" if theme == "dark" else "red") if colours else Style(bold=True)
        self.elided = self._colours(mixed(self._palette.text, self._palette.elided, 0.5), self._palette.elided)

    def frame(self, frame: StackFrame, *, selected: bool, matched: bool, searching: bool) -> Style:
        """Of the box of a function."""
        place = frame.module_name, frame.function_name
        shade = self._shades.get(place)
        if shade is None:
            shade = self._shades[place] = shade_of(*place)
        key = frame.kind, shade, selected, matched, searching
        style = self._made.get(key)
        if style is None:
            style = self._made[key] = self._frame(frame.kind, shade, selected, matched, searching)
        return style

    def edge(self, style: Style) -> Style:
        """Of the line at a box's left side."""
        if self.colours < MANY:
            return style
        return style + self._colours(self._palette.ground, None) if not style.reverse else style

    def kind(self, kind: FrameKind) -> Style:
        """Of the mark before a function of this kind."""
        if not self.colours:
            return Style()
        if self.colours == FEW:
            return Style(color=_NAMED[kind][1])
        # Between the dark and the light shade: to be read on either ground, as we don't know which the terminal has.
        dark, light = (palettes()[theme].shades[kind.value][4] for theme in ("dark", "light"))
        return self._colours(mixed(light, dark, 0.6), None)

    def _frame(self, kind: FrameKind, shade: int, selected: bool, matched: bool, searching: bool) -> Style:
        if self.colours == NONE:
            return Style(reverse=selected, underline=matched, bold=matched or selected)
        if self.colours == FEW:
            text, box = ("black", "bright_yellow") if matched else _NAMED[kind]
            return Style(color=text, bgcolor=box, reverse=selected, underline=matched, bold=selected)
        palette = self._palette
        text, box = palette.text, palette.shades[kind.value][shade]
        if matched:
            text, box = palette.match_text, palette.match
        elif searching:
            text, box = mixed(text, palette.ground, 0.7), mixed(box, palette.ground, 0.45)
        if selected:
            box = mixed(box, palette.ground, 0.8)
        return self._colours(text, box) + Style(reverse=selected, underline=matched, bold=selected or matched)

    def _colours(self, text: str, box: str | None) -> Style:
        if self.colours < MANY:
            return Style()
        return Style.from_color(self._colour(text), None if box is None else self._colour(box))

    def _colour(self, text: str) -> Color:
        colour = Color.parse(text)
        return colour if self.colours == TRUE_COLOUR else colour.downgrade(ColorSystem.EIGHT_BIT)
