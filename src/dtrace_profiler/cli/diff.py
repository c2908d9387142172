"""`diff`: two profiles against each other, as text, Markdown, JSON or a flame graph."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from dtrace_profiler.cli.compare_options import TimeRange
from dtrace_profiler.cli.outputs import STDOUT
from dtrace_profiler.cli.sources import read_source
from dtrace_profiler.compare import By, Comparison, Measure, Normalise, compare
from dtrace_profiler.errors import OutputError, UsageError
from dtrace_profiler.formats.comparison_json import write_json
from dtrace_profiler.formats.comparison_markdown import write_markdown
from dtrace_profiler.formats.comparison_page import write as write_page
from dtrace_profiler.formats.comparison_text import chosen_rows, write_table
from dtrace_profiler.formats.files import replaced_file
from dtrace_profiler.formats.svg_comparison import write as write_svg
from dtrace_profiler.live.client import is_address, without_key
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.platforms.ownership import give_to_invoking_user
from dtrace_profiler.query.selection import Selection, part

FORMATS = {
    "text": (".txt",),
    "markdown": (".md", ".markdown"),
    "json": (".json",),
    "html": (".html", ".htm"),
    "svg": (".svg",),
}
_MAX_WIDTH = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file, or the address of a live view, and what of it is looked at."""

    path: str
    time: TimeRange | None
    processes: tuple[int, ...]
    threads: tuple[str, ...]

    def read(self, input_format: str | None) -> Profile:
        """Raises `InputError` for what can't be read, `UsageError` for what it does not have."""
        profile = read_source(self.path, input_format)
        try:
            from_s, to_s = self.time or (None, None)
            chosen = Selection(from_s=from_s, to_s=to_s, processes=self.processes, threads=self.threads)
            return part(profile, chosen)
        except UsageError as error:
            raise UsageError(f"{self._shown}: {error}") from error

    @property
    def name(self) -> str:
        """The file, and which part of it."""
        parts = [str(self.time)] if self.time is not None else []
        parts += [f"process {process}" for process in self.processes]
        parts += [f"thread {thread}" for thread in self.threads]
        return f"{self._shown} ({', '.join(parts)})" if parts else self._shown

    @property
    def _shown(self) -> str:
        """Without the key of a live view: what is written may be sent on."""
        if is_address(self.path):
            return without_key(self.path)
        return "stdin" if self.path == STDOUT else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    by: By
    measure: Measure
    normalise: Normalise
    confidence: float
    anyway: bool
    limit: int
    least: float
    only_changed: bool
    input_format: str | None


def diff(parts: tuple[Part, Part], request: Request, outputs: Sequence[str], format_name: str | None) -> int:
    """Returns 0. Without outputs, stdout."""
    planned = [(path, _format_of(path, format_name)) for path in outputs or [STDOUT]]
    if parts[0].path == parts[1].path == STDOUT:
        raise UsageError("stdin can be read once: name a file for A or for B.")
    before, after = (item.read(request.input_format) for item in parts)
    names = parts[0].name, parts[1].name
    comparison = compare(
        before,
        after,
        by=request.by,
        measure=request.measure,
        normalise=request.normalise,
        confidence=request.confidence,
        anyway=request.anyway,
    )
    for path, chosen in planned:
        if chosen in ("html", "svg"):
            draw = write_page if chosen == "html" else write_svg
            with writing(path) as file:
                draw(before, after, file, names=names, warnings=comparison.warnings)
        else:
            write_text(path, _text(comparison, names, request, chosen, path))
    return 0


def _text(comparison: Comparison, names: tuple[str, str], request: Request, chosen: str, path: str) -> str:
    rows = chosen_rows(comparison, limit=request.limit, least=request.least, only_changed=request.only_changed)
    if chosen == "markdown":
        return write_markdown(comparison, rows, names)
    if chosen == "json":
        return write_json(comparison, rows, names)
    in_terminal = path == STDOUT and sys.stdout.isatty()
    width = min(_MAX_WIDTH, shutil.get_terminal_size().columns) if in_terminal else _MAX_WIDTH
    return write_table(comparison, rows, names, colour=path == STDOUT and colourful(), width=width)


def _format_of(path: str, format_name: str | None) -> str:
    if format_name is not None:
        chosen = format_name
    elif path == STDOUT:
        chosen = "text"
    else:
        found = [name for name, suffixes in FORMATS.items() if path.lower().endswith(suffixes)]
        if not found:
            suffixes = ", ".join(suffix for group in FORMATS.values() for suffix in group)
            raise UsageError(f"the suffix of {path} names no format of a comparison: {suffixes} do, or say --format.")
        chosen = found[0]
    return chosen


def write_text(path: str, text: str) -> None:
    """To a file or stdout. Raises `OutputError`."""
    with writing(path) as file:
        file.write(text.encode("utf-8", "replace"))


@contextlib.contextmanager
def writing(path: str) -> Iterator[BinaryIO]:
    """A file that is whole or not there, or stdout. Raises `OutputError`."""
    try:
        if path == STDOUT:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        else:
            with replaced_file(path) as file:
                yield file
            give_to_invoking_user(path)
    except BrokenPipeError:
        raise
    except OSError as error:
        name = "stdout" if path == STDOUT else path
        raise OutputError(f"{name} can't be written: {error.strerror or error}.") from error


def colourful() -> bool:
    """Whether stdout is a terminal whose user wants colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
