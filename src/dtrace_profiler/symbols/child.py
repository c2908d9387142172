"""A helper program that answers lines with lines (`addr2line`, `c++filt`), kept running and never trusted.

It is asked one line at a time and may take so long and no longer. After its third failure it is not asked again.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Sequence

_MAX_LINE_BYTES = 1 << 16
_MAX_FAILURES = 3


class LineChild:
    """`ask` sends a line, `read_line` takes one line of the answer; None once the program failed."""

    def __init__(self, command: Sequence[str], *, pass_fds: Sequence[int] = (), timeout_s: float = 5.0) -> None:
        self.timeout_s = timeout_s
        self._command = list(command)
        self._pass_fds = tuple(pass_fds)
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._buffer = b""
        self._failures = 0

    @property
    def failed(self) -> bool:
        """Given up: nothing is sent any more."""
        return self._failures >= _MAX_FAILURES

    def ask(self, line: bytes) -> None:
        """Send a line (its end is added). Starts the program on the first call, and again in a forked process."""
        if self.failed:
            return
        try:
            if self._process is None or self._owner != os.getpid():
                self._start()  # in a forked process too: the pipes are the parent's
            pipe = self._process.stdin if self._process else None
            if pipe is not None:
                pipe.write(line + b"\n")
                pipe.flush()
        except (OSError, ValueError):
            self._fail()

    def _start(self) -> None:
        self._owner = os.getpid()
        self._buffer = b""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C", "DEBUGINFOD_URLS": ""},
            pass_fds=self._pass_fds,
        )

    def read_line(self) -> bytes | None:
        """The next line of its answer, without its end; None when it took too long or has ended."""
        deadline = time.monotonic() + self.timeout_s
        while self._process is not None:
            line, found, rest = self._buffer.partition(b"\n")
            if found:
                self._buffer = rest
                return line
            if len(self._buffer) > _MAX_LINE_BYTES or not self._fill(deadline - time.monotonic()):
                self._fail()
        return None

    def _fill(self, timeout_s: float) -> bool:
        process = self._process
        if process is None or process.stdout is None or timeout_s <= 0:
            return False
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                if not selector.select(timeout_s):
                    return False
            data = os.read(process.stdout.fileno(), 1 << 16)
        except OSError:
            return False
        self._buffer += data
        return bool(data)

    def _fail(self) -> None:
        failures = self._failures + 1
        self.close()
        self._failures = failures

    def close(self) -> None:
        """End the program, at once: it has nothing to save. It is not started again."""
        self._failures = _MAX_FAILURES
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass
        if self._owner == os.getpid():
            process.kill()
            process.wait()

    def __del__(self) -> None:
        self.close()
