"""`label`: the work of a block or a function, named.

with label(route="/orders", customer=42):
    ...

The labels are those of the context (`contextvars`): an asyncio task has its own, and hands them on to tasks that it
starts. They count for the samples of a `DTraceProfiler` of this process.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from dtrace_profiler.labels.history import HISTORY
from dtrace_profiler.labels.switches import can_be_followed, follow_switches
from dtrace_profiler.model.frame import SPAN_ID, TRACE_ID, Labels

_P = ParamSpec("_P")
_R = TypeVar("_R")

_LABELS: ContextVar[Labels] = ContextVar("dtrace_profiler_labels", default=())


class label:
    """Adds labels to those there are, until the block ends; as a decorator, of functions and coroutine functions.

    `labels`: a mapping, for keys that are no Python names (`http.route`). Values are turned into text. Where
    OpenTelemetry's API is in use, `trace_id` and `span_id` of the current span are added. Entered where labels can't
    be followed (uvloop's tasks, greenlets), it counts for nothing, and `profile().meta.notes` says so.
    """

    def __init__(self, labels: Mapping[str, object] | None = None, /, **more: object) -> None:
        self._labels = {str(key): str(value) for key, value in {**(labels or {}), **more}.items()}
        self._tokens: list[Token[Labels]] = []

    def __enter__(self) -> Self:
        labels = {**dict(_LABELS.get()), **self._span(), **self._labels}
        merged = tuple(sorted(labels.items()))
        self._tokens.append(_LABELS.set(merged))
        if can_be_followed(HISTORY.note):
            follow_switches(HISTORY, _LABELS)
            HISTORY.change(merged)
        return self

    def _span(self) -> dict[str, str]:
        return _current_span()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        # A generator that is closed elsewhere ends in another context than it began in.
        with contextlib.suppress(ValueError):
            _LABELS.reset(self._tokens.pop())
        if can_be_followed(HISTORY.note):
            HISTORY.change(_LABELS.get())

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        labels = self._labels
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def labelled_coroutine(*args: Any, **kwargs: Any) -> Any:
                with label(labels):
                    return await function(*args, **kwargs)

            return cast("Callable[_P, _R]", labelled_coroutine)

        @functools.wraps(function)
        def labelled(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            with label(labels):
                return function(*args, **kwargs)

        return labelled


class lasting_label(label):
    """Without ids of OpenTelemetry's spans, for where each piece of work has labels, all the time: a profile has no
    room for so many different ones."""

    def _span(self) -> dict[str, str]:
        return {}


def current_labels() -> dict[str, str]:
    """Of this context."""
    return dict(_LABELS.get())


def with_labels(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The function with the labels of here and now, for where it runs in another thread (`executor.submit`)."""
    labels = _LABELS.get()

    @functools.wraps(function)
    def labelled(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with label(dict(labels)):
            return function(*args, **kwargs)

    return labelled


def _current_span() -> dict[str, str]:
    # Not imported for it: what has not been imported has no span.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return {}
    try:
        span = trace.get_current_span().get_span_context()
        if not span.is_valid:
            return {}
        return {TRACE_ID: f"{span.trace_id:032x}", SPAN_ID: f"{span.span_id:016x}"}
    except AttributeError:  # half imported
        return {}
