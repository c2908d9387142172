"""A recording on a disk: opened with what is asked for, ended with what came of it."""

from __future__ import annotations

import contextlib
import os

from dtrace_profiler.errors import OutputError
from dtrace_profiler.model.profile import Meta
from dtrace_profiler.record.recording import RecordingWriter


class RecordingFile:
    """`writer` takes the records. Raises `OutputError` where it can't be opened. `process_id`: 0, if several."""

    def __init__(self, path: str | os.PathLike[str], meta: Meta, *, process_id: int = 0) -> None:
        self._path = path
        try:
            self._file = open(path, "wb")  # noqa: SIM115 - closed by close
        except OSError as error:
            raise OutputError(f"the recording {path} can't be written: {error.strerror or error}.") from error
        facts = {
            "frequency_hz": meta.frequency_hz,
            "start_ns": meta.start_ns,
            "target": meta.target,
            **({"pid": process_id} if process_id else {}),
            "system": meta.system,
            "versions": dict(meta.versions),
        }
        self.writer = RecordingWriter(self._file, facts)

    def close(self, meta: Meta) -> OutputError | None:
        """Returns what went wrong with the end, instead of raising it."""
        try:
            self.writer.end(
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
            return OutputError(f"the recording {self._path} is incomplete: {error.strerror or error}.")
        finally:
            with contextlib.suppress(OSError):
                self._file.close()
        return None

    def after_fork(self) -> None:
        """In a forked child: the parent writes on; nothing buffered here may be written a second time."""
        with contextlib.suppress(OSError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), self._file.fileno())
