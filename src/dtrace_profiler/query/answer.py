"""What all answers have in common: of which profile, of which part of it, how much, how sure, what was left out.

Values are whole numbers in the profile's unit, `samples` or `nanoseconds`. Shares are 0 to 1, of the selection's
value unless the name says else. `…_error` is one standard error of the share, as in `model/top.py`. None is
not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any, NamedTuple

from dtrace_profiler._version import __version__
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.query.selection import Selected

FORMAT = "dtrace-profiler query"
VERSION = 1
DEFAULT_LIMIT = 20
"""Rows of an answer."""

Row = dict[str, Any]
_DIGITS = 6


class Amount(NamedTuple):
    """How much, and what the error needs: a sum of values, and of the squares of what counts as one sample."""

    value: int = 0
    weight: int = 0

    def plus(self, other: Amount) -> Amount:
        return Amount(self.value + other.value, self.weight + other.weight)


def amounts(profile: Profile) -> dict[int, Amount]:
    """Leaf node → what its samples are together. Linear in the samples."""
    values = profile.stack_values()
    if profile.meta.unit == "samples":
        return {node: Amount(value, value) for node, value in values.items()}
    weights: dict[int, int] = {}
    for node, value in zip(profile.node, profile.value, strict=True):
        weights[node] = weights.get(node, 0) + value * value
    return {node: Amount(value, weights[node]) for node, value in values.items()}


def sum_of(parts: Sequence[Amount]) -> Amount:
    return Amount(sum(part.value for part in parts), sum(part.weight for part in parts))


def share(part: Amount, whole: Amount) -> float:
    """0 where there is nothing."""
    return round(part.value / whole.value, _DIGITS) if whole.value else 0.0


def share_error(part: Amount, whole: Amount) -> float:
    """One standard error of `share`; for samples the binomial's. See `model/top.py`."""
    if whole.value <= 0:
        return 0.0
    ratio = part.value / whole.value
    variance = (1 - ratio) ** 2 * part.weight + ratio**2 * (whole.weight - part.weight)
    return round(sqrt(max(0.0, variance)) / whole.value, _DIGITS)


def measured(part: Amount, whole: Amount) -> Row:
    """A value, its share and the share's error."""
    return {"value": part.value, "share": share(part, whole), "share_error": share_error(part, whole)}


def text(name: str) -> str:
    """A name as it is, but for halves of surrogate pairs, which not every reader of JSON takes."""
    return name.encode("utf-8", "backslashreplace").decode()


def function(frame: StackFrame) -> Row:
    """What tells a function from others. An empty module or file is None, as is line 0: not known."""
    return {
        "name": text(frame.function_name),
        "module": text(frame.module_name) or None,
        "file": text(frame.file) or None,
        "first_line": frame.first_line or None,
        "kind": str(frame.kind),
    }


NO_FUNCTION: Row = {"name": None, "module": None, "file": None, "first_line": None, "kind": None}


def answer(what: str, selected: Selected, **fields: Any) -> Row:
    """The answer to the question `what`, with the fields that are its own."""
    return {**head(what), "unit": selected.whole.meta.unit, **side(selected), **fields}


def head(what: str) -> Row:
    """What every answer begins with."""
    return {"format": FORMAT, "version": VERSION, "exporter": f"dtrace-profiler@{__version__}", "query": what}


def side(selected: Selected) -> Row:
    """Of which profile an answer is, and of which part of it."""
    profile = selected.whole
    meta = profile.meta
    total = profile.total
    selection = selected.selection
    value = selected.profile.total
    return {
        "profile": {
            "target": text(meta.target) or None,
            "engine": text(meta.engine) or None,
            "frequency_hz": meta.frequency_hz or None,
            "start_ns": selected.start_ns or None,
            "duration_ns": meta.duration_ns or None,
            "value": total,
            "losses": {text(name): count for name, count in meta.losses.items() if count},
            "notes": [text(note) for note in meta.notes],
        },
        "selection": {
            "from_s": selection.from_s,
            "to_s": selection.to_s,
            "threads": list(selection.threads),
            "processes": list(selection.processes),
            "labels": [f"{key}={wanted}" for key, wanted in selection.labels],
            "kinds": [str(kind) for kind in selection.kinds],
            "value": value,
            "share_of_profile": round(value / total, _DIGITS) if total else 0.0,
            "lost": selected.lost,
        },
    }


def limited(rows: Sequence[Row], limit: int | None, value: str = "value") -> Row:
    """The fields `rows`, the first `limit` of them, and `left_out`: how many more there are, and of what value."""
    kept = list(rows if limit is None else rows[:limit])
    rest = rows[len(kept) :]
    return {"rows": kept, "left_out": {"rows": len(rest), value: sum(row[value] for row in rest)}}
