"""`stat`: what a profile holds and how far it can be believed, for a terminal or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from dtrace_profiler.cli.query import as_json
from dtrace_profiler.cli.query_options import make_selection
from dtrace_profiler.cli.sources import read_source
from dtrace_profiler.formats.facts import duration, quantity
from dtrace_profiler.formats.names import shown
from dtrace_profiler.query.answer import Row
from dtrace_profiler.query.summary import summary

_ENGINES = {"dtrace": "DTrace", "sampler": "the sampler inside Python"}


def stat(source: str, values: Mapping[str, Any], *, as_json_text: bool) -> int:
    profile = read_source(source, values["input_format"])
    answer = summary(profile, make_selection(values, profile), limit=values["limit"])
    click.echo(as_json(answer) if as_json_text else "\n".join(_text(answer)))
    return 0


def _text(answer: Row) -> Iterator[str]:
    profile, selection = answer["profile"], answer["selection"]
    facts = {
        "of": shown(profile["target"] or ""),
        "taken": _taken(profile),
        "by": _engine(profile, answer["versions"]),
        "on": shown(answer["system"] or ""),
        "samples": _samples(answer),
        "CPU": _cpu(answer),
        "lost": ", ".join(f"{loss['meaning']} ({loss['count']:,})" for loss in answer["losses"]) or _nothing(profile),
        "threads": f"{answer['thread_count']:,} in {_number(answer['process_count'], 'process', 'processes')}",
        "stacks": f"{answer['stack_count']:,} different, of {answer['function_count']:,} functions",
    }
    for name, value in facts.items():
        if value:
            yield f"{name:<11} {value}"
    if selection["value"] != profile["value"]:
        yield f"{'a part':<11} {selection['share_of_profile']:.1%} of the profile, chosen by options"
    yield ""
    yield f"{'ran in':<26} {'share':>7} {'±':>5}"
    for row in answer["kinds"]:
        yield _share(row["kind"], row)
    yield ""
    yield _share("unresolved functions ran", answer["unresolved"])
    yield _share("unresolved in the stack", answer["unresolved_in_stack"])
    yield _share("truncated stacks", answer["truncated"])
    yield ""
    yield f"{'thread':<26} {'share':>7} {'±':>5}"
    for row in answer["rows"]:
        yield _share(f"{row['process_id']}/{row['thread_id']} {shown(row['name'] or '')}".rstrip(), row)
    yield from _more(answer["left_out"], "threads", answer["unit"])
    if answer["labels"]["rows"]:
        yield ""
        yield f"{'label':<26} {'share':>7} {'±':>5}"
        for row in answer["labels"]["rows"]:
            yield _share(shown(row["label"]), row)
        yield from _more(answer["labels"]["left_out"], "labels", answer["unit"])
    for note in profile["notes"]:
        yield f"note: {shown(note)}"


def _share(name: str, row: Row) -> str:
    return f"{name:<26} {row['share']:>7.1%} {100 * row['share_error']:>5.1f}"


def _more(left_out: Row, what: str, unit: Any) -> Iterator[str]:
    if left_out["rows"]:
        yield f"{left_out['rows']:,} more {what} with {quantity(left_out['value'], unit)}: -n shows them"


def _taken(profile: Row) -> str:
    parts = []
    if profile["start_ns"] is not None:
        try:
            parts.append(datetime.fromtimestamp(profile["start_ns"] / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"))
        except (OverflowError, ValueError, OSError):
            pass
    if profile["duration_ns"] is not None:
        parts.append(f"for {duration(profile['duration_ns'])}")
    return ", ".join(parts)


def _engine(profile: Row, versions: Mapping[str, str]) -> str:
    name = profile["engine"]
    if name is None:
        return ""
    if name not in _ENGINES:
        return f"somebody else: read from {shown(name)}"
    version = f" {shown(versions['dtrace'])}" if name == "dtrace" and "dtrace" in versions else ""
    frequency = f" at {profile['frequency_hz']:,} Hz" if profile["frequency_hz"] else ""
    return f"{_ENGINES[name]}{version}{frequency}"


def _samples(answer: Row) -> str:
    count = f"{answer['samples']:,}"
    if answer["unit"] == "nanoseconds":
        count += f", of {duration(answer['selection']['value'])}"
    return count


def _cpu(answer: Row) -> str:
    if answer["cpu_time_ns"] is None:
        return ""
    sign = "" if answer["unit"] == "nanoseconds" else "≈ "
    text = f"{sign}{duration(answer['cpu_time_ns'])}"
    if answer["processors"] is not None:
        text += f", {answer['processors']:.2f} processors busy in the mean"
    return text


def _nothing(profile: Row) -> str:
    """Only our own engines count what they lose."""
    return "nothing" if profile["engine"] in _ENGINES else "not known"


def _number(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
