"""Starts the program to be profiled, held before its first instruction until somebody is there to watch it.

`start_held` gives a `Target` whose process id is known and which does nothing yet; `release` lets it run. Arguments
go to the program as they are, without a shell. It shares our terminal, process group, standard streams and signal
dispositions, as if it had been started in our place.

POSIX: a fork that waits for a byte, then becomes the program; call it while the process has one thread. Windows has
no fork: there the program runs at once.
"""

from __future__ import annotations

import abc
import errno
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from dtrace_profiler.errors import CommandNotStarted

NOT_FOUND = 127
NOT_EXECUTABLE = 126
"""What a shell answers for a command that isn't there, and for one that can't be executed."""

Streams = tuple[int, int, int]
OURS: Streams = (-1, -1, -1)

_os: Any = os
_signal: Any = signal
"""For what Windows lacks: fork, waitpid's flags, masks of signals."""


def start_held(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    streams: Streams = OURS,
) -> Target:
    """The program as a process that waits for `release`.

    `command`: the program's name, looked for in PATH like a shell does, or path; then its arguments. `env`: its whole
    environment, ours if None. `streams`: descriptors that become its stdin, stdout and stderr; -1 for ours. Raises
    `CommandNotStarted` for what can't be found or executed.
    """
    if not command or not command[0]:
        raise CommandNotStarted("no command was given.", exit_status=NOT_FOUND)
    environ = dict(os.environ if env is None else env)
    path = find_program(command[0], environ, cwd)
    if hasattr(os, "fork"):
        return _HeldTarget(path, command, environ, cwd, streams)
    return _StartedTarget(path, command, environ, cwd, streams)


