"""Reads what sampled programs write (`target/wire.py` has the form) while they write it."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.sampling.stacks import StackTable
from dtrace_profiler.sampling.target.wire import ALIVE

POLL_S = 0.1
_NAME = re.compile(r"(\d+-\d+)\.(\d+)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}

SamplerSample = tuple[int, int, int, tuple[StackFrame, ...], int]
"""(timestamp_ns, process_id, thread_id, frames root first, cpu_time_ns)"""
SampleSink = Callable[[Iterable[SamplerSample]], None]


def unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[0]), text) if "\\" in text else text


@dataclass(slots=True, kw_only=True)
class SampledProcess:
    """What a process has told of itself."""

    process_id: int = 0
    parent_id: int = 0
    start_ns: int = 0
    version: str = ""
    executable: str = ""
    arguments: tuple[str, ...] = ()
    samples: int = 0
    ended: bool = False
    """It said so. False: it runs, was killed, left by `os._exit`, or became another program."""
    losses: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Stream:
    """The lines of one process, in chunks of any size. Pure. A line that is damaged is counted, never an error."""

    def __init__(self) -> None:
        self.process = SampledProcess()
        self._table = StackTable()
        self._rest = b""

    def feed(self, data: bytes) -> list[SamplerSample]:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        samples: list[SamplerSample] = []
        for line in lines:
            fields = line.decode("utf-8", "replace").split("\t")
            try:
                self._take(fields, samples)
            except (ValueError, IndexError, TypeError, OverflowError):
                self.process.losses["damaged_lines"] = self.process.losses.get("damaged_lines", 0) + 1
        self.process.samples += len(samples)
        return samples

    def _take(self, fields: list[str], samples: list[SamplerSample]) -> None:
        match fields[0]:
            case "T":
                timestamp, thread, stack, cpu = map(int, fields[1:])
                samples.append((timestamp, self.process.process_id, thread, self._table.stack(stack), cpu))
            case "S":
                self._table.add_stack(int(fields[1]), [int(number) for number in fields[2].split()])
            case "F":
                number, line, first_line = map(int, fields[1:4])
                function, module, file = map(unescape, fields[4:7])
                self._table.add_frame(number, function, module, file, line, first_line)
            case "X":
                self._table.forget()
            case "L":
                self.process.losses[unescape(fields[1])] = int(fields[2])
            case "N":
                self.process.notes.append(unescape(fields[1]))
            case "E":
                self.process.ended = True
            case "P":
                process = self.process
                process.process_id, process.parent_id, process.start_ns = map(int, fields[1:4])
                process.version, process.executable, *arguments = map(unescape, fields[4:])
                process.arguments = tuple(arguments)
            case _:
                raise ValueError(fields[0])


class Reader:
    """Reads the folder that `launch.prepare` made, in a thread of its own, until `finish`.

    Order: `start`, then start the program, `finish` after it has ended.
    """

    def __init__(self, folder: Path, *, notes: Iterable[str] = ()) -> None:
        self.folder = folder
        self._streams: dict[str, Stream] = {}
        self._files: dict[str, tuple[int, int]] = {}
        """Name of a stream → (segment, position in it)."""
        self._notes = list(notes)
        self._failures: dict[str, str] = {}
        self._sink: SampleSink | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._beat()

    @property
    def processes(self) -> list[SampledProcess]:
        """Those that loaded the sampler, in order of their start."""
        return sorted((stream.process for stream in self._streams.values()), key=lambda process: process.start_ns)

    @property
    def losses(self) -> dict[str, int]:
        out: dict[str, int] = {}
        for process in self.processes:
            for name, count in list(process.losses.items()):
                out[name] = out.get(name, 0) + count
        return out

    @property
    def notes(self) -> list[str]:
        """Sentences for a person; complete after `finish`."""
        out = list(self._notes)
        for process in self.processes:
            out += [note for note in process.notes if note not in out]
        for name, reason in self._failures.items():
            out.append(f"process {name.partition('-')[2]} could not be sampled: {reason}")
        if not self._streams and not self._failures:
            out.append(
                "nothing was sampled: no Python of the command loaded the sampler. It can't where the command runs no"
                " Python, clears the environment, or starts Python from another program with -E, -I or -S."
            )
        return out

    @property
    def thread_ids(self) -> set[int]:
        """Native ids of the threads that read: they must not appear in a profile of our own process."""
        thread = self._thread
        return set() if thread is None or thread.native_id is None else {thread.native_id}

    def start(self, sink: SampleSink) -> None:
        """Hand samples to `sink`, from a thread, in batches, until `finish`."""
        self._sink = sink
        self._thread = threading.Thread(target=self._run, name="dtrace-profiler reader", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Read what is left and remove the folder. May be called again."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self.poll()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self) -> None:
        while not self._ending.wait(POLL_S):
            self.poll()

    def poll(self) -> int:
        """Read all that is there now. Returns the number of samples."""
        self._beat()
        try:
            names = os.listdir(self.folder)
        except OSError:
            return 0
        for name in names:
            match = _NAME.fullmatch(name)
            if match and match[1] not in self._files:
                self._files[match[1]] = (0, 0)
                self._streams[match[1]] = Stream()
            elif name.startswith("failed-") and name not in self._failures:
                self._failures[name] = (self.folder / name).read_text("utf-8", "replace") or "reason unknown."
        return sum(self._read(name) for name in self._files)

    def _read(self, name: str) -> int:
        count = 0
        segment, position = self._files[name]
        while True:
            path = self.folder / f"{name}.{segment}"
            following = self.folder / f"{name}.{segment + 1}"
            done = following.exists()  # asked before the reading: then nothing more comes to this one
            try:
                with open(path, "rb") as file:
                    file.seek(position)
                    while data := file.read(1 << 20):
                        position += len(data)
                        samples = self._streams[name].feed(data)
                        count += len(samples)
                        if samples and self._sink is not None:
                            self._sink(samples)
            except OSError:
                break
            if not done:
                break
            path.unlink(missing_ok=True)
            segment, position = segment + 1, 0
        self._files[name] = (segment, position)
        return count

    def _beat(self) -> None:
        """Tell the programs that somebody reads."""
        try:
            (self.folder / ALIVE).touch()
        except OSError:
            pass
