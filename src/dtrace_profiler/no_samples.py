"""Why a profile is empty, or nearly so: never silently.

In: what is known of the target and its system, before and after. Out: one sentence, the likeliest reason first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dtrace_profiler.platforms.base import System, system
from dtrace_profiler.platforms.linux import process_state
from dtrace_profiler.platforms.processes import cpu_seconds, process_exists

_LITTLE_S = 0.05


@dataclass(frozen=True, slots=True)
class Observed:
    """Of a target from which no sample came."""

    system: System
    ended: bool
    stopped: bool
    used_cpu_s: float | None
    """While it was watched; None where the system doesn't tell."""
    losses: Mapping[str, int]


def why_no_samples(seen: Observed) -> str:
    """One sentence."""
    if seen.losses.get("probe_faults"):
        if seen.system == "macos":
            return (
                "No sample: System Integrity Protection keeps DTrace from looking into this program, as it is"
                " protected: see docs/install/macos.md#system-integrity-protection."
            )
        return "No sample: each time, DTrace met memory of the target that it could not read."
    if any(count for name, count in seen.losses.items() if name.endswith("drops") or name == "unprinted_samples"):
        return "No sample: dtrace dropped all of them, as the losses say. Try a lower frequency."
    if seen.ended:
        return "No sample: the target ended, or had ended, before it was seen on a CPU."
    if seen.stopped:
        return "No sample: the target is stopped (by Ctrl-Z, a debugger or SIGSTOP), so it runs nothing."
    if seen.used_cpu_s is not None and seen.used_cpu_s > _LITTLE_S:
        return (
            f"No sample, although the target used {seen.used_cpu_s:.1f} s of CPU time: something is wrong."
            " Please report it, with the output of: dtrace-profiler doctor --selftest"
        )
    return "No sample: the target did not use the CPU while it was watched. It is idle, or it is the wrong process."


_FEW_SAMPLES = 20


def why_single_frames(on: System, samples: int, single: int) -> str:
    """A sentence where nearly all native stacks have one frame, though more were asked for; else nothing."""
    if samples < _FEW_SAMPLES or single < 0.9 * samples:
        return ""
    seen = f"{single:,} of {samples:,} native stacks have a single frame"
    if on == "windows":
        return f"{seen}: DTrace on Windows sees no callers in many programs. Python frames don't depend on it."
    return (
        f"{seen}: the program keeps no frame pointers, so its callers can't be seen."
        " Compile it with -fno-omit-frame-pointer; Python frames don't depend on it."
    )


class Watched:
    """A target from the moment that it is watched."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cpu_s = cpu_seconds(pid)

    def why_no_samples(self, losses: Mapping[str, int]) -> str:
        here = system()
        before, now = self._cpu_s, cpu_seconds(self._pid)
        return why_no_samples(
            Observed(
                system=here,
                ended=not process_exists(self._pid),
                stopped=here == "linux" and process_state(self._pid) in ("T", "t"),
                used_cpu_s=None if before is None or now is None else now - before,
                losses=losses,
            )
        )
