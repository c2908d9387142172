"""One message of dtrace that we know: what it looks like, what it means, what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dtrace_profiler.errors import DTraceProfilerError
from dtrace_profiler.platforms.base import System


@dataclass(frozen=True, slots=True)
class Message:
    pattern: re.Pattern[str]
    error: type[DTraceProfilerError]
    sentence: str
    remedy: str = ""
    systems: tuple[System, ...] = ()
    page: str = ""
    """Where to read more, below docs/; empty: at the error's own place in errors.md."""


UNKNOWN_PAGE = "errors.md#messages-that-we-do-not-know"
REPORT = "please report this, with the output of: dtrace-profiler doctor"


def row(
    pattern: str, error: type[DTraceProfilerError], sentence: str, remedy: str = "", *systems: System, page: str = ""
) -> Message:
    return Message(re.compile(pattern, re.DOTALL), error, sentence, remedy, systems, page)
