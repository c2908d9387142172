"""The function that a question names: by its name, or its module or file and its name."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from difflib import get_close_matches

from dtrace_profiler.errors import UsageError
from dtrace_profiler.formats.names import shown
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.identity import MergedFrames, merge_frames
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.wildcard import matches
from dtrace_profiler.query.answer import text

_SUGGESTED = 3
_MOST_COMPARED = 20_000
"""Names among which one that is alike is looked for."""


@dataclass(frozen=True, slots=True)
class Matched:
    merged: MergedFrames
    """All functions of the profile."""
    chosen: Set[int]
    """Indices into `merged.frames`; never empty."""


def find_functions(profile: Profile, pattern: str) -> Matched:
    """All functions that the pattern names: `name`, `module:name` or `file:name`; `*` stands for any characters.

    A name that is exactly so counts alone; only where there is none is `*` any characters. Raises `UsageError` with
    names that are alike where no function is called so.
    """
    merged = merge_frames(profile.frames, "function")
    exact = {index for index, frame in enumerate(merged.frames) if pattern in _names(frame)}
    chosen = exact or {
        index for index, frame in enumerate(merged.frames) if any(matches(pattern, name) for name in _names(frame))
    }
    if not chosen:
        raise UsageError(f"no function is called {shown(pattern)!r}{_alike(pattern, merged)}.")
    return Matched(merged, chosen)


def _names(frame: StackFrame) -> tuple[str, ...]:
    name = text(frame.function_name)
    file = frame.file.replace("\\", "/").rpartition("/")[2]
    return name, f"{text(frame.module_name)}:{name}", f"{text(file)}:{name}"


def _alike(pattern: str, merged: MergedFrames) -> str:
    names = list(dict.fromkeys(text(frame.function_name) for frame in merged.frames))
    wanted = pattern.rpartition(":")[2].strip("*").lower()
    found = [name for name in names if wanted and wanted in name.lower()][:_SUGGESTED]
    found = found or get_close_matches(pattern, names[:_MOST_COMPARED], _SUGGESTED)
    return f": what is like it is {', '.join(shown(name) for name in found)}" if found else ""
