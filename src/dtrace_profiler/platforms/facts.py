"""What the rest of the code must know of a system, as values: one `SystemFacts` for each, in the system's own file.

Each module below `platforms/` named after a system has `FACTS`; none imports another. Marks of where a fact is from
(run, read, believed) are in docs/platforms.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dtrace_profiler.platforms.base import System


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFacts:
    """Of one operating system."""

    system: System
    title: str
    """As people write it."""
    directories: tuple[str, ...]
    """Where dtrace is when PATH doesn't say. `%NAME%` stands for a variable of the environment."""
    install: str = ""
    """The command, or the words, that bring DTrace."""
    minimum_version: tuple[int, ...] = ()
    """Older ones can't run our programs."""
    safe_version: tuple[int, ...] = ()
    """Older ones have holes that are known."""
    dialect: Literal["linux", "classic"] = "classic"
    """`linux`: DTrace 2.x on BPF; `classic`: everything that descends from Solaris's."""
    options: tuple[str, ...] = ()
    """dtrace's `-x` options that every program gets here."""
    tick_everywhere: bool = False
    """`tick` probes of an idle processor may not fire: the printing is done by whichever processor does something."""
    is_descendant: str = "progenyof({pid})"
    """D expression: the sampled process descends from this one. Empty: there is none."""
    long_bytes: int = 8
    """Of C's `long`, in which CPython keeps a thread's id."""
    thread_pointers: Mapping[str, str] = field(default_factory=dict)
    """Machine → D expression of the sampled thread's pointer; where there is none the thread that holds the GIL is
    asked for instead."""
    root: str = "root"
    """Who may use DTrace, in words."""
    page: str = ""
    """What to read: a page below docs/."""
