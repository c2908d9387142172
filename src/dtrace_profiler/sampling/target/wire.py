"""What a sampled program writes for us: a file of lines, in a private folder.

Loaded by path into the sampled program, see `bootstrap.py`: only built-in modules, syntax of Python 3.8. The reader
is `reader.py`. A line is a letter and fields, with tabs between; in texts, backslash, tab, newline and carriage
return are escaped, and what isn't Unicode is written as `backslashreplace` does. Numbers are decimal.

    P  pid  parent  start_ns  version  executable  argument...     first line of a process
    F  number  line  first_line  function  module  file              a frame
    S  number  frame frame ...                                       a stack, leaf first
    T  timestamp_ns  thread_id  stack  cpu_ns                        a sample
    X                                                                numbers of F and S begin anew
    L  name  count                                                   so many lost until now
    N  text                                                          a sentence for the user
    E  timestamp_ns                                                  sampling has ended, as it should

A process writes `PID-START.0`, and goes on in `PID-START.1` when that has `SEGMENT_BYTES`, so that the reader can
remove what it has read. Lines are appended by whole writes to a file of one process, so one that is killed, or
forks, leaves nothing but whole lines, or at worst a last one without its end.
"""

from __future__ import annotations

import os
import sys
import time

FLUSH_NS = 10_000_000
"""At most so much is lost when the program leaves by `os._exit` or a signal."""
SEGMENT_BYTES = 8_000_000
HEARTBEAT_NS = 30_000_000_000
"""The reader touches `ALIVE` every second or so. Unchanged for so long: it is gone, and nobody removes the files."""
ALIVE = "alive"


def escape(text: str) -> str:
    if "\\" in text or "\t" in text or "\n" in text or "\r" in text:
        text = text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return text


class FileOutput:
    """The sampler's `Output` into a folder. It never raises: where the file can't be written, sampling ends."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lines: list[str] = []
        self.losses: dict[str, int] = {}
        """The sampler's own, written when they change."""
        self._open_process()

    def _open_process(self) -> None:
        start = time.time_ns()
        self._name = os.path.join(self._folder, "%d-%d." % (os.getpid(), start))  # noqa: UP031
        self._segment = 0
        self._size = 0
        self._fd = -1
        self._written_ns = 0
        self._seen_alive = (0.0, time.monotonic_ns())
        self._lost: dict[str, int] = {}
        self._lines = []
        version = ".".join(map(str, sys.version_info[:3]))
        arguments = getattr(sys, "orig_argv", None) or [sys.executable or ""]
        fields = [str(os.getpid()), str(os.getppid()), str(start), version, sys.executable or ""]
        self._line("P", *map(escape, fields + [str(argument) for argument in arguments[1:]]))
        self._open_file()

    def _open_file(self) -> None:
        """Opened at a high number, so that the program's own files get the numbers they always had."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        low = os.open(self._name + str(self._segment), flags, 0o600)
        status = os.fstat(low)
        self._identity = (status.st_dev, status.st_ino)
        self._size = status.st_size
        for number in (4000, 1000, 500, 240, 120, 60):
            try:
                os.fstat(number)
            except OSError:
                try:
                    self._fd = os.dup2(low, number, inheritable=False)
                except OSError:  # above the limit of open files
                    continue
                os.close(low)
                return
        self._fd = low

    def _still_ours(self) -> bool:
        """A program may close all files it can find; the number may then be another file's."""
        try:
            status = os.fstat(self._fd)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def _line(self, *fields: str) -> None:
        self._lines.append("\t".join(fields))

    def frame(self, number: int, function: str, module: str, file: str, line: int, first_line: int) -> None:
        self._line("F", str(number), str(line), str(first_line), escape(function), escape(module), escape(file))

    def stack(self, number: int, frames: tuple[int, ...]) -> None:
        self._line("S", str(number), " ".join(map(str, frames)))

    def sample(self, timestamp_ns: int, thread_id: int, stack: int, cpu_ns: int) -> None:
        self._lines.append("T\t%d\t%d\t%d\t%d" % (timestamp_ns, thread_id, stack, cpu_ns))  # noqa: UP031

    def forget(self) -> None:
        self._line("X")

    def note(self, text: str) -> None:
        self._line("N", escape(text))

    def flush(self, now_ns: int, force: bool) -> bool:
        if not force and now_ns - self._written_ns < FLUSH_NS:
            return True
        self._written_ns = now_ns
        if self.losses != self._lost:
            for name, count in list(self.losses.items()):
                if self._lost.get(name) != count:
                    self._line("L", escape(name), str(count))
                    self._lost[name] = count
        if not self._lines:
            return True
        data = ("\n".join(self._lines) + "\n").encode("utf-8", "backslashreplace")
        self._lines = []
        try:
            if self._size > SEGMENT_BYTES:
                self._close()
                self._segment += 1
                self._open_file()
            elif not self._still_ours():
                self._open_file()
            self._write(data)
        except OSError:  # disk full, folder gone
            self._close()
            return False
        return force or self._reader_lives(now_ns)

    def _write(self, data: bytes) -> None:
        self._size += len(data)
        while data:
            data = data[os.write(self._fd, data) :]

    def _close(self) -> None:
        if self._fd >= 0 and self._still_ours():
            os.close(self._fd)
        self._fd = -1

    def _reader_lives(self, now_ns: int) -> bool:
        changed, since_ns = self._seen_alive
        if now_ns - since_ns < HEARTBEAT_NS // 10:
            return True
        try:
            touched = os.stat(os.path.join(self._folder, ALIVE)).st_mtime
        except OSError:
            touched = changed
        if touched != changed:
            self._seen_alive = (touched, now_ns)
            return True
        if now_ns - since_ns < HEARTBEAT_NS:
            return True
        self._close()
        return False

    def close(self) -> None:
        self._line("E", str(time.time_ns()))
        self.flush(0, True)

    def after_fork(self, follow: bool) -> None:
        """The parent's file stays the parent's."""
        self._close()
        if not follow:
            return
        try:
            self._open_process()
        except OSError:
            self._fd = -1
