"""docs/formats.md says of every field of the data model how many there are, in which unit, and what absence means."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from dtrace_profiler.formats import parquet
from dtrace_profiler.model import frame, profile

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
HEAD = "| field | how many | what, in which unit | not known |"


def documented() -> dict[str, dict[str, list[str]]]:
    """Type → field → the cells beside it."""
    out: dict[str, dict[str, list[str]]] = {}
    table = TEXT.split(HEAD)[1].split("\n\n")[0]
    for line in table.splitlines()[2:]:
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        if name.startswith("**"):
            fields = out[name.strip("*`")] = {}
        else:
            fields[name.strip("`")] = cells
    return out


TYPES = [profile.Profile, profile.Thread, profile.Meta, frame.StackFrame]
TYPES += [kind for name, kind in vars(profile).items() if name == "MappedFile"]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_each_field_is_documented_and_no_other(kind: type) -> None:
    fields = getattr(kind, "_fields", None) or [field.name for field in dataclasses.fields(kind)]
    table = documented()[kind.__name__]
    assert set(fields) - set(table) == set()
    assert set(table) - set(fields) <= {"mapped_files"}
    assert all(cells[0] and cells[1] for cells in table.values())


def test_each_column_of_parquet_is_documented() -> None:
    pa = pytest.importorskip("pyarrow")
    part = TEXT.split("\n## Parquet\n")[1].split("\n## ")[0]
    said = set(re.findall(r"`(\w+)`", part))
    assert {field.name for field in parquet._schema(pa)} <= said
