"""A Starlette application (FastAPI is one, too) that can be profiled. See docs/web.md.

export DTRACE_PROFILER_SECRET=$(python -c 'import secrets; print(secrets.token_urlsafe())')
uvicorn --app-dir examples/web --loop asyncio starlette_app:app
curl -si -H "X-Profile-Secret: $DTRACE_PROFILER_SECRET" http://127.0.0.1:8000/orders/42
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from dtrace_profiler.integrations.asgi import ProfilerMiddleware


def add_up(rounds: int) -> int:
    return sum(sum(range(2000)) for _ in range(rounds))


async def order(request: Request) -> Response:
    return JSONResponse({"order": request.path_params["number"], "sum": add_up(3000)})


def report(request: Request) -> Response:
    """Runs in a worker thread, where its labels go with it."""
    return JSONResponse({"sum": add_up(3000)})


async def stream(request: Request) -> Response:
    async def lines() -> AsyncIterator[str]:
        for _ in range(3):
            yield f"{add_up(1000)}\n"
            await asyncio.sleep(0)

    return StreamingResponse(lines(), media_type="text/plain")


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    # The middleware sees it begin and end: sampling begins with it where it is always on, and ends with it.
    yield


app = Starlette(
    routes=[Route("/orders/{number:int}", order), Route("/report", report), Route("/stream", stream)],
    lifespan=lifespan,
)
app.add_middleware(ProfilerMiddleware, always_on=bool(os.environ.get("ALWAYS_ON")))
