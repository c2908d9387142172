"""The colours keep their promises: letters can be read on them, and kinds can be told apart by everybody."""

from __future__ import annotations

import itertools
import math

import pytest

from dtrace_profiler.formats.palette import KINDS, Palette, palettes, shade_of

Colour = tuple[float, float, float]

# Machado, Oliveira, Fernandes 2009: "A Physiologically-based Model for Simulation of Color Vision Deficiency",
# severity 1.0, on linear RGB.
VISIONS: dict[str, list[Colour]] = {
    "normal": [(1, 0, 0), (0, 1, 0), (0, 0, 1)],
    "protan": [(0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)],
    "deutan": [(0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)],
    "tritan": [(1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)],
}


def linear(colour: str) -> Colour:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return r, g, b


def contrast(one: str, other: str) -> float:
    """As WCAG defines it."""
    light, dark = sorted(
        (sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(c), strict=True)) for c in (one, other)),
        reverse=True,
    )
    return (light + 0.05) / (dark + 0.05)


def oklab(colour: Colour) -> Colour:
    r, g, b = (max(0.0, c) for c in colour)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def seen(colour: str, vision: str) -> Colour:
    light = linear(colour)
    r, g, b = (sum(w * c for w, c in zip(row, light, strict=True)) for row in VISIONS[vision])
    return oklab((r, g, b))


@pytest.mark.parametrize("palette", palettes().values(), ids=palettes())
def test_letters_can_be_read_on_every_shade(palette: Palette) -> None:
    for kind in KINDS:
        assert len(palette.shades[kind]) == 6
        assert min(contrast(shade, palette.text) for shade in palette.shades[kind]) >= 4.5
    assert contrast(palette.match, palette.match_text) >= 7
    assert contrast(palette.ground, palette.text) >= 12


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("palette", palettes().values(), ids=palettes())
def test_kinds_can_be_told_apart(palette: Palette, vision: str) -> None:
    """0.02 in Oklab is about a just noticeable difference: any two shades of two kinds are two of them apart."""
    for one, other in itertools.combinations(KINDS, 2):
        assert (
            min(
                math.dist(seen(a, vision), seen(b, vision))
                for a, b in itertools.product(palette.shades[one], palette.shades[other])
            )
            > 0.045
        ), f"{one} and {other}"


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("palette", palettes().values(), ids=palettes())
def test_a_match_stands_out(palette: Palette, vision: str) -> None:
    for shade in itertools.chain.from_iterable(palette.shades.values()):
        assert math.dist(seen(palette.match, vision), seen(shade, vision)) > 0.1


def test_a_function_keeps_its_shade() -> None:
    assert [shade_of("json", name) for name in ("dumps", "loads", "dump", "load")] == [
        shade_of("json", name) for name in ("dumps", "loads", "dump", "load")
    ]
    assert {shade_of("module", f"function_{i}") for i in range(100)} == set(range(6))
