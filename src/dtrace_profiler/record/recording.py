"""The text of a recording: what dtrace printed, with facts on `#` lines between its records.

Samples that the profile doesn't show are not in it either: our own threads', and those that the other of two programs
has taken as well.

    # dtrace-profiler recording 1
    # {"meta": {…}}                         what was asked for, of what, by what
    # {"program": "…"}                      the D program
    # {"frame": [number, name, module, file, line, first line, kind, address]}
    # {"stack": [[pid, n, k, h, pc], [frame numbers, root first]]}       what a sample with these numbers means
    # {"thread": [pid, tid, name]}
    # {"mapped": [pid, start, end, offset, path, build id]}  a file that native frames are of
    # {"sample": [time, pid, tid, stack number, value]}      from the embedded sampler: nanoseconds of CPU time
    # {"labels": [number, [[key, value], …]]}                what a program said of its work
    # {"labelled": [time, number]}          so did the thread of the sample before this, of this time
    # {"lost": [time, count]}               when something was lost; what, in all, is told at the end
    # {"end": {…}}                          duration, losses, notes

So everything in it can be named later and elsewhere, without the program's files. A fact comes before or after the
samples that need it, in any order. A stack that is given anew means, from there on, something else: its process has
executed another program. A recording that was cut short lacks its end, nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from dtrace_profiler.model.frame import Labels, StackFrame
from dtrace_profiler.model.profile import MappedFile
from dtrace_profiler.record.parse import Record, text_of

FIRST_LINE = b"# dtrace-profiler recording 1"


class RecordingWriter:
    """Writes one recording. Not thread-safe. `OSError` where the file can't take it (disk full)."""

    def __init__(self, file: BinaryIO, meta: Mapping[str, Any]) -> None:
        self._file = file
        self._frames: dict[StackFrame, int] = {}
        self._labels: dict[Labels, int] = {}
        self._lines: list[bytes] = [FIRST_LINE + b"\n"]
        self.fact("meta", dict(meta))
        self.flush()

    def fact(self, name: str, value: object) -> None:
        # ensure_ascii: names may hold lone surrogates, which no encoding takes.
        self._lines.append(b"# " + json.dumps({name: value}, separators=(",", ":")).encode("ascii") + b"\n")

    def record(self, record: Record) -> None:
        self._lines.append(text_of(record))

    def stack(self, key: Sequence[int], frames: Sequence[StackFrame]) -> None:
        numbers = []
        for frame in frames:
            number = self._frames.get(frame)
            if number is None:
                number = self._frames[frame] = len(self._frames)
                self.fact(
                    "frame",
                    [
                        number,
                        frame.function_name,
                        frame.module_name,
                        frame.file,
                        frame.line,
                        frame.first_line,
                        str(frame.kind),
                        frame.address,
                    ],
                )
            numbers.append(number)
        self.fact("stack", [list(key), numbers])

    def mapped(self, file: MappedFile) -> None:
        self.fact("mapped", [file.process_id, file.start, file.end, file.offset, file.path, file.build_id])

    def labelled(self, timestamp_ns: int, labels: Labels) -> None:
        """Of the sample that was written last."""
        number = self._labels.get(labels)
        if number is None:
            number = self._labels[labels] = len(self._labels)
            self.fact("labels", [number, labels])
        self.fact("labelled", [timestamp_ns, number])

    def flush(self) -> None:
        """Write what has come since the last time."""
        lines, self._lines = self._lines, []
        self._file.write(b"".join(lines))
        self._file.flush()

    def end(self, summary: Mapping[str, Any]) -> None:
        self.fact("end", dict(summary))
        self.flush()
