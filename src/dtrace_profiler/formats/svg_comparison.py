"""Two profiles as one red and blue flame graph, as an SVG: the picture of `svg` with the colours of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO

from dtrace_profiler.compare.both_trees import BothTrees
from dtrace_profiler.formats.facts import percent, quantity
from dtrace_profiler.formats.palette import differences
from dtrace_profiler.formats.svg import LETTER, MARGIN, Picture
from dtrace_profiler.model.profile import Profile

_STEPS = 4
"""Shades of red and of blue: of a change by a quarter of the larger share to one from or to nothing."""


def write(
    before: Profile,
    after: Profile,
    file: BinaryIO,
    *,
    names: tuple[str, str],
    warnings: Sequence[str] = (),
    width: int = 1200,
) -> None:
    """Writes UTF-8. `names`: of A and B. Raises `NotComparable` where the values have different units."""
    both = BothTrees(before, after)
    notes = (f"A is {names[0]}, B is {names[1]}: boxes are as wide as the mean of both shares.", *warnings)
    profile = replace(both.profile, meta=replace(both.profile.meta, notes=notes))
    for part in _ComparedPicture(both, replace(after, meta=profile.meta), f"{names[0]} → {names[1]}", width).parts():
        file.write(part.encode())


class _ComparedPicture(Picture):
    def __init__(self, both: BothTrees, after: Profile, title: str, width: int) -> None:
        super().__init__(after, both.width, title, width)
        self.both = both

    def css(self, node: int) -> str:
        step = round(self.both.change(node) * _STEPS)
        return f"c{'m' if step > 0 else 'l' if step < 0 else 's'}{abs(step)}"

    def more_style(self) -> str:
        out = []
        for theme, colours in differences().items():
            rules = f".cs0 rect{{fill:{colours.same}}}"
            for letter, colour in (("m", colours.more), ("l", colours.less)):
                for step in range(1, _STEPS + 1):
                    fill = _mixed(colour, colours.same, 0.25 + 0.75 * step / _STEPS)
                    rules += f".c{letter}{step} rect{{fill:{fill}}}"
            out.append(rules if theme == "light" else f"@media(prefers-color-scheme:dark){{{rules}}}")
        return "".join(out)

    def legend(self, y: int) -> str:
        out = []
        x = MARGIN
        for css, text in (("cm4", "grew"), ("cl4", "shrank"), ("cs0", "within two standard errors")):
            out.append(
                f'<g class="{css}"><rect x="{x}" y="{y - 9}" width="10" height="10" rx="2"/></g>'
                f'<text class="soft" x="{x + 15}" y="{y}">{text}</text>'
            )
            x += 15 + int(len(text) * LETTER) + 18
        return "".join(out) + "\n"

    def numbers(self, node: int) -> list[str]:
        both, unit = self.both, self.profile.meta.unit
        shares, errors = both.shares(node), both.errors(node)
        values = both.before.total[node], both.after.total[node]
        out = [
            f"{letter} {percent(share)} ± {100 * error:.2f}, {quantity(value, unit)}"
            for letter, share, error, value in zip("AB", shares, errors, values, strict=True)
        ]
        if node:
            out.append(f"B − A {100 * (shares[1] - shares[0]):+.2f} percentage points".replace("-", "−"))
        return out


def _mixed(colour: str, ground: str, share: float) -> str:
    """Two colours, `#rrggbb` each: so much of the first one."""
    pairs = [(int(colour[at : at + 2], 16), int(ground[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(first * share + second * (1 - share)):02x}" for first, second in pairs)
