"""A Python program that we start with the sampler inside it, with the face that `DTraceProfiler` shows."""

from __future__ import annotations

import os
import platform
import shlex
import time
from collections.abc import Mapping, Sequence

from dtrace_profiler._version import __version__
from dtrace_profiler.collector import Collector
from dtrace_profiler.errors import DTraceProfilerError
from dtrace_profiler.model.options import Options
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.record.recording_file import RecordingFile
from dtrace_profiler.sampling.launch import prepare

SAMPLED_INSIDE = "Sampled inside the program:"
"""How the note begins that says why DTrace isn't used."""


class SampledProgram:
    """Start `command` with `environ`, and what it samples arrives here.

    Raises `TargetError` for a command that surely runs no Python, `OutputError` for the recording. `reason`: why
    DTrace isn't used, empty where it wasn't wanted.
    """

    def __init__(
        self,
        command: Sequence[str],
        options: Options,
        *,
        record: str | None = None,
        reason: str = "",
        keep_s: float = 0.0,
    ) -> None:
        launch = prepare(list(command), options)
        self.command = launch.command
        self.environ = {**os.environ, **launch.environment}
        self.error: DTraceProfilerError | None = None
        self._reader = launch.reader
        self._options = options
        self._reason = reason
        self._target_text = shlex.join(command)
        self._collector = Collector(keep_s=keep_s)
        self._recording: RecordingFile | None = None
        self._started_ns = time.time_ns()
        self._stopped_ns = 0
        try:
            if record is not None:
                self._recording = RecordingFile(record, self.meta())
        except BaseException:
            self._reader.finish()
            raise
        self._reader.start(self._collector.sink(None if self._recording is None else self._recording.writer))

    @property
    def collector(self) -> Collector:
        """Where the samples arrive: for the live view."""
        return self._collector

    @property
    def running(self) -> bool:
        return not self._stopped_ns

    @property
    def sample_count(self) -> int:
        return self._collector.total

    @property
    def losses(self) -> Mapping[str, int]:
        out = self._reader.losses
        if self._collector.expired:
            out["expired_samples"] = self._collector.expired
        return {name: count for name, count in out.items() if count}

    @property
    def target_ended(self) -> bool:
        """Never known here: who has started the program sees its end."""
        return False

    def stop(self) -> None:
        """Takes in what is left, also of a program that goes on and is then no longer sampled. Safe to call again."""
        if self._stopped_ns:
            return
        self._stopped_ns = time.time_ns()
        self._reader.finish()
        if self._recording is not None:
            self.error = self._recording.close(self.meta())
            self._recording = None

    def profile(self) -> Profile:
        """A snapshot of all samples so far."""
        return self._collector.snapshot(self.meta())

    def meta(self) -> Meta:
        """What a `profile` of now would say of itself."""
        pythons = sorted({process.version for process in self._reader.processes if process.version})
        notes = self._reader.notes if self._stopped_ns else []
        if self._reason:
            notes = [f"{SAMPLED_INSIDE} {self._reason} Native and kernel frames are missing.", *notes]
        begin_ns = min((process.start_ns for process in self._reader.processes if process.start_ns), default=0)
        begin_ns = begin_ns or self._started_ns
        meta = Meta(
            engine="sampler",
            unit="nanoseconds",
            frequency_hz=self._options.frequency_hz,
            start_ns=begin_ns,
            duration_ns=max(0, (self._stopped_ns or time.time_ns()) - begin_ns),
            target=self._target_text,
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            versions={"dtrace-profiler": __version__, **({"python": ", ".join(pythons)} if pythons else {})},
            losses=self.losses,
            notes=notes,
        )
        return self._collector.kept(meta)
