"""The top functions as text for a terminal. Write only."""

from __future__ import annotations

from typing import BinaryIO, Literal

from dtrace_profiler.formats.contents import present
from dtrace_profiler.formats.names import shown
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.top import TopFunction, top_functions


def format_top(
    profile: Profile, limit: int = 20, width: int = 100, *, order: Literal["self", "total"] = "self"
) -> str:
    """Functions by self value, or by total: both as shares with their standard errors, kind and place."""
    everything = profile.total
    rows = top_functions(profile, order=order, limit=limit) if everything else []
    lines = [f"{'self':>7} {'±':>5} {'total':>7} {'±':>5}  {'kind':<7} function"]
    for row in rows:
        place = f"{_name(row)}  {_place(row)}".rstrip()
        room = max(20, width - 37)
        if len(place) > room:
            place = place[: room - 1] + "…"
        lines.append(
            f"{row.self_value / everything:>7.1%} {100 * row.self_error / everything:>5.1f}"
            f" {row.total / everything:>7.1%} {100 * row.total_error / everything:>5.1f}  {row.frame.kind:<7} {place}"
        )
    return "\n".join(lines) + "\n"


def _name(row: TopFunction) -> str:
    return shown(row.frame.function_name)


def _place(row: TopFunction) -> str:
    frame = row.frame
    if frame.file and frame.first_line:
        return f"{shown(frame.module_name)} ({shown(frame.file.rpartition('/')[2])}:{frame.first_line})"
    return shown(frame.module_name)


def dropped(profile: Profile) -> list[str]:
    return present(
        profile,
        "times",
        "threads",
        "stacks",
        "addresses",
        "lines within functions",
        "what was lost",
        "when and how it was taken",
        "notes",
    )


def write(profile: Profile, file: BinaryIO) -> None:
    file.write(format_top(profile, 1 << 30, 160).encode("utf-8", "replace"))
