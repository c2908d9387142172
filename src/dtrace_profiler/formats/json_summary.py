"""What a profile says in numbers, as JSON for scripts and CI. Write only; docs/formats.md has every field.

`version` grows when a field's meaning changes or a field goes; new fields may come without that.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO

from dtrace_profiler._version import __version__
from dtrace_profiler.formats.contents import present
from dtrace_profiler.model.frame import FrameKind
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.top import TopFunction, top_functions

FORMAT = "dtrace-profiler summary"
VERSION = 1
MOST_FUNCTIONS = 100
"""With the most own time, and as many with the most time in all: often the same."""


def dropped(profile: Profile) -> list[str]:
    return present(profile, "times", "stacks", "addresses", "lines within functions")


def write(profile: Profile, file: BinaryIO) -> None:
    file.write(json.dumps(_summary(profile), indent=1, allow_nan=False).encode("ascii") + b"\n")


def _summary(profile: Profile) -> dict[str, Any]:
    meta = profile.meta
    total = profile.total
    rows, count = _functions(profile)
    return {
        "format": FORMAT,
        "version": VERSION,
        "exporter": f"dtrace-profiler@{__version__}",
        "engine": meta.engine,
        "target": meta.target,
        "system": meta.system,
        "versions": dict(meta.versions),
        "start_ns": meta.start_ns,
        "duration_ns": meta.duration_ns,
        "frequency_hz": meta.frequency_hz,
        "unit": meta.unit,
        "total": total,
        "samples": total if meta.unit == "samples" else len(profile),
        "cpu_time_ns": _cpu_time(profile, total),
        "losses": dict(meta.losses),
        "notes": list(meta.notes),
        "kinds": _kinds(profile, total),
        "threads": _threads(profile, total),
        "function_count": count,
        "functions": [_function(row, total) for row in rows],
    }


def _cpu_time(profile: Profile, total: int) -> int | None:
    """None where it isn't known."""
    if profile.meta.unit == "nanoseconds":
        return total
    return total * 1_000_000_000 // profile.meta.frequency_hz if profile.meta.frequency_hz else None


def _share(value: int, total: int) -> float:
    return round(value / total, 6) if total else 0.0


def _kinds(profile: Profile, total: int) -> dict[str, dict[str, Any]]:
    """By the function that ran."""
    values = dict.fromkeys(FrameKind, 0)
    for node, value in profile.stack_values().items():
        values[profile.frames[profile.frame[node]].kind] += value
    return {str(kind): {"self": value, "self_share": _share(value, total)} for kind, value in values.items()}


def _threads(profile: Profile, total: int) -> list[dict[str, Any]]:
    """All, the busiest first."""
    values = [0] * len(profile.threads)
    for index, value in zip(profile.thread, profile.value, strict=True):
        values[index] += value
    order = sorted(range(len(values)), key=lambda index: (-values[index], index))
    return [
        {
            "process_id": profile.threads[index].process_id,
            "thread_id": profile.threads[index].thread_id,
            "name": profile.threads[index].name,
            "labels": dict(profile.threads[index].labels),
            "value": values[index],
            "share": _share(values[index], total),
        }
        for index in order
    ]


def _functions(profile: Profile) -> tuple[list[TopFunction], int]:
    """The foremost ones by own value and by total, in the order of their own; and how many there are in all."""
    rows = top_functions(profile) if profile.total else []
    by_total = sorted(rows, key=lambda row: (-row.total, -row.self_value, row.frame))
    chosen = {row.frame for row in [*rows[:MOST_FUNCTIONS], *by_total[:MOST_FUNCTIONS]]}
    return [row for row in rows if row.frame in chosen], len(rows)


def _function(row: TopFunction, total: int) -> dict[str, Any]:
    frame = row.frame
    return {
        "name": frame.function_name,
        "module": frame.module_name,
        "file": frame.file,
        "first_line": frame.first_line,
        "kind": str(frame.kind),
        "self": row.self_value,
        "self_share": _share(row.self_value, total),
        "self_error": round(row.self_error, 3),
        "total": row.total,
        "total_share": _share(row.total, total),
        "total_error": round(row.total_error, 3),
    }
