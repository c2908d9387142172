"""A profile's samples thread by thread, for formats that keep threads apart; and how such files name threads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from dtrace_profiler.model.profile import Profile, Thread


class Row(NamedTuple):
    timestamp_ns: int
    node: int
    value: int


_OURS = re.compile(r"(?:(.*) \()?pid (\d{1,18}), tid (\d{1,18})\)?", re.DOTALL)
_PY_SPY = re.compile(
    r'(?:thread \((0[xX][0-9a-fA-F]{1,16}|\d{1,18})\)(?:: (.*))?|Thread (\d{1,18}) "(.*)")', re.DOTALL
)
_PY_SPY_PROCESS = re.compile(r"process (\d{1,18})(?::(.*))?", re.DOTALL)


def rows_by_thread(profile: Profile) -> Iterator[tuple[Thread, list[Row]]]:
    """Threads that have samples, in the profile's order; their samples oldest first, those of value 0 left out.

    Where no sample has a time, one row a stack, with the sum of its values.
    """
    timed = any(profile.timestamp_ns)
    if timed:
        rows: list[list[Row]] = [[] for _ in profile.threads]
        columns = zip(profile.timestamp_ns, profile.thread, profile.node, profile.value, strict=True)
        for time, thread, node, value in columns:
            if value:
                rows[thread].append(Row(time, node, value))
    else:
        sums: list[dict[int, int]] = [{} for _ in profile.threads]
        for thread, node, value in zip(profile.thread, profile.node, profile.value, strict=True):
            sums[thread][node] = sums[thread].get(node, 0) + value
        rows = [[Row(0, node, value) for node, value in values.items() if value] for values in sums]
    for thread_of_rows, its_rows in zip(profile.threads, rows, strict=True):
        if its_rows:
            its_rows.sort(key=lambda row: row.timestamp_ns)
            yield thread_of_rows, its_rows


def thread_label(thread: Thread) -> str:
    numbers = f"pid {thread.process_id}, tid {thread.thread_id}"
    return f"{thread.name} ({numbers})" if thread.name else numbers


def labelled_thread(text: str) -> tuple[int, int, str] | None:
    """Process, thread and name, from `thread_label` or as py-spy writes them; None where the text is neither."""
    if (match := _OURS.fullmatch(text)) and text.endswith(")") == (match[1] is not None):
        return int(match[2]), int(match[3]), match[1] or ""
    if match := _PY_SPY.fullmatch(text):
        digits = match[1] or match[3]
        number = int(digits, 16 if digits[:2] in ("0x", "0X") else 10)
        return 0, number, match[2] or match[4] or ""
    return None


def labelled_process(text: str) -> int | None:
    """The process's number where py-spy puts it before a stack (`--subprocesses`)."""
    match = _PY_SPY_PROCESS.fullmatch(text)
    return int(match[1]) if match else None
