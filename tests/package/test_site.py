"""The documentation site: what can be told before it is built. `make docs` builds it, and checks its pages."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from dtrace_profiler.record import program
from dtrace_profiler.record.program import ProgramRequest, d_program, options
from dtrace_profiler.record.python_walk import PythonProcess

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CONFIGURATION = (ROOT / "mkdocs.yml").read_text()
MOST_BYTES_OF_PICTURES = 2_000_000


def test_every_page_stands_once_in_the_navigation() -> None:
    navigation = CONFIGURATION.partition("\nnav:\n")[2].partition("\n\n")[0]
    named = re.findall(r"^ +- (?:[^#\n]*: )?([\w/.-]+\.md)$", navigation, re.MULTILINE)
    assert sorted(named) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def test_pictures_are_there_used_and_small() -> None:
    used = {name for path in DOCS.rglob("*.md") for name in re.findall(r"\(\S*?images/(\S+?)\)", path.read_text())}
    there = {path.name: path.stat().st_size for path in (DOCS / "images").iterdir()}
    assert used == set(there)
    assert sum(there.values()) < MOST_BYTES_OF_PICTURES


def test_pictures_have_a_text_for_who_does_not_see_them() -> None:
    for path in DOCS.rglob("*.md"):
        for text in re.findall(r"!\[(.*?)\]\(", path.read_text()):
            assert len(text) > 20, f"{path.name}: {text!r} tells nothing"


@pytest.mark.parametrize("path", sorted((DOCS / "images").glob("*.png")), ids=lambda path: path.name)
def test_a_picture_has_few_colours(path: Path) -> None:
    """A palette, as `scripts/make-pictures` writes it: a third of the size."""
    head = path.read_bytes()[:33]
    width, height, _, colour_type = struct.unpack(">IIBB", head[16:26])
    assert width * height < 4_000_000
    assert colour_type == 3


def test_the_d_program_is_explained_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/d-program-explained.md holds its whole text, in order; short where the page says so."""
    monkeypatch.setattr(program, "BATCH_SAMPLES", 2)
    python = PythonProcess(
        pid=4711, slot=808, frame=72, code_type=11895584, code_shape=8934207549568, generation=12247536
    )
    request = ProgramRequest(
        frequency_hz=99,
        pids=(4711,),
        children=True,
        kernel=True,
        walk_steps=2,
        control=1_700_000_000,
        python=(python,),
    )
    pragmas = "".join(f"#pragma D option {option}\n" for option in ("quiet", *options(request)))
    page = (DOCS / "d-program-explained.md").read_text()
    shown = "\n".join(re.findall(r"^```d\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    assert shown.splitlines() == f"{pragmas}\n{d_program(request)}".splitlines()
