"""Files that hold profiles: one module a format, one row of `FORMATS` for each.

A module has `write(profile, file)`, or `read(file) -> Profile` and `sniff(head) -> bool | None` (yes, no, more bytes
are needed), or all three. A module that writes has `dropped(profile)` too: what of it the format can't hold;
`require()`, where there is one, raises `UsageError` where an optional package is missing, before anything runs.
What a file is is told by its content first, then by its suffix.

What a profile is, field by field (how many, in which unit, what says that it is not known), is in docs/formats.md,
"The data model".
"""

from __future__ import annotations

import gzip
import importlib
import os
import sys
import zlib
from dataclasses import dataclass
from types import ModuleType
from typing import BinaryIO, cast

from dtrace_profiler.errors import InputError, UsageError
from dtrace_profiler.formats import unread
from dtrace_profiler.formats.files import HEAD_BYTES, LONGEST_LINE, limit_lines, replaced_file, rewindable, unpacked
from dtrace_profiler.model.profile import Profile


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    suffixes: tuple[str, ...]
    module: str
    reads: bool = False
    writes: bool = False
    labels: bool = False
    """Whether what is written has a place for labels. Without, each thread is given once."""
    by_lines: bool = False
    """Read one line after another, each whole."""

    @property
    def code(self) -> ModuleType:
        return importlib.import_module(f"{__name__}.{self.module}")

    def write(self, profile: Profile, file: BinaryIO) -> None:
        self.code.write(profile if self.labels else profile.without_labels(), file)


FORMATS = (
    Format("dtrace", (".dtrace",), "recording", reads=True, writes=True, labels=True),
    Format("html", (".html", ".htm"), "html", writes=True, labels=True),
    Format("svg", (".svg",), "svg", writes=True),
    Format("parquet", (".parquet",), "parquet", reads=True, writes=True, labels=True),
    Format("firefox", (".firefox.json",), "firefox", writes=True),
    Format("pprof", (".pb", ".pprof"), "pprof", reads=True, writes=True, labels=True),
    Format("otlp", (".otlp",), "otlp", reads=True, writes=True, labels=True),
    Format("speedscope", (".speedscope.json", ".speedscope"), "speedscope", reads=True, writes=True),
    Format("trace", (".trace.json", ".trace"), "chrome_trace", reads=True, writes=True),
    Format("dtrace-json", (".dtrace.json",), "dtrace_json", reads=True),
    Format("tachyon-jsonl", (".jsonl",), "tachyon_jsonl", reads=True, by_lines=True),
    Format("austin", (".austin",), "austin", reads=True, by_lines=True),
    Format("perf", (".perf", ".perf.txt"), "perf_script", reads=True, by_lines=True),
    Format("folded", (".folded", ".collapsed"), "folded", reads=True, writes=True, by_lines=True),
    Format("dtrace-text", (".stacks", ".txt", ".out"), "dtrace_text", reads=True),
    Format("table", (".table",), "table", writes=True),
    Format("json", (".json",), "json_summary", writes=True, labels=True),
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
    chosen = _by_name(name, writes=True) if name is not None else None
    text = os.fspath(path).lower().removesuffix(".gz")
    for item in FORMATS:
        if chosen is None and item.writes and text.endswith(item.suffixes):
            chosen = item
    if chosen is not None:
        if hasattr(chosen.code, "require"):
            chosen.code.require()
        return chosen.name
    suffixes = ", ".join(suffix for item in FORMATS if item.writes for suffix in item.suffixes)
    raise UsageError(f"the suffix of {os.fspath(path)} names no format: {suffixes} do, or say --format.")


def write_profile(profile: Profile, target: str | os.PathLike[str] | BinaryIO, format: str | None = None) -> None:
    """Write a file in the named format, or its suffix's; `.gz` compresses; `-` is stdout.

    `target` may be an open file as well, with `format` named. An ordinary file is written beside its place first: if
    it can't be finished (disk full), nothing of it stays, and what was there before does. Raises `OSError`,
    `UsageError`.
    """
    if not isinstance(target, (str, os.PathLike)):
        _by_name(format or "folded", writes=True).write(profile, target)
        return
    path = os.fspath(target)
    if path == "-":
        chosen = _by_name(format or "folded", writes=True)
        chosen.write(profile, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    chosen = _by_name(format_of(path, format), writes=True)
    with replaced_file(path) as plain:
        if path.endswith(".gz"):
            with gzip.GzipFile(fileobj=plain, mode="wb", compresslevel=6, mtime=0, filename="") as packed:
                chosen.write(profile, cast(BinaryIO, packed))
        else:
            chosen.write(profile, plain)


def dropped(profile: Profile, format: str) -> list[str]:
    """What of this profile a file in that format can't hold, a few words each."""
    chosen = _by_name(format, writes=True)
    out = list(chosen.code.dropped(profile.without_labels()))
    if not chosen.labels and any(thread.labels for thread in profile.threads):
        out.append("labels")
    return out


def read_profile(source: str | os.PathLike[str] | BinaryIO, format: str | None = None) -> Profile:
    """Read a file (`-` is stdin; or one that is open) that holds a profile, compressed with gzip or not.

    Raises `InputError` with what is wrong with it, `OSError`, `UsageError` for an unknown `format`.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _read(source, str(getattr(source, "name", "")), format)
    path = os.fspath(source)
    if path == "-":
        return _read(sys.stdin.buffer, "stdin", format)
    with open(path, "rb") as file:
        return _read(file, path, format)


def _read(file: BinaryIO, name: str, format: str | None) -> Profile:
    chosen = _by_name(format, writes=False) if format else None
    try:
        file = rewindable(file)
        if file.peek(2)[:2] == b"\x1f\x8b":
            file = rewindable(unpacked(file))
        if chosen is None:
            chosen = detect(file.peek(HEAD_BYTES)[:HEAD_BYTES], name)
        if chosen.by_lines:
            limit_lines(file, LONGEST_LINE)
        profile: Profile = chosen.code.read(file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{name or 'the file'} is not a whole gzip file: {str(error).lower().rstrip('.')}."
        ) from error
    except InputError as error:
        if not name:
            raise
        raise InputError(f"{name}: {error}", remedy=error.remedy) from error
    return profile


def detect(head: bytes, path: str = "") -> Format:
    """The format of a file that begins with these bytes; its name decides where they don't. Raises `InputError`."""
    if not head:
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
    for item in unsure:
        if item.name == "folded":  # a word and a number on each line: folded stacks of one frame
            return item
    if (known := unread.known(head)) is not None:
        raise InputError(f"this is {known[0]}, which can't be read.", remedy=known[1])
    names = ", ".join(item.name for item in readable)
    zero = head.find(b"\0")
    what = f"binary (a zero byte at offset {zero})" if zero >= 0 else "no profile that can be read"
    raise InputError(f"this is {what}: {names} are read.", remedy="--input-format, if you know better")
