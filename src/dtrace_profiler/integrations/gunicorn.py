"""gunicorn: hooks for a gunicorn.conf.py, beside the middleware. See docs/web.md.

from dtrace_profiler.integrations.gunicorn import post_fork, post_worker_init, worker_exit

With them a worker that profiles all the time begins before its first request, and its last profiles are made before
it ends. Each of these does nothing where there is no middleware, or no secret.
"""

from __future__ import annotations

from dtrace_profiler.integrations.web_profiler import PROFILERS, close_all


def post_fork(server: object, worker: object) -> None:
    """With `preload_app`: the application is there already."""
    _start_all()


def post_worker_init(worker: object) -> None:
    """Without it: the worker has just loaded the application."""
    _start_all()


def worker_exit(server: object, worker: object) -> None:
    close_all()


def _start_all() -> None:
    for profiler in tuple(PROFILERS):
        profiler.start_soon()
