"""`--tui`: the view in the terminal, of `run`, `attach` and `view`.

The view has the main thread, as the terminal's signals need it; what would else be done there goes on in another.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, Generic, Self, TypeVar

from dtrace_profiler.cli import report
from dtrace_profiler.cli.interrupts import Interrupts
from dtrace_profiler.cli.progress import Progress
from dtrace_profiler.errors import UsageError
from dtrace_profiler.formats.names import shown
from dtrace_profiler.terminal.growth import Watched, WholeProfile
from dtrace_profiler.terminal.printed import Printed

T = TypeVar("T")
_OURS = (-1, -1, -1)
_POLL_S = 0.1


def check() -> None:
    """Raises UsageError where the view can't be shown: before anything is started."""
    if find_spec("textual") is None:
        raise UsageError("--tui needs Textual, which is not installed.", remedy="pip install 'dtrace-profiler[tui]'")
    if not any(stream is not None and stream.isatty() for stream in (sys.__stdout__, sys.__stderr__)):
        raise UsageError("--tui needs a terminal: neither stdout nor stderr is one.")


class TerminalRun:
    """The view of one profile that is being taken. A context: at its end the program's output is where it belongs.

    Without `on` it shows nothing, and `during` is a plain call.
    """

    def __init__(self, *, on: bool, program: bool) -> None:
        """`program`: one of ours is about to be started. Raises UsageError."""
        self._printed: Printed | None = None
        self._on = on
        if on:
            check()
        if on and program:
            captured = tuple(number for number in (1, 2) if _is_terminal(number))
            self._printed = Printed(captured, takes_stdin=_is_terminal(0), put=_to_terminal(captured))

    @property
    def streams(self) -> tuple[int, int, int]:
        """For the program: its stdin, stdout and stderr; -1 for ours."""
        return _OURS if self._printed is None else self._printed.streams

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._printed is not None:
            self._printed.close()

    def program_started(self) -> None:
        if self._printed is not None:
            self._printed.started()

    def during(
        self,
        work: Callable[[], T],
        source: Watched,
        interrupts: Interrupts,
        progress: Progress,
        *,
        title: str,
        closing_ends: bool,
    ) -> T:
        """What `work` gives or raises, the view up meanwhile, and afterwards until it is closed.

        A Ctrl-C during `work` ends both. `closing_ends`: so does closing the view; else the work goes on without it.
        """
        if not self._on:
            return work()
        progress.held = True

        def whole() -> T:
            result = work()
            # A Ctrl-C from now on closes the view.
            interrupts.written()
            return result

        worker = _Worker(whole)
        worker.start()
        try:
            self._show(source, worker, interrupts, title)
        finally:
            if self._printed is not None:
                self._printed.let_through()
            progress.held = False
        if closing_ends and not worker.done:
            interrupts.count += 1
        return worker.result()

    def _show(self, source: Watched, worker: _Worker[Any], interrupts: Interrupts, title: str) -> None:
        printed = self._printed
        try:
            with _terminal_as_it_was():
                from dtrace_profiler.terminal.app import TerminalView

                view = TerminalView(
                    source,
                    title=title,
                    interrupt=_press_ctrl_c,
                    closing=lambda: worker.done and (worker.failed or interrupts.count > 0),
                    tail=None if printed is None else printed.tail,
                )
                view.run()
                failed = view.return_code not in (0, None)
        except Exception as error:
            report.note(f"the terminal view has ended with an error: {type(error).__name__}: {shown(str(error))}")
            failed = True
        if failed and not worker.done:
            report.note("the profile goes on without it; Ctrl-C ends it.")


class _Worker(threading.Thread, Generic[T]):
    """Does the work; not waited for when the process is to end."""

    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__(name="dtrace-profiler run", daemon=True)
        self._work = work
        self._outcome: list[T] = []
        self._error: BaseException | None = None
        self.done = False

    @property
    def failed(self) -> bool:
        return self._error is not None

    def run(self) -> None:
        try:
            self._outcome.append(self._work())
        except BaseException as error:
            self._error = error
        finally:
            self.done = True

    def result(self) -> T:
        """Waits, and lets signals be handled meanwhile."""
        while not self.done:
            self.join(_POLL_S)
        if self._error is not None:
            raise self._error
        return self._outcome[0]


def view(source: str, input_format: str | None) -> int:
    """Shows a file until it is closed. Returns 0."""
    from dtrace_profiler.cli.files import read

    check()
    profile = read(source, input_format)
    with _terminal_as_it_was():
        from dtrace_profiler.terminal.app import TerminalView

        shows = TerminalView(WholeProfile(profile), title=profile.meta.target or source)
        shows.run()
    return shows.return_code or 0


def _press_ctrl_c() -> None:
    """What the terminal would have done, had the view not taken the key: a signal to us and all of our group."""
    killpg: Any = getattr(os, "killpg", None)
    if killpg is None:
        signal.raise_signal(signal.SIGINT)
    else:
        killpg(0, signal.SIGINT)


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _to_terminal(captured: tuple[int, ...]) -> Callable[[bytes], None]:
    def put(data: bytes) -> None:
        with contextlib.suppress(OSError):  # it may be gone
            while data:
                data = data[os.write(captured[0], data) :]

    return put


@contextlib.contextmanager
def _terminal_as_it_was() -> Iterator[None]:
    """Whatever happens to the view: keys, screen, cursor and mouse are afterwards as they were before."""
    try:
        import termios as _termios
    except ImportError:
        yield
        return
    termios: Any = _termios
    handlers = {number: signal.getsignal(number) for number in map(_signal_number, _TEXTUAL_HANDLES) if number}
    terminal = -1
    with contextlib.suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0))
    try:
        before = termios.tcgetattr(terminal) if terminal >= 0 else None
    except termios.error:
        before = None
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if before is not None:
            with contextlib.suppress(OSError, termios.error):
                if termios.tcgetattr(terminal) != before:
                    # The view has not come to do it itself: also what it had set on the screen.
                    os.write(terminal, _RESET)
                    termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        if terminal >= 0:
            os.close(terminal)


_TEXTUAL_HANDLES = ("SIGTSTP", "SIGCONT", "SIGWINCH", "SIGTTIN", "SIGTTOU")


def _signal_number(name: str) -> int:
    return int(getattr(signal, name, 0))


_RESET = (
    b"\x1b[<u\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?2004l\x1b[?1004l\x1b[?7h\x1b[?1049l\x1b[?25h\x1b[0m"
)
"""Kitty's keys, mouse, pasted text, focus, line wrap, the other screen, cursor, colours."""
