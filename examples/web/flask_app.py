"""A Flask application that can be profiled. See docs/web.md.

export DTRACE_PROFILER_SECRET=$(python -c 'import secrets; print(secrets.token_urlsafe())')
gunicorn --chdir examples/web -c examples/web/gunicorn.conf.py flask_app:app
curl -si -H "X-Profile-Secret: $DTRACE_PROFILER_SECRET" http://127.0.0.1:8000/orders/42
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from flask import Flask, Response

from dtrace_profiler.integrations.flask import init_app

app = Flask(__name__)
init_app(app, always_on=bool(os.environ.get("ALWAYS_ON")))


def add_up(rounds: int) -> int:
    return sum(sum(range(2000)) for _ in range(rounds))


@app.get("/orders/<int:number>")
def order(number: int) -> dict[str, int]:
    return {"order": number, "sum": add_up(3000)}


@app.get("/stream")
def stream() -> Response:
    def lines() -> Iterator[str]:
        for _ in range(3):
            yield f"{add_up(1000)}\n"

    return Response(lines(), mimetype="text/plain")
