"""What a program prints while the view is up: taken from it at once, kept, and given to the terminal afterwards.

The program has a pseudo-terminal for those of its streams that would go to the terminal, so that it prints as it
always does: by lines, in colours. A thread reads what comes, into a file without a name: nothing is lost, and the
program never waits for whoever looks at the view.
"""

from __future__ import annotations

import contextlib
import os
import select
import tempfile
import threading
from collections.abc import Callable
from typing import Any

_posix: Any = os
_CAN_WAIT = hasattr(os, "openpty")
"""Windows can only read from a pipe, and so waits for all who hold it."""
_PIECE_BYTES = 65536
_TAIL_BYTES = 65536
_GRACE_S = 0.2
"""Who holds the stream beyond the program's end, a process that it has left behind, is read from for so long."""


class Printed:
    """`streams`: descriptors for the program's stdin, stdout and stderr, -1 for ours.

    `captured`: which of 1 and 2 are the terminal. `takes_stdin`: our stdin is the terminal, so the program gets an
    empty one. `put`: writes to where the program would have.
    """

    def __init__(self, captured: tuple[int, ...], *, takes_stdin: bool, put: Callable[[bytes], None]) -> None:
        self._put = put
        self._lock = threading.Lock()
        self._kept: Any = tempfile.TemporaryFile()  # noqa: SIM115 (open until `close`)
        self._rest = b""
        """Of a line that was begun: given on whole, or when nothing follows. A terminal's pieces end anywhere, and
        what we draw ourselves goes over a line that was begun."""
        self._closing = threading.Event()
        self._null = os.open(os.devnull, os.O_RDWR) if takes_stdin else -1
        self._read = self._write = -1
        if captured:
            self._read, self._write = _channel()
        self.streams = (
            self._null,
            self._write if 1 in captured else -1,
            self._write if 2 in captured else -1,
        )
        self._thread = threading.Thread(target=self._take, name="dtrace-profiler printed", daemon=True)

    def started(self) -> None:
        """The program has its streams."""
        for descriptor in (self._null, self._write):
            if descriptor >= 0:
                os.close(descriptor)
        self._null = self._write = -1
        if self._read >= 0:
            self._thread.start()

    def tail(self) -> list[str]:
        """The last lines so far."""
        with self._lock:
            if self._kept is None:
                return []
            size = self._kept.seek(0, os.SEEK_END)
            self._kept.seek(max(0, size - _TAIL_BYTES))
            data = self._kept.read()
            self._kept.seek(0, os.SEEK_END)
        text = data.decode("utf-8", "replace").replace("\r\n", "\n").expandtabs()
        return [line.rpartition("\r")[2] for line in text.split("\n")]

    def let_through(self) -> None:
        """Gives all that was kept to the terminal; what comes from now on goes there at once."""
        with self._lock:
            if self._kept is None:
                return
            self._kept.seek(0)
            while data := self._kept.read(_PIECE_BYTES):
                self._give(data)
            self._kept.close()
            self._kept = None

    def _give(self, data: bytes, *, all_of_it: bool = not _CAN_WAIT) -> None:
        """With the lock."""
        whole, newline, rest = (self._rest + data).rpartition(b"\n")
        if all_of_it or len(rest) > _PIECE_BYTES:
            whole, newline, rest = whole + newline + rest, b"", b""
        given, self._rest = whole + newline, rest
        if given:
            self._put(given)

    def close(self) -> None:
        """The program has ended: takes what is left, and gives it to the terminal. Safe to call again."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(None if _CAN_WAIT else _GRACE_S)
        self.let_through()
        with self._lock:
            self._give(b"", all_of_it=True)
        for descriptor in (self._null, self._write, self._read):
            if descriptor >= 0:
                os.close(descriptor)
        self._null = self._write = self._read = -1

    def _take(self) -> None:
        while True:
            if _CAN_WAIT and not select.select([self._read], [], [], _GRACE_S)[0]:
                if self._closing.is_set():
                    return
                with self._lock:
                    if self._kept is None:
                        self._give(b"", all_of_it=True)
                continue
            data = b""
            with contextlib.suppress(OSError):  # the other end of a pseudo-terminal is closed
                data = os.read(self._read, _PIECE_BYTES)
            if not data:
                return
            with self._lock:
                if self._kept is None:
                    self._give(data)
                else:
                    self._kept.write(data)


def _channel() -> tuple[int, int]:
    """Where to read, and where the program writes: a pseudo-terminal that changes nothing, of the size of ours."""
    if not _CAN_WAIT:
        return os.pipe()
    import termios as _termios

    termios: Any = _termios
    read, write = _posix.openpty()
    attributes = termios.tcgetattr(write)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(write, termios.TCSANOW, attributes)
    with contextlib.suppress(OSError, AttributeError):
        size = os.get_terminal_size(2)
        termios.tcsetwinsize(write, (size.lines, size.columns))
    return read, write
