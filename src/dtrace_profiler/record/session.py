"""The running dtrace: started, read, stopped, and watched until it is gone.

The only place that starts dtrace. Two threads read its pipes always, so that it never waits for us. It runs under a
few lines of shell whose standard input only we hold: when we end, however that happens, the shell sees the end of
its input and ends dtrace; and a dtrace that belongs to root can be stopped by an ordinary user through that pipe.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dtrace_profiler.platforms.base import system
from dtrace_profiler.record import windows_child

# $1: a tenth of the seconds of grace; $2: a tenth of those of patience; $3: a folder to be removed at the end, or
# nothing; the rest: the command.
# Words on standard input: `told` (its program has been told to end: a signal only after some patience), `stop`,
# `kill`; its end means `stop` and, after the grace, `kill`.
# SIGTERM, because a shell starts its background jobs with SIGINT ignored, and dtrace leaves it so; both end dtrace
# in the same way. A dtrace that a signal has ended (SIGKILL, or SIGPIPE when we were killed and nobody reads what it
# says) leaves its two uprobes behind, and a later one with the same process id could not begin: those of processes
# that are no more are removed.
# A timer looks whether this shell ($$) is still there: when dtrace has ended, its number may soon be another's.
_SUPERVISOR = r"""
tenth=$1; patience=$2; folder=$3; shift 3
tidy() {
  for events in /sys/kernel/debug/tracing/uprobe_events /sys/kernel/tracing/uprobe_events; do
    if [ -w $events ]; then
      while IFS=" :" read -r _ name _; do
        pid=${name#dt_}; pid=${pid%_dtrace/*}
        if [ "$name" = "dt_${pid}_dtrace/${name#*/}" ] && [ ! -d "/proc/$pid" ]; then echo "-:$name" >>$events; fi
      done <<END
$(cat $events)
END
    fi
  done
} 2>/dev/null
after() {
  for _ in 1 2 3 4 5 6 7 8 9 10; do sleep "$1"; kill -0 $$ || exit; done
  kill -"$2" $child
}
tidy
exec 3<&0 </dev/null
"$@" 3<&- &
child=$!
trap "" PIPE
exec >/dev/null
(
  exec 2>&1
  word=
  IFS= read -r word <&3
  if [ "$word" = told ]; then
    (after "$patience" TERM; after "$tenth" KILL) <&- 3<&- &
    word=
    IFS= read -r word <&3
  fi
  if [ "$word" != kill ]; then
    kill -TERM $child
    (after "$tenth" KILL) <&- 3<&- &
    timer=$!
    while [ "$word" != kill ] && IFS= read -r word <&3; do :; done
    if [ "$word" != kill ]; then wait $timer; fi
    kill $timer
  fi
  kill -KILL $child
) &
watch=$!
wait $child; status=$?
kill $watch 2>/dev/null
if [ $status -gt 128 ]; then tidy; fi
if [ -n "$folder" ]; then rm -rf -- "$folder"; fi
exit $status
"""

READ_BYTES = 1 << 20
"""What a pipe holds, on Linux (64 kB elsewhere): dtrace goes on while we are busy."""
_LITTLE_BYTES = 1 << 13
"""After reading less, `Session.pause_s` is waited for more."""
STOP_GRACE_S = 10.0
"""dtrace takes up to 5 s to end on a busy machine."""
_SILENCE_S = 2.0
"""Between the end of dtrace's output and its own end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCommand:
    """`elevation`: a prefix such as `sudo -n --`, empty for who may run dtrace as is.

    `folder`: removed when dtrace has ended, also when we are no longer there to do it. `patience_s`: how long a
    program that was told to end may take before dtrace is sent a signal.
    """

    dtrace: str
    arguments: Sequence[str]
    elevation: Sequence[str] = ()
    folder: str = ""
    grace_s: float = STOP_GRACE_S
    patience_s: float = 0.0

    @property
    def argv(self) -> list[str]:
        shell = ["/bin/sh", "-c", _SUPERVISOR, "dtrace-profiler"]
        seconds = f"{self.grace_s / 10:g}", f"{self.patience_s / 10:g}"
        return [*self.elevation, *shell, *seconds, self.folder, self.dtrace, *self.arguments]


class Session:
    """One dtrace child. `on_output` and `on_errors` get its bytes as they come, each in a thread of its own.

    `on_end` is called once, with the exit status, when both pipes are at their end and the child is reaped.
    """

    def __init__(
        self,
        command: SessionCommand,
        *,
        on_output: Callable[[bytes], None],
        on_errors: Callable[[bytes], None],
        on_end: Callable[[int], None],
    ) -> None:
        self._command = command
        self._on_output = on_output
        self._on_errors = on_errors
        self._on_end = on_end
        self._process: subprocess.Popen[bytes] | None = None
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.pause_s = 0.0
        """Between two reads. dtrace writes a line or two at a time: reading many at once costs less than each."""
        self.ended = threading.Event()
        self._on_windows = system() == "windows"
        self._interrupted = False

    @property
    def threads(self) -> Sequence[threading.Thread]:
        return tuple(self._threads)

    @property
    def process_id(self) -> int:
        """Of the child we started: the shell, or sudo."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Returns at once. Raises OSError when not even the shell can be started, RuntimeError when no thread can."""
        # A group of its own: a Ctrl-C on the terminal is for us and the target, we then stop dtrace in our time.
        with _starting:
            try:
                self._process = self._popen(pipesize=READ_BYTES)
            except (PermissionError, ValueError):  # more than this user may have; pipes that are as they are
                self._process = self._popen(pipesize=-1)
            _sessions.add(self)
        try:
            errors = self._thread("errors", self._read_errors)
            self._thread("output", self._read_output, errors)
        except RuntimeError:
            self._abandon(self._process)
            raise

    def _popen(self, pipesize: int) -> subprocess.Popen[bytes]:
        if self._on_windows:
            return windows_child.start([self._command.dtrace, *self._command.arguments])
        return subprocess.Popen(
            self._command.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pipesize=pipesize,
            process_group=0,
        )

    def _thread(self, name: str, run: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=run, args=arguments, name=f"dtrace-profiler-{name}", daemon=True)
        self._threads.append(thread)  # before it runs: no sample of it is to be shown
        try:
            thread.start()
        except RuntimeError:
            self._threads.remove(thread)
            raise
        return thread

    def _abandon(self, process: subprocess.Popen[bytes]) -> None:
        """End what nobody can read."""
        self.kill()
        self._close_input()
        for pipe in (process.stdout,) if self._threads else (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        for thread in self._threads:
            thread.join()
        process.wait()

    def _read_output(self, errors: threading.Thread) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        with process.stdout as pipe:
            while data := pipe.read(READ_BYTES):
                self._on_output(data)
                if len(data) < _LITTLE_BYTES:
                    time.sleep(self.pause_s)
        errors.join(_SILENCE_S)
        if errors.is_alive():
            self.stop()  # it lives, but nothing more can come of it
        errors.join()
        status = process.wait()
        self._close_input()
        self.ended.set()
        self._on_end(status)

    def _read_errors(self) -> None:
        process = self._process
        assert process is not None
        assert process.stderr is not None
        with process.stderr as pipe:
            while data := pipe.read(READ_BYTES):
                self._on_errors(data)

    def _close_input(self) -> None:
        with self._lock:
            process = self._process
            if process is not None and process.stdin is not None and not process.stdin.closed:
                try:
                    process.stdin.close()
                except OSError:
                    pass

    def _after_fork(self) -> None:
        """In a forked child: close its copies of our ends of the pipes, or dtrace would live as long as the child."""
        process = self._process
        if process is not None:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        pass
            process.returncode = 0  # not this process's child: nothing to wait for, nothing to warn of
        self._process = None
        self._threads = []
        self._lock = threading.Lock()  # another thread may have held it

    def _say(self, word: bytes) -> None:
        if self._on_windows:
            self._end_on_windows(at_once=word == b"kill")
            return
        with self._lock:
            process = self._process
            if process is None or process.stdin is None or process.stdin.closed:
                return
            try:
                process.stdin.write(word + b"\n")
            except OSError:
                pass

    def _end_on_windows(self, *, at_once: bool) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        try:
            if at_once:
                process.kill()
                return
            with self._lock:  # a second one would make dtrace impatient: it would not print its last samples
                if self._interrupted:
                    return
                self._interrupted = True
            windows_child.interrupt(process)
        except OSError:  # it has ended in this moment
            return
        timer = threading.Timer(self._command.grace_s, self._end_on_windows, kwargs={"at_once": True})
        timer.daemon = True
        timer.start()

    def stop(self, *, told: bool = False) -> None:
        """Ask dtrace to end. Returns at once; it is killed when its grace is over.

        `told`: its program was told to end, a signal is sent only when that has not helped.
        """
        self._say(b"told" if told else b"stop")

    def kill(self) -> None:
        """End it now. What it had not yet printed is lost."""
        self._say(b"kill")

    def wait(self, timeout_s: float) -> bool:
        """Whether the child is gone and all of its output was handed over."""
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        return self.ended.is_set()


_starting = threading.Lock()
"""Nothing is forked between the making of a session's pipes and `_sessions`, or the child would keep them."""
_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


def _after_fork() -> None:
    _starting.release()
    for session in list(_sessions):
        session._after_fork()
    _sessions.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_starting.acquire, after_in_parent=_starting.release, after_in_child=_after_fork)
