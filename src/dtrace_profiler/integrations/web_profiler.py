"""The one profiler of a process that serves requests, shared by all requests that are to be profiled.

All samples of a request have its labels, and its profile is those samples. So requests that run at the same time do
not get into each other's profiles, and one sampling serves them all. It runs while such a request does, or always. A
thread of ours makes the profiles, when their last samples have come.

What goes wrong here is logged, once, and never reaches the application. Nothing starts before the first request: a
process that forks its workers after it has loaded the application has nothing to lose by it.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path

from dtrace_profiler.errors import DTraceProfilerError
from dtrace_profiler.integrations.web_access import Access
from dtrace_profiler.integrations.web_live import live_worker
from dtrace_profiler.integrations.web_routes import RouteNames, method_name
from dtrace_profiler.integrations.web_settings import WebSettings
from dtrace_profiler.integrations.web_store import ProfileStore
from dtrace_profiler.labels.switches import can_be_followed
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.own_threads import OWN_THREADS
from dtrace_profiler.profiler import DTraceProfiler
from dtrace_profiler.transform.selected import between, labelled

LOG = logging.getLogger("dtrace_profiler.web")
REQUEST_LABEL = "request"
READY_S = 10.0
"""How long a request waits for dtrace, which needs less than a second as a rule."""
SETTLE_S = 1.0
"""After so long the last samples of a request have come from dtrace, while others keep it running."""
RETRY_S = 60.0
"""After a failure to start nothing is tried for so long: each request would pay for it."""
MOST_LOGGED = 100
PROFILERS: weakref.WeakSet[WebProfiler] = weakref.WeakSet()


@dataclass(slots=True, eq=False)
class ProfiledRequest:
    id: str
    labels: dict[str, str]
    begin_ns: int
    unfollowed: str = ""
    """Why its labels can't be followed, in a sentence; empty: they can."""
    end_ns: int = 0
    process_id: int = field(default_factory=os.getpid)

    def look_where_it_runs(self) -> None:
        """From where its labels are entered: only there it can be seen whether they can be followed."""
        can_be_followed(self._note)

    def _note(self, sentence: str) -> None:
        self.unfollowed = sentence


