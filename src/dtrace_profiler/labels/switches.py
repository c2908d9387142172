"""Where a thread turns to other work without a word: asyncio's tasks, and functions that are sent to worker threads.

A context has no means, before CPython 3.14 and from Python at all, to tell that it was entered. So the few places
where asyncio, anyio and asgiref enter one are wrapped, once somebody uses labels.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from dtrace_profiler.labels.history import LabelHistory
from dtrace_profiler.model.frame import Labels

_wrapped: set[str] = set()


def can_be_followed(note: Callable[[str], None]) -> bool:
    """Whether this thread's work changes only where we see it; else `note` is told why not."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        loop = asyncio._get_running_loop()
        if loop is not None and not isinstance(loop, asyncio.BaseEventLoop):
            name = type(loop).__module__.partition(".")[0]
            note(f"Labels of tasks on {name} are left out: its switches can't be seen. Those on asyncio's loop can.")
            return False
    greenlet = sys.modules.get("greenlet")
    if greenlet is not None and getattr(greenlet.getcurrent(), "parent", None) is not None:
        note("Labels of greenlets are left out: their switches can't be seen.")
        return False
    return True


def follow_switches(history: LabelHistory, labels: ContextVar[Labels]) -> None:
    """Of what has been imported. Safe to call again, and cheap."""
    asyncio, to_thread = sys.modules.get("asyncio"), sys.modules.get("anyio.to_thread")
    asgiref = sys.modules.get("asgiref.sync")
    # Without these names they are just being imported.
    if "asyncio" not in _wrapped and hasattr(asyncio, "Handle") and hasattr(asyncio, "to_thread"):
        _wrapped.add("asyncio")
        _wrap_handles(asyncio, history, labels)
        _wrap_to_thread(asyncio, "to_thread", history, labels)
    if "anyio" not in _wrapped and hasattr(to_thread, "run_sync"):
        _wrapped.add("anyio")
        _wrap_to_thread(to_thread, "run_sync", history, labels)
    if "asgiref" not in _wrapped and hasattr(getattr(asgiref, "SyncToAsync", None), "thread_handler"):
        _wrapped.add("asgiref")
        _wrap_thread_handler(asgiref.SyncToAsync, history, labels)  # type: ignore[union-attr]
        _wrap_restored_context(asgiref, history, labels)


def _wrap_handles(asyncio: Any, history: LabelHistory, labels: ContextVar[Labels]) -> None:
    """All that the loop runs goes through `Handle._run`: each step of a task, each callback."""
    run = asyncio.Handle._run

    @functools.wraps(run)
    def followed(handle: Any) -> None:
        if not history.followed:
            run(handle)
            return
        context = handle._context
        history.change(context.get(labels, ()) if context is not None else ())
        try:
            run(handle)
        finally:
            history.change(labels.get())  # those of who runs the loop

    asyncio.Handle._run = followed


def _wrap_to_thread(module: Any, name: str, history: LabelHistory, labels: ContextVar[Labels]) -> None:
    """A coroutine function that has its first argument called in another thread, in a copy of this context."""
    original = getattr(module, name)

    @functools.wraps(original)
    async def followed(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        mine = labels.get()
        if not mine:
            return await original(function, *args, **kwargs)

        @functools.wraps(function)
        def labelled(*args: Any, **kwargs: Any) -> Any:
            history.change(mine)
            try:
                return function(*args, **kwargs)
            finally:
                history.change(())

        return await original(labelled, *args, **kwargs)

    setattr(module, name, followed)


def _wrap_thread_handler(sync_to_async: Any, history: LabelHistory, labels: ContextVar[Labels]) -> None:
    """Django's ordinary views on an event loop. The last argument is the function, called in the task's context."""
    original = sync_to_async.thread_handler

    @functools.wraps(original)
    def followed(self: Any, *args: Any) -> Any:
        if not history.followed or not args or not callable(args[-1]):
            return original(self, *args)
        *rest, function = args

        def labelled() -> Any:
            history.change(labels.get())
            return function()

        try:
            return original(self, *rest, labelled)
        finally:
            history.change(labels.get())  # those of the thread itself

    sync_to_async.thread_handler = followed


def _wrap_restored_context(module: Any, history: LabelHistory, labels: ContextVar[Labels]) -> None:
    """Asynchronous code that ordinary code waits for, as Django's asynchronous views under WSGI: it runs on a loop in
    a thread of its own, and sets the variables of its context one by one, in the midst of its first step."""
    original = getattr(module, "_restore_context", None)
    if original is None:  # another version: the first step goes without labels
        return

    @functools.wraps(original)
    def followed(*args: Any) -> Any:
        out = original(*args)
        if history.followed:
            history.change(labels.get())
        return out

    module._restore_context = followed
