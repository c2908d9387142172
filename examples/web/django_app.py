"""A Django project in one file that can be profiled, under WSGI and ASGI. See docs/web.md.

export DTRACE_PROFILER_SECRET=$(python -c 'import secrets; print(secrets.token_urlsafe())')
gunicorn --chdir examples/web django_app:application        # WSGI
uvicorn --app-dir examples/web django_app:asgi_application  # ASGI
curl -si -H "X-Profile-Secret: $DTRACE_PROFILER_SECRET" http://127.0.0.1:8000/orders/42
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    SECRET_KEY="only for this example",
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "dtrace_profiler.integrations.django.ProfilerMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    DTRACE_PROFILER={"ALWAYS_ON": bool(os.environ.get("ALWAYS_ON"))},
)
django.setup()


def add_up(rounds: int) -> int:
    return sum(sum(range(2000)) for _ in range(rounds))


def order(request: HttpRequest, number: int) -> HttpResponse:
    return JsonResponse({"order": number, "sum": add_up(3000)})


async def asynchronous(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"sum": add_up(3000)})


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def lines() -> Iterator[str]:
        for _ in range(3):
            yield f"{add_up(1000)}\n"

    return StreamingHttpResponse(lines(), content_type="text/plain")


def asynchronous_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def lines() -> AsyncIterator[str]:
        for _ in range(3):
            yield f"{add_up(1000)}\n"

    return StreamingHttpResponse(lines(), content_type="text/plain")


urlpatterns = [
    path("orders/<int:number>", order),
    path("asynchronous", asynchronous),
    path("stream", stream),
    path("asynchronous/stream", asynchronous_stream),
]

application = get_wsgi_application()
asgi_application = get_asgi_application()
