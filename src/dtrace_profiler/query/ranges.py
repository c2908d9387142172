"""When the time went: the samples over time, in pieces of equal length, so that a busy one is found."""

from __future__ import annotations

from math import floor, log10, sqrt

from dtrace_profiler.errors import UsageError
from dtrace_profiler.model.identity import merge_frames
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.query.answer import Amount, Row, answer, function, measured
from dtrace_profiler.query.selection import Selected, Selection, end_s, select

PIECES = 60
"""At most, where no length is asked for."""
MOST_PIECES = 10_000
_SHORTEST_NS = 1_000
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
    begin_ns, end_ns = _span(selected)
    width_ns = round((every_s if every_s is not None else _round_length((end_ns - begin_ns) / _NS / PIECES)) * _NS)
    width_ns = max(_SHORTEST_NS, width_ns)
    count = -(-(end_ns - begin_ns) // width_ns)
    if count > MOST_PIECES:
        raise UsageError(f"{count:,} pieces are too many: {MOST_PIECES:,} at most. Ask for longer ones.")
    first_ns = selected.start_ns + begin_ns
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
        if not value:
            continue
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
        from_ns = begin_ns + place * width_ns
        to_ns = min(end_ns, from_ns + width_ns)
        rows.append(
            {
                "from_s": from_ns / _NS,
                "to_s": to_ns / _NS,
                **measured(amount, whole),
                **_processors(profile, amount, (to_ns - from_ns) / _NS),
                "lost": lost[place],
                "most": None
                if most is None
                else {**function(merged.frames[most]), "share_of_range": round(own[most] / amount.value, 6)},
            }
        )
    busiest = max(range(count), key=lambda place: (found[place].value, -place)) if whole.value else None
    return answer("ranges", selected, every_s=width_ns / _NS, busiest_row=busiest, untimed_value=untimed, rows=rows)


def _span(selected: Selected) -> tuple[int, int]:
    """From and to, in nanoseconds since the start. Nothing where what is asked for begins after the end."""
    selection = selected.selection
    begin_ns = round((selection.from_s or 0.0) * _NS)
    end_ns = round(end_s(selected.whole) * _NS)
    if selection.to_s is not None:
        end_ns = min(end_ns, round(selection.to_s * _NS))
    return begin_ns, max(begin_ns, end_ns)


def _round_length(least_s: float) -> float:
    """The next of 1, 2 and 5 of any power of ten."""
    if least_s <= 0:
        return 1.0
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
