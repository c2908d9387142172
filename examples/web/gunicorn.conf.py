"""gunicorn with two workers, each of which profiles itself. See docs/web.md."""

from dtrace_profiler.integrations.gunicorn import post_fork, post_worker_init, worker_exit  # noqa: F401

bind = "127.0.0.1:8000"
workers = 2
worker_class = "gthread"
threads = 4
preload_app = True
