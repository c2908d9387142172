"""Which functions, and which lines of them, the time went to."""

from __future__ import annotations

from typing import Literal

from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.top import TopFunction, top_functions
from dtrace_profiler.query.answer import DEFAULT_LIMIT, Row, answer, function, limited
from dtrace_profiler.query.matching import find_functions
from dtrace_profiler.query.selection import Selection, select

Order = Literal["self", "total"]


def functions(
    profile: Profile, selection: Selection | None = None, *, order: Order = "self", limit: int | None = DEFAULT_LIMIT
) -> Row:
    """Rows: a function, its own value and its total (with what it called), each with share and error."""
    selected = select(profile, selection)
    part = selected.profile
    everything = part.total
    found = top_functions(part, order=order) if everything else []
    rows = [{**function(row.frame), **_values(row, everything)} for row in found]
    return answer("functions", selected, order=order, **limited(rows, limit, "self_value"))


def lines(
    profile: Profile,
    name: str | None = None,
    selection: Selection | None = None,
    *,
    order: Order = "self",
    limit: int | None = DEFAULT_LIMIT,
) -> Row:
    """Rows: a line, of the function `name` or of any, with its own value and its total. A line that is not known is
    None: all of a function's samples at lines that are not known are one row."""
    selected = select(profile, selection)
    part = selected.profile
    everything = part.total
    found = top_functions(part, by="line", order=order) if everything else []
    of = None
    if name is not None:
        matched = find_functions(profile, name)
        of = [function(matched.merged.frames[index]) for index in sorted(matched.chosen)]
        wanted = {
            frame._replace(address=0)
            for frame, index in zip(profile.frames, matched.merged.of_frame, strict=True)
            if index in matched.chosen
        }
        found = [row for row in found if row.frame in wanted]
    rows = [
        {**function(row.frame), "line": row.frame.line or None, **_values(row, everything)}
        for row in found
        if name is not None or row.frame.line
    ]
    without = sum(row.self_value for row in found if not row.frame.line)
    return answer(
        "lines", selected, order=order, functions=of, without_line_value=without, **limited(rows, limit, "self_value")
    )


def _values(row: TopFunction, everything: int) -> Row:
    return {
        "self_value": row.self_value,
        "self_share": round(row.self_value / everything, 6),
        "self_share_error": round(row.self_error / everything, 6),
        "total_value": row.total,
        "total_share": round(row.total / everything, 6),
        "total_share_error": round(row.total_error / everything, 6),
    }