class Target(abc.ABC):
    """A process that we have started, and whose end we will see."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)
        self.pid = 0

    @abc.abstractmethod
    def release(self) -> None:
        """Lets it run. Returns when it has become the program. Raises `CommandNotStarted`; then it is gone."""

    @abc.abstractmethod
    def poll(self) -> int | None:
        """Its exit status if it has ended: below 0 for the signal that ended it. None while it lives."""

    @abc.abstractmethod
    def send_signal(self, number: int) -> None:
        """To the program alone; nothing happens if it has ended."""

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit status, when it has ended within `timeout` seconds (None: however long that takes)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = 0.001
        while (status := self.poll()) is None and (deadline is None or time.monotonic() < deadline):
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        return status

    def abandon(self) -> None:
        """Ends one that was not released; it never became the program."""
        self.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        self.wait()


def shell_status(status: int) -> int:
    """An exit status as a shell shows it: 128 + N for one ended by signal N."""
    return 128 - status if status < 0 else status


def find_program(name: str, environ: Mapping[str, str], cwd: str | os.PathLike[str] | None = None) -> str:
    """The file that a shell would execute for this name. Raises `CommandNotStarted`."""
    here = os.fspath(cwd) if cwd is not None else ""
    if os.path.dirname(name):
        _executable([os.path.join(here, name)], name)
        return name
    directories = environ.get("PATH", os.defpath).split(os.pathsep)
    suffixes = ["", *environ.get("PATHEXT", "").split(os.pathsep)] if not hasattr(os, "fork") else [""]
    # An empty entry means the current folder.
    candidates = [os.path.join(directory, name + suffix) for directory in directories for suffix in suffixes]
    return _executable(candidates, name, here)


def _executable(candidates: Iterable[str], name: str, here: str = "") -> str:
    found = ""
    for path in candidates:
        whole = os.path.join(here, path)
        if os.path.isfile(whole) and os.access(whole, os.X_OK):
            return path
        if not found and os.path.lexists(whole):
            found = whole
    if os.path.isdir(found) and os.path.dirname(name):
        raise CommandNotStarted(f"{name} is a folder, not a program.", exit_status=NOT_EXECUTABLE)
    if found and not os.path.isdir(found):
        if not os.path.exists(found):
            raise CommandNotStarted(f"{name} is a link to nothing.", exit_status=NOT_FOUND)
        raise CommandNotStarted(
            f"{name} can't be executed: permission denied.",
            exit_status=NOT_EXECUTABLE,
            remedy=f"chmod +x {shlex.quote(found)}" if _looks_like_a_program(found) else "",
        )
    where = "there is no such file" if os.path.dirname(name) else "it is nowhere in PATH"
    raise CommandNotStarted(f"command not found: {name} ({where}).", exit_status=NOT_FOUND)


def _looks_like_a_program(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4).startswith((b"#!", b"\x7fELF", b"\xcf\xfa\xed\xfe"))
    except OSError:
        return False


class _HeldTarget(Target):
    """By fork. Two pipes: one byte lets the child go; the other brings back why the program could not be executed."""

    def __init__(
        self,
        path: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        cwd: str | os.PathLike[str] | None,
        streams: Streams,
    ) -> None:
        super().__init__(command)
        self._status: int | None = None
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()  # what is buffered is written once, by us
        go_read, self._go = os.pipe()
        self._failure, failure_write = os.pipe()
        # With SIGCHLD ignored, as some parents leave it, the kernel would keep no exit status for us.
        ignored = [_signal.SIGCHLD] if signal.getsignal(_signal.SIGCHLD) is signal.SIG_IGN else []
        if ignored:
            signal.signal(_signal.SIGCHLD, signal.SIG_DFL)
        # No signal may find the child with our handlers, which are not its.
        mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = _os.fork()
            if pid == 0:
                os.close(self._go)
                os.close(self._failure)
                _become(path, command, environ, cwd, streams, go_read, failure_write, mask, ignored)
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
            os.close(go_read)
            os.close(failure_write)
        self.pid = pid

    def release(self) -> None:
        try:
            os.write(self._go, b"g")
        except BrokenPipeError:
            pass  # it was killed while it waited: poll tells
        os.close(self._go)
        with os.fdopen(self._failure, "rb") as pipe:
            failure = pipe.read()  # the end comes when the child has become the program: the pipe closes on exec
        if failure:
            self.wait()
            raise _not_started(self.command[0], int(failure))

    def poll(self) -> int | None:
        if self._status is None:
            try:
                pid, status = os.waitpid(self.pid, _os.WNOHANG)
            except ChildProcessError:
                self._status = 0  # somebody else in this process has waited for it
            else:
                if pid:
                    self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def _become(
    path: str,
    command: Sequence[str],
    environ: Mapping[str, str],
    cwd: str | os.PathLike[str] | None,
    streams: Streams,
    go: int,
    failure: int,
    mask: Iterable[int],
    ignored: Iterable[int],
) -> NoReturn:
    """In the child: wait for the byte, then become the program. Never returns."""
    try:
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        # Python ignores these for itself at its start.
        for name in ("SIGPIPE", "SIGXFSZ"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        for kept in ignored:
            signal.signal(kept, signal.SIG_IGN)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
        if os.read(go, 1):
            for place, descriptor in enumerate(streams):
                if descriptor >= 0:
                    os.dup2(descriptor, place)
            if cwd is not None:
                os.chdir(cwd)
            try:
                os.execve(path, [*command], environ)
            except OSError as error:
                if error.errno != errno.ENOEXEC:
                    raise
                # A script without a first line that names its interpreter is the shell's, as execvp(3) has it.
                os.execve("/bin/sh", ["/bin/sh", path, *command[1:]], environ)
    except OSError as error:
        os.write(failure, str(error.errno or errno.EIO).encode())
    finally:
        os._exit(NOT_EXECUTABLE)


def _not_started(name: str, number: int) -> CommandNotStarted:
    if number == errno.ENOENT:
        # The file was there a moment ago, so it is its interpreter that is not.
        return CommandNotStarted(
            f"{name} can't be executed: the interpreter that its first line names, or the folder to run it in, is not"
            " there.",
            exit_status=NOT_FOUND,
        )
    return CommandNotStarted(f"{name} can't be executed: {os.strerror(number).lower()}.", exit_status=NOT_EXECUTABLE)


class _StartedTarget(Target):
    """By subprocess, for systems without fork: it runs from the beginning, and some of its start is missed."""

    def __init__(
        self,
        path: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        cwd: str | os.PathLike[str] | None,
        streams: Streams,
    ) -> None:
        super().__init__(command)
        try:
            stdin, stdout, stderr = (None if descriptor < 0 else descriptor for descriptor in streams)
            self._process = subprocess.Popen(
                [path, *command[1:]], env=dict(environ), cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr
            )
        except OSError as error:
            raise _not_started(command[0], error.errno or errno.EIO) from error
        self.pid = self._process.pid

    def release(self) -> None:
        pass

    def poll(self) -> int | None:
        return self._process.poll()

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)
