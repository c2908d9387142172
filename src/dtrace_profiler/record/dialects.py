"""The two families of DTrace: what program they run, with which options, and how what it prints is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from dtrace_profiler.platforms.facts import SystemFacts
from dtrace_profiler.record import program
from dtrace_profiler.record.classic import classic_options, classic_program
from dtrace_profiler.record.classic_parse import ClassicParser
from dtrace_profiler.record.parse import Parser, Record
from dtrace_profiler.record.program import ProgramRequest


class RecordParser(Protocol):
    """Bytes in any chunks → records."""

    def feed(self, data: bytes) -> Iterator[Record]: ...

    def close(self) -> Iterator[Record]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One family, on one system."""

    program: Callable[[ProgramRequest], str]
    options: Callable[[ProgramRequest], list[str]]
    parser: Callable[[], RecordParser]
    classic: bool
    """dtrace names native frames itself, counts samples for a while, and can't be told anything while it runs."""


def dialect(system: SystemFacts, *, classic: bool = False) -> Dialect:
    """That of a system; with `classic` the old one, which all of them understand."""
    if system.dialect == "linux" and not classic:
        return Dialect(program=program.d_program, options=program.options, parser=Parser, classic=False)
    return Dialect(
        program=lambda request: classic_program(request, system),
        options=lambda request: classic_options(request, system),
        parser=ClassicParser,
        classic=True,
    )
