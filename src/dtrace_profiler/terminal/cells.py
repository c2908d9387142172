"""Text in cells of a terminal: wide characters take two, and nothing that isn't text reaches it."""

from __future__ import annotations

from rich.cells import cell_len, get_character_cell_size


def fit(text: str, width: int, fill: str = " ") -> str:
    """Exactly `width` cells: cut with an ellipsis, or filled up. `text` went through `formats.names.shown`."""
    if width <= 0:
        return ""
    used = cell_len(text)
    if used > width:
        text = cut(text, width)
        used = cell_len(text)
    return text + fill * (width - used)


def cut(text: str, width: int) -> str:
    """At most `width` cells, the last of them an ellipsis where something is missing."""
    if cell_len(text) <= width:
        return text
    room = width - 1
    for place, character in enumerate(text):
        room -= get_character_cell_size(character)
        if room < 0:
            return text[:place] + "…" if width > 0 else ""
    return text
