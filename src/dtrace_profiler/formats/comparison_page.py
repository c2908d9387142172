"""Two profiles as one red and blue flame graph: the page of `html`, with what it is compared with beside its data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

from dtrace_profiler.compare.merged import BEFORE, merged
from dtrace_profiler.formats.html import write_page
from dtrace_profiler.formats.page_data import MAX_NODES, Columns, page_data
from dtrace_profiler.model.profile import Profile


def write(
    before: Profile, after: Profile, file: BinaryIO, *, names: tuple[str, str], warnings: Sequence[str] = ()
) -> None:
    """Writes UTF-8. `names`: of A and B. Raises `NotComparable` where the values have different units."""
    data = comparison_data(before, after, names=names, warnings=warnings)
    write_page(data, data["meta"]["title"], file)


def comparison_data(
    before: Profile,
    after: Profile,
    *,
    names: tuple[str, str],
    warnings: Sequence[str] = (),
    max_nodes: int = MAX_NODES,
) -> dict[str, Any]:
    """As `page_data`: `values` and `elided` are those of `after`; `before` has both of `before`, and `sides` the
    letters by which the page calls the two. There are no threads to choose from, and no times."""
    data = page_data(merged(before, after), title=f"{names[0]} → {names[1]}", max_nodes=max_nodes)
    parts = {name: _divided(data[name]) for name in ("values", "elided")}
    data["threads"] = data["threads"][:1]
    data["values"], data["elided"] = parts["values"][0], parts["elided"][0]
    data["before"] = {name: columns[1] for name, columns in parts.items()}
    data["sides"] = {"now": "B", "then": "A"}
    data["meta"]["notes"] = [
        f"A is {names[0]}, B is {names[1]}: a box is as wide as the mean of its shares of both. Red has grown from A"
        " to B, blue has shrunk, grey is within two standard errors.",
        "How it was taken, above, is told of B; what is incomplete, of both.",
        *warnings,
        *data["meta"]["notes"],
    ]
    return data


def _divided(columns: Columns) -> tuple[Columns, Columns]:
    """Those of the thread AFTER, and those of the thread BEFORE with its number instead."""
    out = []
    for wanted in (1 - BEFORE, BEFORE):
        rows = [row for row, thread in enumerate(columns["thread"]) if thread == wanted]
        part = {name: [column[row] for row in rows] for name, column in columns.items()}
        part["thread"] = [0] * len(rows)
        out.append(part)
    return out[0], out[1]
