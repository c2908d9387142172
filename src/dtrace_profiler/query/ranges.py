"""When the time went: the samples over time, in pieces of equal length, so that a busy one is found."""

from __future__ import annotations

from math import ceil, floor, log10, sqrt

from dtrace_profiler.errors import UsageError
from dtrace_profiler.model.identity import merge_frames
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.query.answer import Amount, Row, answer, function, measured
from dtrace_profiler.query.selection import Selected, Selection, end_s, select

PIECES = 60
"""At most, where no length is asked for."""
MOST_PIECES = 10_000
_NS = 1_000_000_000


def ranges(profile: Profile, selection: Selection | None = None, *, every_s: float | None = None) -> Row:
    """Rows, in order of time: a piece `every_s` long, its value, how many processors were busy in the mean, what was
    lost (to the second), and the function that ran most. Without `every_s`: a round length, at most 60 pieces.

    The error of the processors takes the samples as independent; a program that is busy all the time is surer than it
    says. Raises `UsageError` for a profile without times, and for more than 10,000 pieces.
    """
    selected = select(profile, selection)
    part = selected.profile
    if not selected.start_ns or not any(profile.timestamp_ns):
        raise UsageError("this profile has no times, so nothing can be said of when its samples were taken.")
    begin_s, until_s = _span(selected)
    width_s = every_s if every_s is not None else _round_length((until_s - begin_s) / PIECES)
    count = max(1, ceil((until_s - begin_s) / width_s - 1e-9))
    if count > MOST_PIECES:
        raise UsageError(f"{count:,} pieces are too many: {MOST_PIECES:,} at most. Ask for longer ones.")
    first_ns, width_ns = selected.start_ns + round(begin_s * _NS), max(1, round(width_s * _NS))
    merged = merge_frames(part.frames, "function")
    found = [Amount()] * count
    running: list[dict[int, int]] = [{} for _ in range(count)]
    untimed = 0
    square = part.meta.unit == "nanoseconds"
    for time, node, value in zip(part.timestamp_ns, part.node, part.value, strict=True):
        if time <= 0:
            untimed += value
            continue
        place = min(count - 1, max(0, time - first_ns) // width_ns)
        found[place] = found[place].plus(Amount(value, value * value if square else value))
        ran = merged.of_frame[part.frame[node]]
        running[place][ran] = running[place].get(ran, 0) + value
    whole = Amount(sum(amount.value for amount in found), sum(amount.weight for amount in found))
    lost = [0] * count
    for second_ns, number in profile.lost:
        place = (second_ns + _NS - 1 - first_ns) // width_ns
        if 0 <= place < count:
            lost[place] += number
    rows = []
    for place, amount in enumerate(found):
        own = running[place]
        most = min(own, key=lambda index: (-own[index], index)) if own else None
        from_s = begin_s + place * width_s
        rows.append(
            {
                "from_s": round(from_s, 6),
                "to_s": round(min(until_s, from_s + width_s), 6),
                **measured(amount, whole),
                **_processors(profile, amount, min(until_s, from_s + width_s) - from_s),
                "lost": lost[place],
                "most": None
                if most is None
                else {**function(merged.frames[most]), "share_of_range": round(own[most] / amount.value, 6)},
            }
        )
    busiest = max(range(count), key=lambda place: (found[place].value, -place)) if whole.value else None
    return answer(
        "ranges", selected, every_s=round(width_s, 9), busiest_row=busiest, untimed_value=untimed, rows=rows
    )


def _span(selected: Selected) -> tuple[float, float]:
    """From and to, in seconds since the start."""
    begin_s = selected.selection.from_s or 0.0
    last_s = end_s(selected.whole)
    if selected.selection.to_s is not None:
        last_s = min(last_s, selected.selection.to_s)
    return begin_s, max(last_s, begin_s + 1e-6)


def _round_length(least_s: float) -> float:
    """The next of 1, 2 and 5 of any power of ten."""
    power = 10.0 ** floor(log10(least_s))
    for digit in (1, 2, 5, 10):
        if digit * power >= least_s * (1 - 1e-9):
            return float(f"{digit * power:.6g}")
    raise AssertionError


def _processors(profile: Profile, amount: Amount, seconds: float) -> Row:
    """How many were busy in the mean; None where the frequency is not known."""
    if profile.meta.unit == "nanoseconds":
        period_s = 1e-9
    elif profile.meta.frequency_hz:
        period_s = 1 / profile.meta.frequency_hz
    else:
        return {"processors": None, "processors_error": None}
    return {
        "processors": round(amount.value * period_s / seconds, 4),
        "processors_error": round(sqrt(amount.weight) * period_s / seconds, 4),
    }
