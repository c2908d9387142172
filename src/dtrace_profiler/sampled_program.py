"""A Python program that we start with the sampler inside it, with the face that `DTraceProfiler` shows."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from dtrace_profiler._version import __version__
from dtrace_profiler.collector import Collector
from dtrace_profiler.errors import DTraceProfilerError, OutputError
from dtrace_profiler.model.options import Options
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.record.recording import RecordingWriter
from dtrace_profiler.sampling.launch import prepare

SAMPLED_INSIDE = "Sampled inside the program:"
"""How the note begins that says why DTrace isn't used."""


class SampledProgram:
    """Start `command` with `environ`, and what it samples arrives here.

    Raises `TargetError` for a command that surely runs no Python, `OutputError` for the recording. `reason`: why
    DTrace isn't used, empty where it wasn't wanted.
    """

    def __init__(
        self, command: Sequence[str], options: Options, *, record: str | None = None, reason: str = ""
    ) -> None:
        launch = prepare(list(command), options)
        self.command = launch.command
        self.environ = {**os.environ, **launch.environment}
        self.error: DTraceProfilerError | None = None
        self._reader = launch.reader
        self._options = options
        self._reason = reason
        self._target_text = shlex.join(command)
        self._collector = Collector()
        self._record = record
        self._file: BinaryIO | None = None
        self._recording: RecordingWriter | None = None
        self._started_ns = time.time_ns()
        self._stopped_ns = 0
        try:
            self._open_recording()
        except BaseException:
            self._reader.finish()
            raise
        self._reader.start(self._collector.sink(self._recording))

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
        self._close_recording()

    def profile(self) -> Profile:
        """A snapshot of all samples so far."""
        return self._collector.snapshot(self._meta())

    def _meta(self) -> Meta:
        pythons = sorted({process.version for process in self._reader.processes if process.version})
        notes = self._reader.notes if self._stopped_ns else []
        if self._reason:
            notes = [f"{SAMPLED_INSIDE} {self._reason} Native and kernel frames are missing.", *notes]
        begin_ns = min((process.start_ns for process in self._reader.processes if process.start_ns), default=0)
        begin_ns = begin_ns or self._started_ns
        return Meta(
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

    def _open_recording(self) -> None:
        if self._record is None:
            return
        try:
            self._file = open(self._record, "wb")  # noqa: SIM115 - closed by _close_recording
        except OSError as error:
            raise OutputError(f"the recording {self._record} can't be written: {error.strerror or error}.") from error
        meta = self._meta()
        self._recording = RecordingWriter(
            self._file,
            {
                "frequency_hz": meta.frequency_hz,
                "start_ns": meta.start_ns,
                "target": meta.target,
                "system": meta.system,
                "versions": dict(meta.versions),
            },
        )

    def _close_recording(self) -> None:
        recording, file = self._recording, self._file
        self._recording = self._file = None
        if recording is None or file is None:
            return
        meta = self._meta()
        try:
            recording.end(
                {
                    "engine": meta.engine,
                    "unit": meta.unit,
                    "start_ns": meta.start_ns,
                    "duration_ns": meta.duration_ns,
                    "losses": dict(meta.losses),
                    "notes": list(meta.notes),
                    "versions": dict(meta.versions),
                }
            )
        except OSError as error:
            self.error = OutputError(f"the recording {self._record} is incomplete: {error.strerror or error}.")
        finally:
            with contextlib.suppress(OSError):
                file.close()
