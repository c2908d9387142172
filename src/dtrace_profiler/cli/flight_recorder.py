"""The flight recorder: the last seconds are kept, and written when somebody asks, or the program uses too much CPU.

Asked for by `SIGUSR2` sent to us, by the line `s` on the terminal (`attach`), or by `--save-when`. Sampling goes on
meanwhile. A save that fails is told, and is the only thing lost.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from dataclasses import dataclass, replace
from typing import Protocol

from dtrace_profiler.cli import report
from dtrace_profiler.cli.interrupts import Interrupts
from dtrace_profiler.cli.outputs import Output, Outputs
from dtrace_profiler.collector import Collector
from dtrace_profiler.errors import OutputError, UsageError
from dtrace_profiler.model.cpu_threshold import CpuThreshold, CpuWatch
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.platforms.terminal import in_foreground

SAVE_SIGNAL = "SIGUSR2"


class Recorded(Protocol):
    @property
    def collector(self) -> Collector: ...
    def profile(self) -> Profile: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRequest:
    """`--keep` and `--save-when`."""

    seconds: float
    threshold: CpuThreshold | None = None


def keep_request(keep_s: float | None, save_when: str | None, outputs: Outputs) -> KeepRequest | None:
    """None without `--keep`. Raises `UsageError`."""
    if keep_s is None:
        if save_when is not None:
            raise UsageError("--save-when saves what --keep keeps: add --keep 60s.")
        return None
    if outputs.recording is not None:
        raise UsageError("a recording keeps all, --keep does not: leave out one of them.")
    return KeepRequest(seconds=keep_s, threshold=None if save_when is None else CpuThreshold.parse(save_when))


class FlightRecorder:
    """Looked after from time to time by who watches the profile. Without a request it does nothing."""

    def __init__(self, request: KeepRequest | None, outputs: Outputs, *, quiet: bool, keys: bool) -> None:
        """`keys`: the terminal's input is ours."""
        self._on = request is not None
        self._files = outputs.files()
        self._quiet = quiet
        self._asked = False
        self._keys = keys and self._on and sys.stdin is not None and sys.stdin.isatty()
        threshold = None if request is None else request.threshold
        self._watch = None if threshold is None else CpuWatch(threshold)

    def listen(self, interrupts: Interrupts) -> None:
        """From now on the signal is ours, not the program's."""
        if self._on:
            interrupts.on(SAVE_SIGNAL, self._ask)

    @property
    def hint(self) -> str:
        return "s + Enter saves, Ctrl-C ends" if self._keys else "Ctrl-C ends"

    def due(self, source: Recorded) -> bool:
        """Whether it is time to save."""
        if not self._on:
            return False
        if self._watch is not None and self._watch.reached(time.monotonic(), source.collector.cpu_time_ns):
            self._asked = True
        asked, self._asked = self._asked or self._typed(), False
        return asked

    def save(self, source: Recorded, target_text: str = "") -> None:
        profile = source.profile()
        if target_text:
            profile = replace(profile, meta=replace(profile.meta, target=target_text))
        stamped = replace(self._files, profiles=tuple(_stamped(output) for output in self._files.profiles))
        try:
            stamped.write(profile)
        except OutputError as error:
            report.note(f"{error}", error.remedy)
            return
        if not self._quiet:
            names = ", ".join(output.name for output in stamped.profiles)
            report.note(f"saved {len(profile):,} samples of the last {profile.meta.duration_ns / 1e9:.0f} s: {names}")

    def _ask(self) -> None:
        self._asked = True

    def _typed(self) -> bool:
        if not self._keys or not in_foreground():
            return False
        with contextlib.suppress(OSError, ValueError):
            while select.select([sys.stdin], [], [], 0)[0]:
                line = sys.stdin.readline()
                if not line:
                    self._keys = False
                if line.strip().lower() == "s":
                    return True
        return False


def _stamped(output: Output) -> Output:
    """With the time before its suffix, so that none overwrites another."""
    folder, name = os.path.split(output.path)
    stem, dot, suffix = name.partition(".") if not name.startswith(".") else (name, "", "")
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = os.path.join(folder, f"{stem}-{stamp}{dot}{suffix}")
    number = 1
    while os.path.lexists(path):
        number += 1
        path = os.path.join(folder, f"{stem}-{stamp}-{number}{dot}{suffix}")
    return replace(output, path=path)
