"""Files that hold profiles: one module a format, one row of `FORMATS` for each.

A module has `write(profile, file)`, or `read(file) -> Profile` and `sniff(head) -> bool | None` (yes, no, more bytes
are needed), or all three. What a file is is told by its content first, then by its suffix.
"""

from __future__ import annotations

import gzip
import importlib
import os
from dataclasses import dataclass
from types import ModuleType
from typing import BinaryIO, cast

from dtrace_profiler.errors import InputError, UsageError
from dtrace_profiler.model.profile import Profile

_HEAD_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    suffixes: tuple[str, ...]
    module: str
    reads: bool = False
    writes: bool = False

    @property
    def code(self) -> ModuleType:
        return importlib.import_module(f"{__name__}.{self.module}")


FORMATS = (
    Format("dtrace", (".dtrace",), "recording", reads=True, writes=True),
    Format("html", (".html", ".htm"), "html", writes=True),
    Format("svg", (".svg",), "svg", writes=True),
    Format("folded", (".folded", ".collapsed"), "folded", reads=True, writes=True),
    Format("dtrace-text", (".stacks", ".txt", ".out"), "dtrace_text", reads=True),
    Format("table", (".table",), "table", writes=True),
)
"""In the order in which content is tried: the surest signs first."""


def _by_name(name: str, *, writes: bool) -> Format:
    for item in FORMATS:
        if item.name == name and (item.writes if writes else item.reads):
            return item
    names = ", ".join(item.name for item in FORMATS if (item.writes if writes else item.reads))
    raise UsageError(f"format {name!r} can't be {'written' if writes else 'read'}: {names} can.")


def format_of(path: str | os.PathLike[str], name: str | None = None) -> str:
    """The format that a file is to be written in: `name`, else by the suffix. Raises `UsageError`."""
    if name is not None:
        return _by_name(name, writes=True).name
    text = os.fspath(path).lower().removesuffix(".gz")
    for item in FORMATS:
        if item.writes and text.endswith(item.suffixes):
            return item.name
    suffixes = ", ".join(suffix for item in FORMATS if item.writes for suffix in item.suffixes)
    raise UsageError(f"the suffix of {os.fspath(path)} names no format: {suffixes} do, or say --format.")


def write_profile(profile: Profile, path: str | os.PathLike[str], format: str | None = None) -> None:
    """Write a file in the named format, or its suffix's; `.gz` compresses. Raises `OSError`, `UsageError`."""
    chosen = _by_name(format_of(path, format), writes=True)
    with open(path, "wb") as plain:
        if os.fspath(path).endswith(".gz"):
            with gzip.GzipFile(fileobj=plain, mode="wb", mtime=0, filename="") as packed:
                chosen.code.write(profile, packed)
        else:
            chosen.code.write(profile, plain)


def read_profile(path: str | os.PathLike[str], format: str | None = None) -> Profile:
    """Read a file that holds a profile. Raises `InputError` with what is wrong with it, `OSError`, `UsageError`."""
    with open(path, "rb") as plain:
        file = cast(BinaryIO, gzip.GzipFile(fileobj=plain)) if plain.peek(2)[:2] == b"\x1f\x8b" else plain
        try:
            head = file.read(_HEAD_BYTES)
            chosen = _by_name(format, writes=False) if format else detect(head, os.fspath(path))
            file.seek(0)
            profile: Profile = chosen.code.read(file)
        except (EOFError, gzip.BadGzipFile) as error:
            raise InputError(f"{os.fspath(path)} is not a whole gzip file: {error}.") from error
        except InputError as error:
            raise InputError(f"{os.fspath(path)}: {error}", remedy=error.remedy) from error
    return profile


def detect(head: bytes, path: str = "") -> Format:
    """The format of a file that begins with these bytes; its name decides where they don't. Raises `InputError`."""
    if not head.strip():
        raise InputError("the file is empty.")
    readable = [item for item in FORMATS if item.reads]
    unsure = []
    for item in readable:
        answer = item.code.sniff(head)
        if answer:
            return item
        if answer is None:
            unsure.append(item)
    text = path.lower().removesuffix(".gz")
    for item in unsure:
        if text.endswith(item.suffixes):
            return item
    names = ", ".join(item.name for item in readable)
    raise InputError(
        f"this is no profile that can be read: {names} are.", remedy="--input-format, if you know better"
    )
