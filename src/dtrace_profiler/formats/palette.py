"""The colours of frames, read from the one place where they stand: assets/palette.js."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dtrace_profiler.formats.assets import read_asset
from dtrace_profiler.model.frame import FrameKind

KINDS = (FrameKind.PYTHON, FrameKind.NATIVE, FrameKind.INLINED, FrameKind.KERNEL, FrameKind.UNKNOWN)
"""In the order of legends."""


@dataclass(frozen=True, slots=True)
class Palette:
    """`#rrggbb` each; `shades` six a kind."""

    text: str
    ground: str
    elided: str
    match: str
    match_text: str
    shades: Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Differences:
    """`#rrggbb` each, of two profiles that are compared."""

    same: str
    more: str
    less: str


@functools.cache
def differences() -> Mapping[str, Differences]:
    """`light` and `dark`."""
    source = read_asset("palette.js")
    begin = source.index("DIFFERENCES = ") + len("DIFFERENCES = ")
    text = source[begin : source.index("\n};", begin) + 2]
    # Names without quotes, and a comma behind the last one: JavaScript, but not yet JSON.
    parsed = json.loads(re.sub(r",(\s*})", r"\1", re.sub(r"(\w+):", r'"\1":', text)))
    return {theme: Differences(**colours) for theme, colours in parsed.items()}


@functools.cache
def palettes() -> Mapping[str, Palette]:
    """`light` and `dark`."""
    source = read_asset("palette.js")
    begin = source.index("PALETTES = ") + len("PALETTES = ")
    parsed = json.loads(source[begin : source.index("\n};", begin) + 2])
    return {theme: Palette(**colours) for theme, colours in parsed.items()}


def shade_of(module: str, name: str, shades: int = 6) -> int:
    """Which shade a function has; the same as `shadeOf` in palette.js (FNV-1a over UTF-16 units)."""
    value = 0x811C9DC5
    units = f"{module}\0{name}".encode("utf-16-le", "surrogatepass")
    for at in range(0, len(units), 2):
        value = ((value ^ (units[at] | units[at + 1] << 8)) * 0x01000193) & 0xFFFFFFFF
    return (value ^ (value >> 15)) % shades
