"""What the user asked for, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dtrace_profiler.errors import UsageError

EngineName = Literal["auto", "dtrace", "sampler"]
NativeMode = Literal["none", "leaf", "full"]

MIN_FREQUENCY_HZ = 1
MAX_FREQUENCY_HZ = 4999
"""Every DTrace refuses intervals below 200 microseconds (`profile_interval_min`)."""
DEFAULT_FREQUENCY_HZ = 99
DEFAULT_DEPTH = 128
MAX_DEPTH = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A request. Raises `UsageError` with the limit in its text where a value is out of range."""

    frequency_hz: int = DEFAULT_FREQUENCY_HZ
    depth: int = DEFAULT_DEPTH
    """Frames kept of a stack's leaf side, Python and native each."""
    kernel: bool = False
    children: bool = False
    native: NativeMode = "full"
    python: bool = True
    glue: bool = False
    """Show CPython's own evaluation frames between a Python frame and its callees."""
    engine: EngineName = "auto"
    duration_s: float | None = None
    classic: bool = False
    """Sample as other systems than Linux have to: count stacks for a while, with dtrace's own names."""

    def __post_init__(self) -> None:
        frequency = self.frequency_hz
        if isinstance(frequency, bool) or not isinstance(frequency, int):
            raise UsageError(f"frequency must be a whole number of Hz, 1 to 4999, not {frequency!r}.")
        if not MIN_FREQUENCY_HZ <= frequency <= MAX_FREQUENCY_HZ:
            raise UsageError(
                f"frequency {frequency} Hz is out of range: DTrace samples at"
                f" {MIN_FREQUENCY_HZ} to {MAX_FREQUENCY_HZ} Hz."
            )
        if isinstance(self.depth, bool) or not isinstance(self.depth, int) or not 1 <= self.depth <= MAX_DEPTH:
            raise UsageError(f"depth {self.depth!r} is out of range: 1 to {MAX_DEPTH} frames.")
        if self.duration_s is not None and not self.duration_s > 0:
            raise UsageError(f"duration {self.duration_s!r} s is out of range: it must be above 0.")
        if self.engine not in ("auto", "dtrace", "sampler"):
            raise UsageError(f"engine {self.engine!r} is not known: auto, dtrace or sampler.")
        if self.native not in ("none", "leaf", "full"):
            raise UsageError(f"native {self.native!r} is not known: none, leaf or full.")
