"""What a profile holds and how far it can be believed: samples, kinds, threads, labels, losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dtrace_profiler.formats.facts import loss_words
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.identity import merge_frames
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.query.answer import (
    DEFAULT_LIMIT,
    Amount,
    Row,
    amounts,
    answer,
    limited,
    measured,
    sum_of,
    text,
)
from dtrace_profiler.query.selection import Selection, select

_TRUNCATED = "<truncated>"
"""The frame in place of those that are missing on a stack's root side: see `stacks.py`, `sampling/stacks.py`."""


def summary(profile: Profile, selection: Selection | None = None, *, limit: int | None = DEFAULT_LIMIT) -> Row:
    """Rows: the threads, busiest first. See docs/query.md for the other fields."""
    selected = select(profile, selection)
    part = selected.profile
    meta = profile.meta
    stacks = amounts(part)
    whole = sum_of(list(stacks.values()))
    kinds = dict.fromkeys(FrameKind, Amount())
    for node, amount in stacks.items():
        kind = part.frames[part.frame[node]].kind
        kinds[kind] = kinds[kind].plus(amount)
    by_thread, by_label = _by_thread(part)
    threads: list[Row] = [
        {"process_id": process, "thread_id": thread, "name": text(name) or None, **measured(amount, whole)}
        for (process, thread), (name, amount) in sorted(
            by_thread.items(), key=lambda item: (-item[1][1].value, item[0])
        )
    ]
    labels: list[Row] = [
        {"label": text(label), **measured(amount, whole)}
        for label, amount in sorted(by_label.items(), key=lambda item: (-item[1].value, item[0]))
    ]
    cpu_ns = _cpu_time_ns(part)
    return answer(
        "summary",
        selected,
        system=text(meta.system) or None,
        versions={text(name): text(version) for name, version in meta.versions.items()},
        samples=part.total if meta.unit == "samples" else len(part),
        cpu_time_ns=cpu_ns,
        processors=_processors(profile, selection, cpu_ns),
        process_count=len({process for process, _ in by_thread}),
        thread_count=len(by_thread),
        stack_count=sum(1 for amount in stacks.values() if amount.value),
        function_count=len(merge_frames(_sampled_frames(part), "function").frames),
        kinds=[{"kind": str(kind), **measured(amount, whole)} for kind, amount in kinds.items()],
        unresolved=measured(_where(part, stacks, is_unresolved, leaf=True), whole),
        unresolved_in_stack=measured(_where(part, stacks, is_unresolved), whole),
        truncated=measured(_where(part, stacks, lambda frame: frame.function_name == _TRUNCATED), whole),
        losses=[
            {"name": text(name), "count": count, "meaning": loss_words(name)}
            for name, count in meta.losses.items()
            if count
        ],
        labels=limited(labels, limit),
        **limited(threads, limit),
    )


def is_unresolved(frame: StackFrame) -> bool:
    """Whether it is not known which function this is: an address, or nothing at all."""
    if frame.function_name == _TRUNCATED:
        return False
    return frame.kind is FrameKind.UNKNOWN or frame.function_name.startswith("0x")


def _where(
    profile: Profile, stacks: Mapping[int, Amount], test: Callable[[StackFrame], bool], *, leaf: bool = False
) -> Amount:
    """Of the stacks with a frame that passes the test, with `leaf` of those whose last frame does."""
    of_frame = bytearray(test(frame) for frame in profile.frames)
    with_it = bytearray(of_frame[frame] for frame in profile.frame)
    if not leaf:
        for node, parent in enumerate(profile.parent):
            if parent >= 0 and with_it[parent]:
                with_it[node] = 1
    return sum_of([amount for node, amount in stacks.items() if with_it[node]])


def _by_thread(profile: Profile) -> tuple[dict[tuple[int, int], tuple[str, Amount]], dict[str, Amount]]:
    """(process, thread) → name and amount; label → amount. Threads without a sample are left out."""
    square = profile.meta.unit == "nanoseconds"
    of = [Amount()] * len(profile.threads)
    for thread, value in zip(profile.thread, profile.value, strict=True):
        of[thread] = of[thread].plus(Amount(value, value * value if square else value))
    threads: dict[tuple[int, int], tuple[str, Amount]] = {}
    labels: dict[str, Amount] = {}
    for place, amount in enumerate(of):
        if not amount.value:
            continue
        who = profile.threads[place]
        key = who.process_id, who.thread_id
        _, known = threads.get(key, ("", Amount()))
        threads[key] = who.name, known.plus(amount)
        for name, wanted in who.labels:
            label = f"{name}={wanted}"
            labels[label] = labels.get(label, Amount()).plus(amount)
    return threads, labels


def _sampled_frames(profile: Profile) -> list[StackFrame]:
    """Of all stacks that were sampled."""
    seen = bytearray(len(profile.parent))
    for node in profile.stack_values():
        while node >= 0 and not seen[node]:
            seen[node] = 1
            node = profile.parent[node]
    numbers = {frame for node, frame in enumerate(profile.frame) if seen[node]}
    return [profile.frames[number] for number in sorted(numbers)]


def _cpu_time_ns(part: Profile) -> int | None:
    if part.meta.unit == "nanoseconds":
        return part.total
    return part.total * 1_000_000_000 // part.meta.frequency_hz if part.meta.frequency_hz else None


def _processors(profile: Profile, selection: Selection | None, cpu_ns: int | None) -> float | None:
    """Busy in the mean; of a part of the time not told here: `ranges` does."""
    timed = selection is not None and (selection.from_s is not None or selection.to_s is not None)
    if cpu_ns is None or not profile.meta.duration_ns or timed:
        return None
    return round(cpu_ns / profile.meta.duration_ns, 4)
