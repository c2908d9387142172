"""What the sampler asks of the interpreter and the process that it is a guest in. See `core.py`."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

# Functions of the standard library whose frame, as a leaf, means a thread that waits: (file's end, function).
_WAITS = {
    ("threading.py", name) for name in ("wait", "join", "_wait_for_tstate_lock", "acquire", "_shutdown")
} | {
    ("selectors.py", "select"), ("socket.py", "accept"), ("socket.py", "readinto"), ("queue.py", "get"),
    ("thread.py", "_worker"), ("subprocess.py", "_try_wait"), ("connection.py", "_recv"), ("popen_fork.py", "poll"),
    ("ssl.py", "read"), ("signal.py", "sigwait"), ("process.py", "wait"),
}  # fmt: skip


def seems_to_wait(code: CodeType) -> bool:
    """Whether a thread whose leaf is this code waits, as far as that can be told from outside."""
    return (os.path.basename(code.co_filename), code.co_name) in _WAITS


def native_id_of(ident: int) -> int:
    """As `threading` wrote it down; without, the identifier."""
    threads = getattr(sys.modules.get("threading"), "_active", {})
    return getattr(threads.get(ident), "native_id", None) or ident


def other_interpreters() -> bool:
    """Whether subinterpreters run: `sys._current_frames` reads their threads too, and may crash (CPython 158364)."""
    for name in ("_interpreters", "_xxsubinterpreters"):
        module = sys.modules.get(name)
        if module is not None and len(module.list_all()) > 1:
            return True
    return False


def unsafe_here() -> str:
    """Why stacks of running threads can't be read in this interpreter; empty where they can."""
    gil_enabled = sys.__dict__.get("_is_gil_enabled")
    if gil_enabled is not None and not gil_enabled() and sys.version_info < (3, 14):
        return (
            "a free-threaded Python before 3.14 can crash when another thread's stack is read:"
            " use Python 3.14 or later, or set PYTHON_GIL=1."
        )
    return ""


def signal_mask() -> Any:
    signals = sys.modules.get("_signal")
    return signals.pthread_sigmask(signals.SIG_BLOCK, ()) if hasattr(signals, "pthread_sigmask") else None  # type: ignore[union-attr]


def block_signals() -> None:
    """The thread to be started must not take a signal from the program's own threads; faults are its own."""
    signals = sys.modules.get("_signal")
    if hasattr(signals, "pthread_sigmask"):
        own = {getattr(signals, name, 0) for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP")}
        signals.pthread_sigmask(signals.SIG_BLOCK, set(signals.valid_signals()) - own)  # type: ignore[union-attr]


def restore_signals(old: Any) -> None:
    if old is not None:
        signals = sys.modules["_signal"]
        signals.pthread_sigmask(signals.SIG_SETMASK, old)