class WebProfiler:
    """Any thread may call any method. None raises; but `begin` may take as long as dtrace needs to start."""

    def __init__(self, settings: WebSettings) -> None:
        self.settings = settings
        self.access = Access(settings)
        limits = {"max_profiles": settings.max_profiles, "max_bytes": settings.max_bytes}
        self.store = (
            ProfileStore(Path(settings.folder), **limits)
            if settings.folder
            else ProfileStore.among_temporary_files(self.access.folder_name(), **limits)
        )
        self.routes = RouteNames()
        self._logged: set[str] = set()
        self._new_process()
        PROFILERS.add(self)

    def _new_process(self) -> None:
        """Nothing runs yet."""
        self._lock = threading.RLock()
        """Of starting and stopping."""
        self._news = threading.Condition(threading.Lock())
        """Of the lists below."""
        self._running_requests = 0
        self._ended: list[ProfiledRequest] = []
        self._profiler: DTraceProfiler | None = None
        self._thread: threading.Thread | None = None
        self._starting = False
        self._closing = False
        self._retry_at = 0.0

    after_fork = _new_process

    @property
    def always_on(self) -> bool:
        return self.settings.enabled and self.settings.always_on

    def labels(self, method: str, route: str | None, path: str) -> dict[str, str]:
        """Of a request, in a profile that has them all."""
        return {"method": method_name(method), "route": self.routes.name(route, path)}

    def start_soon(self) -> None:
        """Begin to sample where that is to be always on, without waiting for it."""
        profiler = self._profiler
        if not self.always_on or self._starting or self._closing or (profiler is not None and profiler.running):
            return
        if time.monotonic() < self._retry_at:
            return
        self._starting = True
        try:
            self._in_background(self._start_always, "dtrace-profiler-start")
        except RuntimeError as error:  # no more threads
            self._starting = False
            self._not_started("always-on profiling could not be started", error)

    def _start_always(self) -> None:
        try:
            with self._lock:  # until it is announced, or a `close` would withdraw it too early
                if not self._closing:
                    self.store.announce(live_worker(self._start().serve()))
        except Exception as error:
            self._not_started("always-on profiling could not be started", error)
        finally:
            self._starting = False

    def begin(self, labels: dict[str, str]) -> ProfiledRequest | None:
        """A request that is to be profiled begins: samples are taken from now on. None where that can't be."""
        with self._news:
            full = self._running_requests >= self.settings.max_requests
            if full:
                self.tell_once(f"no more than {self.settings.max_requests} requests are profiled at the same time.")
            if full or self._closing or time.monotonic() < self._retry_at:
                return None
            self._running_requests += 1
        try:
            profile_id = self.store.begin()
            try:
                with self._lock:
                    profiler = self._start()
                profiler.wait_ready(READY_S)
            except BaseException:
                self.store.abandon(profile_id)
                raise
            return ProfiledRequest(profile_id, {**labels, REQUEST_LABEL: profile_id}, time.time_ns())
        except BaseException as error:  # an interruption, too, must leave the count right
            with self._news:
                self._running_requests -= 1
                self._news.notify_all()
            if not isinstance(error, Exception):
                raise
            self._not_started("a request could not be profiled", error)
            return None

    def end(self, request: ProfiledRequest) -> None:
        """It has ended, however: its profile is made soon. Safe to call again. Waits for nothing."""
        if request.process_id != os.getpid():
            return  # it goes on in the process that this one was forked from
        with self._news:
            if request.end_ns:
                return
            request.end_ns = time.time_ns()
            self._running_requests -= 1
            self._ended.append(request)
            self._news.notify_all()
            if self._thread is not None or self._closing:
                return
            try:
                self._thread = self._in_background(self._make_profiles, "dtrace-profiler-web")
            except RuntimeError as error:  # no more threads
                self._failed("a profile could not be made", error)

    def open(self) -> None:
        """After a `close`: an application may begin again."""
        with self._news:
            if self._thread is None or not self._thread.is_alive():
                self._thread, self._closing = None, False

    def close(self) -> None:
        """At the end of this process. Profiles of requests that have ended are still made."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        thread = self._thread
        if thread is not None:
            thread.join(READY_S)
        with self._lock:
            profiler, self._profiler = self._profiler, None
        if profiler is not None:
            try:
                profiler.close()
            except DTraceProfilerError as error:
                self._failed("the profiler could not be stopped", error)
            self.store.withdraw(os.getpid())

    # With the lock.

    def _start(self) -> DTraceProfiler:
        if self._closing:
            raise DTraceProfilerError("the profiler has been closed.")
        if self._profiler is None:
            self._profiler = DTraceProfiler(engine=self.settings.engine, keep_s=self.settings.keep_s)
        if not self._profiler.running:
            self._profiler.start(self.settings.frequency_hz)
        return self._profiler

    # The thread that makes profiles.

    def _make_profiles(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._ended or self._closing)
                if not self._ended:
                    return
            self._settle()
            with self._lock:
                ended, stop = self._take_ended()
                try:
                    whole = self._whole(stop=stop)
                except Exception as error:
                    self._failed("a profile could not be made", error)
                    whole = None
            for request in ended:
                self._make(request, whole)

    def _settle(self) -> None:
        """Wait until all samples of the request that ended first can be had: at once where sampling ends, too."""
        with self._news:
            first_ns = min(request.end_ns for request in self._ended)
            self._news.wait_for(self._may_stop, timeout=max(0.0, SETTLE_S - (time.time_ns() - first_ns) / 1e9))

    def _may_stop(self) -> bool:
        return self._closing or not (self._running_requests or self.always_on)

    def _take_ended(self) -> tuple[list[ProfiledRequest], bool]:
        """Those whose samples have come, which are all where sampling is to stop: and whether it is."""
        with self._news:
            stop = self._may_stop()
            until_ns = time.time_ns() - int(SETTLE_S * 1e9)
            ended = [request for request in self._ended if stop or request.end_ns <= until_ns]
            self._ended = [request for request in self._ended if request not in ended]
        return ended, stop

    def _whole(self, *, stop: bool) -> Profile | None:
        if self._profiler is None:
            return None
        if stop:
            self._profiler.stop()
        if self._profiler.error is not None:
            raise self._profiler.error
        return self._profiler.profile()

    def _make(self, request: ProfiledRequest, whole: Profile | None) -> None:
        try:
            if whole is not None:
                self.store.keep(request.id, profile_of(request, whole))
        except Exception as error:
            self._failed("a profile could not be kept", error)
        finally:
            self.store.abandon(request.id)

    def _in_background(self, work: object, name: str) -> threading.Thread:
        thread = threading.Thread(target=work, name=name, daemon=True)  # type: ignore[arg-type]
        OWN_THREADS.add(thread)
        thread.start()
        return thread

    def _not_started(self, what: str, error: Exception) -> None:
        self._retry_at = time.monotonic() + RETRY_S
        self._failed(what, error)

    def _failed(self, what: str, error: Exception) -> None:
        if isinstance(error, DTraceProfilerError):
            self.tell_once(f"{what}: {error}" + (f" Try: {error.remedy}" if error.remedy else ""))
        else:
            self.tell_once(f"{what}: {error}", error)

    def tell_once(self, sentence: str, error: Exception | None = None) -> None:
        """In the application's log. `error`: one that nobody has thought of, told whole."""
        if sentence not in self._logged and len(self._logged) < MOST_LOGGED:
            self._logged.add(sentence)
            LOG.warning("dtrace-profiler: %s", sentence, exc_info=error)


def profile_of(request: ProfiledRequest, whole: Profile) -> Profile:
    """The request's own samples; of its time all, where nobody can tell which these are."""
    meta = whole.meta
    notes = list(meta.notes)
    if request.unfollowed:
        part = between(whole, request.begin_ns, request.end_ns)
        notes.append(f"All that the process did while the request ran, not only the request: {request.unfollowed}")
    else:
        part = labelled(whole, REQUEST_LABEL, request.id)
        notes.append("Samples of one request: what it had done by other threads without its labels is not here.")
    begin_ns = max(request.begin_ns, meta.start_ns)
    if begin_ns - request.begin_ns > 1_000_000_000:
        notes.append("The request took longer than samples are kept: only its last part is here.")
    losses = {name: count for name, count in meta.losses.items() if name != "not_taken"}
    if losses:
        notes.append("The losses are those of all that was sampled, not of this request alone.")
    about = replace(
        meta,
        start_ns=begin_ns,
        duration_ns=max(0, request.end_ns - begin_ns),
        target=" ".join(request.labels[key] for key in ("method", "route")),
        losses=losses,
        notes=notes,
    )
    return replace(part, meta=about)


def _after_fork() -> None:
    for profiler in tuple(PROFILERS):
        profiler.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def close_all() -> None:
    """The end of this process is near."""
    for profiler in tuple(PROFILERS):
        profiler.close()


atexit.register(close_all)
