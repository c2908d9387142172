"""Whether a request is to be profiled, and labelled: the decisions that all frameworks share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from dtrace_profiler.integrations.web_pages import Answer, PageRequest, error_answer, profile_answer, writable
from dtrace_profiler.integrations.web_profiler import LOG, ProfiledRequest, WebProfiler
from dtrace_profiler.integrations.web_settings import ANSWER_HEADER, ERROR_HEADER, LOCATION_HEADER
from dtrace_profiler.labels.label import label, lasting_label


@dataclass(slots=True)
class Asked:
    """What is to be done about a request."""

    profiler: WebProfiler
    labels: dict[str, str] = field(default_factory=dict)
    request: ProfiledRequest | None = None
    """It is to have a profile of its own."""
    headers: list[tuple[str, str]] = field(default_factory=list)
    """For the answer, beside its own."""
    answer_format: str = ""
    """The profile is to be the answer. Never without one: the application's answer would be lost for nothing."""
    refusal: Answer | None = None
    """The answer, in the application's place."""

    def label(self) -> contextlib.AbstractContextManager[object]:
        """Around whatever works for the request. Any number of times, in any thread."""
        if self.request is None:
            return lasting_label(self.labels)
        self.request.look_where_it_runs()
        return label(self.labels)

    def end(self) -> None:
        """Safe to call again."""
        if self.request is not None:
            self.profiler.end(self.request)


class RequestProfiling:
    def __init__(self, profiler: WebProfiler) -> None:
        self._profiler = profiler

    def wants_profile(self, request: PageRequest) -> bool:
        return self._profiler.access.has_secret(request.headers)

    def asked(self, request: PageRequest, route: Callable[[], str | None]) -> Asked | None:
        """None: nothing, as for nearly all. May wait for dtrace, where the request has the secret. Does not raise."""
        wanted = self.wants_profile(request)
        if self._profiler.always_on:
            self._profiler.start_soon()
        elif not wanted:
            return None
        out = Asked(self._profiler, self._profiler.labels(request.method, self._route(route), request.path))
        if wanted:
            self._profile(out, request)
        return out

    def instead(self, asked: Asked) -> Answer:
        """The profile as the answer, after the application has run. Waits for it."""
        try:
            assert asked.request is not None  # else its format would not stand in `asked`
            answer = profile_answer(self._profiler, asked.request.id, asked.answer_format)
        except Exception as error:
            LOG.warning("dtrace-profiler: a profile could not be answered: %s", error)
            return error_answer(503, "The profile could not be made: the application's log has the reason.")
        return Answer(answer.status, [*answer.headers, *asked.headers], answer.body)

    def _profile(self, out: Asked, request: PageRequest) -> None:
        format_name = request.headers.get(ANSWER_HEADER, "")
        refusal = writable(format_name) if format_name else ""
        if refusal:
            out.refusal = error_answer(400, refusal)
            return
        out.request = self._profiler.begin(out.labels)
        if out.request is None:
            out.headers.append((ERROR_HEADER, "not profiled; the application's log may have the reason"))
            return
        out.answer_format = format_name
        out.labels = out.request.labels
        place = f"{request.root}{self._profiler.settings.mount}/requests/{out.request.id}"
        out.headers.append((LOCATION_HEADER, place))

    @staticmethod
    def _route(route: Callable[[], str | None]) -> str | None:
        try:
            return route()
        except Exception:  # the framework's own, that it will meet again: not found, not allowed, a redirection
            return None
