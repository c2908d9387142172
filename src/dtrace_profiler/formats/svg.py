"""The flame graph as an SVG: one file, whole as a static picture; in a browser it can be zoomed and searched.

The root is at the bottom. A box's name, place and numbers are its `<title>`, which browsers show on hovering. Boxes
too narrow to see are left out, and the picture says how many and how much of the profile that is.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import BinaryIO
from xml.sax.saxutils import escape

from dtrace_profiler.formats.assets import without_comments
from dtrace_profiler.formats.contents import present
from dtrace_profiler.formats.facts import facts, losses, percent, quantity, title_of
from dtrace_profiler.formats.names import shown
from dtrace_profiler.formats.palette import KINDS, palettes, shade_of
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.tree import CallTree

ROW = 17
LETTER = 6.63
"""Width of a letter in the picture's 11 px monospaced fonts (0.602 em)."""
NARROWEST = 0.3
"""Boxes narrower than this many pixels are left out."""
MOST_BOXES = 15_000
"""About 5 MB. With more, browsers take seconds to open the picture: the widest stay."""
MARGIN = 10
MINIMUM_WIDTH = 320


def dropped(profile: Profile) -> list[str]:
    return present(profile, "times", "threads", "addresses")


def write(
    profile: Profile,
    file: BinaryIO,
    *,
    title: str | None = None,
    width: int = 1200,
    most_boxes: int | None = None,
    static: bool = False,
) -> None:
    """Writes UTF-8. `width` in pixels, at least 320. `static`: without script and without what shows on hovering."""
    most = MOST_BOXES if most_boxes is None else most_boxes
    tree = CallTree.from_profile(profile)
    picture = Picture(profile, tree, title, max(width, MINIMUM_WIDTH), most_boxes=most, static=static)
    for part in picture.parts():
        file.write(part.encode())


@dataclass(frozen=True, slots=True)
class _Box:
    node: int
    depth: int
    x: float
    width: float


class Picture:
    def __init__(
        self,
        profile: Profile,
        tree: CallTree,
        title: str | None,
        width: int,
        *,
        most_boxes: int = MOST_BOXES,
        static: bool = False,
    ) -> None:
        """The tree is of the profile; boxes are as wide as its totals."""
        self.profile = profile
        self.static = static
        self.title = title_of(profile, title)
        self.width = width
        self.inner = width - 2 * MARGIN
        self.tree = tree
        self.whole = self.tree.total[0]
        self.boxes = list(_layout(self.tree, self.inner, most_boxes)) if self.whole > 0 else []
        self.rows = max((box.depth for box in self.boxes), default=0) + 1

    def parts(self) -> Iterator[str]:
        lines = self._lines()
        top = 34 + 15 * len(lines) + 22
        bottom = top + self.rows * ROW
        height = bottom + 28
        yield (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{height}"'
            f' viewBox="0 0 {self.width} {height}">\n'
            f"<title>{escape(self.title)} · flame graph</title>\n<style>{_style()}{self.more_style()}</style>\n"
            '<rect class="ground" width="100%" height="100%"/>\n'
            f'<text class="title" x="{MARGIN}" y="24">{escape(_fitted(self.title, self.inner - 330, 9))}</text>\n'
        )
        for at, (kind, line) in enumerate(lines):
            yield (
                f'<text class="{kind}" x="{MARGIN}" y="{42 + 15 * at}">'
                f"{escape(_fitted(line, self.inner, LETTER))}</text>\n"
            )
        yield self.legend(top - 14)
        if not self.boxes:
            yield f'<text class="title" x="{MARGIN}" y="{top + 12}">This profile holds no sample.</text>\n'
        yield (
            f'<g id="frames" transform="translate({MARGIN} 0)" data-width="{self.inner}" data-letter="{LETTER}">\n'
        )
        for box in self.boxes:
            yield self._box(box, bottom)
        left_out = escape(self._pruned())
        yield f'</g>\n<text id="details" class="soft" x="{MARGIN}" y="{height - 10}">{left_out}</text>\n'
        if self.boxes and not self.static:
            yield (
                f'<g id="tools" transform="translate({MARGIN} 9)">'
                f'<text id="reset" class="link" x="{self.inner - 215}" y="16" text-anchor="end" tabindex="0"'
                ' style="display:none">Reset zoom</text>'
                f'<text id="found" class="found" x="{self.inner - 310}" y="16" text-anchor="end"></text></g>\n'
                f"<script><![CDATA[\n{_script()}]]></script>\n"
            )
        yield "</svg>\n"

    def _lines(self) -> list[tuple[str, str]]:
        out = [("soft", " · ".join(facts(self.profile)))]
        if lost := losses(self.profile):
            out.append(("lost", f"Incomplete: {' · '.join(lost)}"))
        out += [("soft", shown(note)) for note in list(self.profile.meta.notes)[:4]]
        return out

    def _pruned(self) -> str:
        left_out = len(self.tree) - len(self.boxes)
        if left_out <= 0 or not self.boxes:
            return ""
        drawn = bytearray(len(self.tree))
        for box in self.boxes:
            drawn[box.node] = 1
        value = sum(own for own, there in zip(self.tree.self_value, drawn, strict=True) if not there)
        return (
            f"{left_out:,} boxes are too narrow to draw; {percent(value / self.whole)} of the profile ends in them."
        )

    def legend(self, y: int) -> str:
        present = {self.tree.frames[self.tree.frame[box.node]].kind for box in self.boxes if box.node}
        out = []
        x = MARGIN
        for kind in KINDS:
            if kind in present:
                name = "Python" if kind == "python" else str(kind)
                out.append(
                    f'<g class="{kind[0]}2"><rect x="{x}" y="{y - 9}" width="10" height="10" rx="2"/></g>'
                    f'<text class="soft" x="{x + 15}" y="{y}">{name}</text>'
                )
                x += 15 + int(len(name) * LETTER) + 18
        return "".join(out) + "\n"

    def _box(self, box: _Box, bottom: int) -> str:
        tree = self.tree
        y = bottom - (box.depth + 1) * ROW
        if box.node:
            frame = tree.frames[tree.frame[box.node]]
            name = shown(frame.function_name)
            place = f"{shown(frame.file)}:{frame.line}" if frame.file and frame.line else shown(frame.file)
            about = [name, f"{frame.kind} {shown(frame.module_name)}".rstrip(), place]
        else:
            name = "all"
            about = [name, "", ""]
        about += self.numbers(box.node)
        label = _fitted(name, box.width - 6, LETTER)
        text = f'<text x="{box.x + 3:.2f}" y="{y + 12.5}">{escape(label)}</text>' if label else ""
        hovering = "" if self.static else f"<title>{escape(chr(10).join(about))}</title>"
        return (
            f'<g class="{self.css(box.node) if box.node else "root"}">{hovering}'
            f'<rect x="{box.x:.2f}" y="{y}" width="{box.width:.2f}" height="{ROW - 1}"/>{text}</g>\n'
        )

    def css(self, node: int) -> str:
        """The class of a box that is not the root's."""
        frame = self.tree.frames[self.tree.frame[node]]
        return f"{frame.kind[0]}{shade_of(frame.module_name, frame.function_name)}"

    def more_style(self) -> str:
        return ""

    def numbers(self, node: int) -> list[str]:
        """Lines of a box's title."""
        total, own = self.tree.total[node], self.tree.self_value[node]
        unit = self.profile.meta.unit
        out = [f"Total {percent(total / self.whole)}{self._error(total)}, {quantity(total, unit)}"]
        if node:
            out.append(f"Self {percent(own / self.whole)}{self._error(own)}, {quantity(own, unit)}")
        return out

    def _error(self, value: int) -> str:
        """One standard error in percentage points. Only where a sample counts 1: for others see model/top.py."""
        if self.profile.meta.unit != "samples":
            return ""
        share = value / self.whole
        return f" ± {100 * sqrt(max(0.0, share * (1 - share)) / self.whole):.2f}"


