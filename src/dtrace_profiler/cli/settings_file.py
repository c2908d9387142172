"""Finds the pyproject.toml with our table, from the current folder upwards, and reads the table. Knows no setting.

The file may be anybody's: it is read as text with a limit, and nothing of it is run. What may stand in it is the
affair of `configuration.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dtrace_profiler.errors import UsageError

VARIABLE = "DTRACE_PROFILER_CONFIG"
"""Names the file to take, wherever it is; `none`: no file."""
NO_FILE = "none"
NAME = "pyproject.toml"
TABLE = "tool.dtrace-profiler"
MAX_BYTES = 1 << 20
_MENTION = b"dtrace-profiler"


@dataclass(frozen=True, slots=True)
class SettingsFile:
    path: str
    table: Mapping[str, Any]
    """The values of `[tool.dtrace-profiler]`, and below a command's name those of its own table."""


def find_settings(environ: Mapping[str, str], folder: str | None = None) -> SettingsFile | None:
    """The nearest file with our table; None where there is none. `folder`: where to begin, the current one.

    Raises `UsageError` for a file that mentions us and is no TOML, and for one that the environment names and that
    can't be read or lacks the table.
    """
    named = environ.get(VARIABLE, "")
    if named == NO_FILE:
        return None
    if named:
        return _named(named)
    try:
        place = os.getcwd() if folder is None else folder
    except OSError:
        return None  # the current folder is gone
    while True:
        path = os.path.join(place, NAME)
        try:
            text = _read(path) if os.path.isfile(path) else b""
        except OSError:
            text = b""  # of somebody else's, who does not let us read it
        # Most are other projects', and need not be parsed.
        if _MENTION in text and (table := _table(text, path)) is not None:
            return SettingsFile(path, table)
        above = os.path.dirname(place)
        if above == place:
            return None
        place = above


def printable(text: str) -> str:
    """A text of the file, safe to show. What makes it so takes long to import, for who makes no mistake."""
    from dtrace_profiler.formats.names import shown

    return shown(text)


def _named(path: str) -> SettingsFile:
    try:
        table = _table(_read(path), path) if os.path.isfile(path) else None
    except OSError as error:
        raise UsageError(f"{printable(path)}, named by {VARIABLE}, can't be read: {error.strerror}.") from error
    if table is None:
        what = "has no table [" + TABLE + "]" if os.path.isfile(path) else "is no file"
        raise UsageError(
            f"{printable(path)}, named by {VARIABLE}, {what}.", remedy=f"{VARIABLE}={NO_FILE}, to do without a file"
        )
    return SettingsFile(path, table)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        text = file.read(MAX_BYTES + 1)
    # Who needs more is no project of settings: not ours, then.
    return text if len(text) <= MAX_BYTES else b""


def _table(text: bytes, path: str) -> Mapping[str, Any] | None:
    import tomllib

    try:
        whole = tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"{printable(path)} is no TOML: {printable(str(error))}.",
            remedy=f"{VARIABLE}={NO_FILE}, to do without it",
        ) from error
    tool = whole.get("tool")
    if not isinstance(tool, dict) or "dtrace-profiler" not in tool:
        return None
    table = tool["dtrace-profiler"]
    if not isinstance(table, dict):
        raise UsageError(f"{printable(path)}: {TABLE} is not a table: write [{TABLE}].")
    return table
