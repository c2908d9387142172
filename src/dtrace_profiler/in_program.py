"""`profile` and `profiled`: a block or a function of this program, profiled.

with profile("slow.html"):
    work()
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar, cast, overload

from dtrace_profiler.formats import format_of
from dtrace_profiler.formats.table import format_top
from dtrace_profiler.model.options import DEFAULT_FREQUENCY_HZ
from dtrace_profiler.profiler import DTraceProfiler

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Function = Callable[_P, _R]

READY_S = 10.0
"""How long a block waits for dtrace, which needs less than a second as a rule."""


@contextlib.contextmanager
def profile(
    output: str | os.PathLike[str] | None = None, *, frequency_hz: int = DEFAULT_FREQUENCY_HZ, **options: Any
) -> Iterator[DTraceProfiler]:
    """Profiles this process while the block runs, from when samples are really taken.

    `output`: a file that is written at the end, also of a block that raises; its format is that of the suffix.
    `options`: those of `DTraceProfiler`. Yields the profiler, whose `snapshot()` can be asked for at any time. Raises
    what `DTraceProfiler.start`, `wait_ready` and `save` raise.
    """
    if output is not None:
        format_of(output)  # not only when all is done
    profiler = DTraceProfiler(**options)
    profiler.start(frequency_hz)
    try:
        profiler.wait_ready(READY_S)
    except BaseException:
        profiler.stop()
        raise
    try:
        yield profiler
    finally:
        profiler.stop()
        if output is not None:
            profiler.save(output)


@overload
def profiled(function: _Function[_P, _R], /) -> _Function[_P, _R]: ...
@overload
def profiled(
    output: str | os.PathLike[str] | None = None, /, **options: Any
) -> Callable[[_Function[_P, _R]], _Function[_P, _R]]: ...


def profiled(what: Any = None, /, **options: Any) -> Any:
    """A decorator: profiles this process while the function, or coroutine function, runs.

    `@profiled` prints the top functions to stderr when it returns, `@profiled("slow.html")` writes that file. Calls
    within or beside one another are one profile, which ends with the last of them. `options`: as of `profile`.
    """
    if callable(what):
        return _decorated(what, _Calls(None, {}))
    calls = _Calls(what, options)
    return lambda function: _decorated(function, calls)


class _Calls:
    """Calls that run at the same time, and the one profile of them."""

    def __init__(self, output: str | os.PathLike[str] | None, options: dict[str, Any]) -> None:
        self._output = output
        self._options = options
        self._lock = threading.Lock()
        self._running = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._running:
                profiler = self._stack.enter_context(profile(self._output, **self._options))
                if self._output is None:
                    self._stack.callback(_print, profiler)
            self._running += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._running -= 1
            if not self._running:
                self._stack.close()


def _print(profiler: DTraceProfiler) -> None:
    profiler.stop()
    print(format_top(profiler.snapshot()), end="", file=sys.stderr)


def _decorated(function: Callable[_P, _R], calls: _Calls) -> Callable[_P, _R]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def profiled_coroutine(*args: Any, **kwargs: Any) -> Any:
            with calls:
                return await function(*args, **kwargs)

        return cast("Callable[_P, _R]", profiled_coroutine)

    @functools.wraps(function)
    def profiled_function(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with calls:
            return function(*args, **kwargs)

    return profiled_function
