"""`query`: reads a source, asks it, prints the answer as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import click

from dtrace_profiler.cli.query_options import make_selection
from dtrace_profiler.cli.sources import read_source
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.query.answer import Row
from dtrace_profiler.query.differences import differences
from dtrace_profiler.query.selection import Selection

Ask = Callable[[Profile, Selection], Row]


def print_answer(source: str, values: Mapping[str, Any], ask: Ask) -> int:
    """`values`: what `selection_options` and `--input-format` gave. Returns 0."""
    profile = read_source(source, values["input_format"])
    click.echo(as_json(ask(profile, make_selection(values, profile))))
    return 0


def print_differences(before: str, after: str | None, values: Mapping[str, Any], **how: Any) -> int:
    """`after`: None for the same source. `values`: what `two_selections_options` and `--input-format` gave."""
    first = read_source(before, values["input_format"])
    second = first if after is None else read_source(after, values["input_format"])
    of_before = {**values, "from_s": values["before_from"], "to_s": values["before_to"], "last_s": None}
    selections = make_selection(of_before, first), make_selection(values, second)
    click.echo(as_json(differences(first, second, *selections, **how)))
    return 0


def print_schema() -> int:
    click.echo(
        resources.files("dtrace_profiler").joinpath("query", "schema.json").read_text(encoding="utf-8"), nl=False
    )
    return 0


def as_json(answer: Row, *, one_line: bool = False) -> str:
    """ASCII, so that no terminal and no encoding changes it."""
    return json.dumps(answer, indent=None if one_line else 1, allow_nan=False)