def _layout(tree: CallTree, width: int, most_boxes: int) -> Iterator[_Box]:
    """Row by row from the root, from left to right; each before its callees."""
    whole = tree.total[0]
    least, of_least = _least(tree.total, NARROWEST * whole / width, most_boxes)
    if whole == least:
        of_least -= 1
    row = [_Box(0, 0, 0.0, float(width))]
    while row:
        yield from row
        above, row = row, []
        for box in above:
            x = box.x
            for child in tree.children(box.node):
                wide = tree.total[child] * width / whole
                if tree.total[child] > least or (tree.total[child] == least and of_least > 0):
                    if tree.total[child] == least:
                        of_least -= 1
                    row.append(_Box(child, box.depth + 1, x, wide))
                x += wide


def _least(totals: array[int], narrowest: float, most_boxes: int) -> tuple[int, int]:
    """The smallest total that is drawn, and how many boxes of exactly that total."""
    wide = sorted((total for total in totals if total >= narrowest and total > 0), reverse=True)
    if len(wide) <= most_boxes:
        return (wide[-1] if wide else 0), len(wide)
    least = wide[most_boxes - 1]
    return least, sum(1 for total in wide[:most_boxes] if total == least)


def _fitted(name: str, room: float, letter: float) -> str:
    """As much of a name as fits, with an ellipsis where not all does; nothing where not even three letters do."""
    most = int(room / letter)
    if most < 3:
        return ""
    used = 0
    for at, character in enumerate(name):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > most:
            return name[: max(1, at - 1)] + "…"
    return name


def _script() -> str:
    script = without_comments("svg.js")
    if "]]>" in script:
        raise ValueError("svg.js would end its element")
    return script


def _style() -> str:
    out = [
        "text{font:11px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace}",
        "text{pointer-events:none;white-space:pre}",
        "text.title{font:600 15px system-ui,sans-serif}text.found{font-weight:600}",
        "text.link{pointer-events:auto}#frames g{cursor:pointer}#frames g:hover rect{stroke-width:1}",
        "#frames rect{rx:1.5px}#frames .caller{opacity:.55}#frames.searched g:not(.hit) rect{opacity:.3}",
        "input{box-sizing:border-box;width:200px;height:24px;padding:0 8px;border-radius:6px}",
        "input{font:12px system-ui,sans-serif}",
    ]
    for theme in ("light", "dark"):
        colours = palettes()[theme]
        soft, lost, line = (
            ("#566373", "#b3261e", "#dce1e7") if theme == "light" else ("#9aa6b5", "#ffb4ab", "#2d333d")
        )
        rules = [
            f".ground{{fill:{colours.ground}}}text{{fill:{colours.text}}}.soft{{fill:{soft}}}.lost{{fill:{lost}}}",
            f".found{{fill:{colours.match}}}.link{{fill:{soft}}}#frames .hit rect{{fill:{colours.match}}}",
            f"#frames .hit text{{fill:{colours.match_text}}}#frames g:hover rect{{stroke:{colours.text}}}",
            f"input{{background:{colours.ground};color:{colours.text};border:1px solid {line}}}",
            f".root{{fill:{colours.elided}}}.root text{{fill:{colours.text}}}",
        ]
        for kind in KINDS:
            rules += [f".{kind[0]}{at} rect{{fill:{fill}}}" for at, fill in enumerate(colours.shades[kind])]
        out.append("".join(rules) if theme == "light" else f"@media(prefers-color-scheme:dark){{{''.join(rules)}}}")
    return "".join(out)
