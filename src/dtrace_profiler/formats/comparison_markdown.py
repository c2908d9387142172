"""A comparison as Markdown, for the description of a pull request. Names are anybody's: each is a span of code."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dtrace_profiler.compare import Comparison, ComparisonRow
from dtrace_profiler.formats.comparison_text import cells, heading, side_text, verdict
from dtrace_profiler.formats.names import shown


def code(name: str) -> str:
    """A name as a span of code in a table: no text in it means anything to Markdown."""
    text = shown(name)
    if "|" in text and "\\" in text:
        # In a table `\\|` is a backslash and the end of the cell. References mean only themselves.
        return f"<code>{re.sub(r'[^0-9A-Za-z]', lambda match: f'&#{ord(match[0])};', text)}</code>"
    text = text.replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    room = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{room}{text}{room}{fence}"


def plain(text: str) -> str:
    """A sentence in which nothing means anything to Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>|#&@~])", r"\\\1", shown(text))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> list[str]:
    """Lines. All columns but that one (from 0) stand on the right."""
    bars = [":---" if column == left else "---:" for column in range(len(head))]
    return [f"| {' | '.join(line)} |" for line in (head, bars, *rows)]


def write_markdown(comparison: Comparison, rows: Sequence[ComparisonRow], names: tuple[str, str]) -> str:
    """`names`: of A and B."""
    out = [f"**{verdict(comparison)}**", ""]
    out += [
        f"- {letter}: {code(name)}, {plain(side_text(side))}"
        for letter, name, side in zip("AB", names, (comparison.before, comparison.after), strict=True)
    ]
    out += [f"- ⚠️ {plain(text)}" for text in comparison.warnings]
    out += ["", f"{heading(comparison)}.", ""]
    every = [] if comparison.whole is None else [comparison.whole]
    lines = []
    for row in [*every, *rows]:
        text = cells(row, comparison.quantity)
        change = f"**{text.change}**" if row.beyond_noise else text.change
        name = code(row.name) if row.name else "all"
        lines.append((name, text.before, text.after, change, text.interval, text.p_value))
    head = (comparison.by, "A", "B", "change", f"{100 * comparison.confidence:g} % interval", "adj. p")
    out += table(head, lines, left=0)
    left = len(comparison.rows) - len(rows)
    if left > 0:
        out += ["", f"… and {left:,} more."]
    out += ["", "Bold: changed by more than noise. The p-value is adjusted for all rows."]
    return "\n".join(out) + "\n"
