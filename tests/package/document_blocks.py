"""The blocks of code in the documents, and what stands above each: whether it is run, and if not why.

A block of `sh` or `python` is run by the tests (`<!-- run -->` above it), or is not, for a reason (`<!-- not run: WHY
-->`), or is a file that a later block uses (`<!-- file: NAME -->`). All are checked without being run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RUN_LANGUAGES = ("sh", "python")

_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>run|not run|file)(?:: (?P<what>[^\n]*?))? -->\n)?"
    r"^```(?P<language>[^\n]*)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_INDENTED = re.compile(r"(?<=\n\n)((?:    [^\n]*\n|\n(?=    ))+)")


@dataclass(frozen=True, slots=True)
class Block:
    document: str
    line: int
    language: str
    """Empty for a block that is only indented, or that names none."""
    code: str
    mark: str = ""
    """`run`, `not run`, `file`; empty: none."""
    what: str = ""
    """The reason, or the file's name."""

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks(path: Path) -> Iterator[Block]:
    """The fenced blocks of a document, then those that are only indented."""
    text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()

    def line(offset: int) -> int:
        return text.count("\n", 0, offset) + 1

    for found in _FENCE.finditer(text):
        mark, what = found["mark"] or "", found["what"] or ""
        yield Block(name, line(found.start("language")), found["language"], found["code"], mark, what)
    # As long as it was, so that lines keep their numbers.
    text = _FENCE.sub(lambda found: re.sub(r"[^\n]", "-", found[0]), text)
    for found in _INDENTED.finditer(text):
        yield Block(name, line(found.start()), "", re.sub(r"^    ", "", found[1], flags=re.MULTILINE))


BLOCKS = [block for path in DOCUMENTS if path.name != "CHANGELOG.md" for block in blocks(path)]
