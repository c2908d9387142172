"""Flask: `init_app(app)`, with options, the environment or `app.config["DTRACE_PROFILER"]`. See docs/web.md."""

from __future__ import annotations

from typing import Any

from dtrace_profiler.integrations.web_settings import settings_from
from dtrace_profiler.integrations.wsgi import ProfilerMiddleware


def init_app(app: Any, **options: Any) -> ProfilerMiddleware:
    """Puts the middleware around the application's WSGI face; requests are called by their rule (`/orders/<id>`).

    Raises `UsageError` for what can't be.
    """
    named = {name.upper(): value for name, value in options.items()}
    settings = settings_from({**app.config.get("DTRACE_PROFILER", {}), **named})

    def route(environ: dict[str, Any]) -> str | None:
        rule, _ = app.url_map.bind_to_environ(environ).match(return_rule=True)
        return str(rule.rule)

    middleware = ProfilerMiddleware(app.wsgi_app, route=route, settings=settings)
    app.wsgi_app = middleware
    return middleware
