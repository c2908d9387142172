"""What a profile has that a format may have no place for: the words with which `convert` tells of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dtrace_profiler.model.frame import FrameKind
from dtrace_profiler.model.profile import Profile

_PRESENT: Mapping[str, Callable[[Profile], bool]] = {
    "times": lambda profile: any(profile.timestamp_ns),
    "threads": lambda profile: len(profile.threads) > 1 or any(thread.name for thread in profile.threads),
    "stacks": lambda profile: any(parent >= 0 for parent in profile.parent),
    "addresses": lambda profile: any(frame.address for frame in profile.frames),
    "files": lambda profile: any(frame.file for frame in profile.frames),
    "files of native functions": lambda profile: any(
        frame.file and frame.kind is not FrameKind.PYTHON for frame in profile.frames
    ),
    "lines within functions": lambda profile: any(
        frame.first_line and frame.line not in (0, frame.first_line) for frame in profile.frames
    ),
    "modules of Python functions": lambda profile: any(
        frame.kind is FrameKind.PYTHON and frame.module_name and frame.file for frame in profile.frames
    ),
    "what was lost": lambda profile: any(profile.meta.losses.values()) or bool(profile.lost),
    "when and how it was taken": lambda profile: bool(
        profile.meta.start_ns
        or profile.meta.duration_ns
        or profile.meta.frequency_hz
        or profile.meta.target
        or profile.meta.system
        or profile.meta.versions
    ),
    "versions": lambda profile: bool(profile.meta.versions),
    "notes": lambda profile: bool(profile.meta.notes),
}


def present(profile: Profile, *phrases: str) -> list[str]:
    """Those of the phrases that name something which the profile really has."""
    return [phrase for phrase in phrases if _PRESENT[phrase](profile)]
