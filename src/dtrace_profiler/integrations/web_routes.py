"""What a request is called: its route, not its path, of which there may be any number."""

from __future__ import annotations

import re
from typing import Any

MOST_ROUTES = 200
"""Different names of a process. What comes then is called `OTHER`: names may come from anybody's requests. So those
of paths have room of their own, and one who asks for what is not there takes none from the routes."""
OTHER = "(other)"
_LIKE_AN_ID = re.compile(r"\d+|[0-9a-fA-F-]{16,}|.*\d.*\d.*\d.*|.{33,}")
_KNOWN_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "WEBSOCKET"}


class RouteNames:
    """Of one process: bounded, whatever is asked for."""

    def __init__(self) -> None:
        self._routes: set[str] = set()
        self._paths: set[str] = set()

    def name(self, route: str | None, path: str) -> str:
        """`route`: the framework's own pattern; None where it told none, and the path has to do."""
        name, known = (path_shape(path), self._paths) if route is None else (route, self._routes)
        if name not in known:
            if len(known) >= MOST_ROUTES:
                return OTHER
            known.add(name)
        return name


def path_shape(path: str) -> str:
    """The path with `*` for each part that looks like an id: `/orders/42` is `/orders/*`."""
    return "/".join("*" if _LIKE_AN_ID.fullmatch(part) else part for part in path.split("/"))[:200]


def method_name(method: str) -> str:
    return method if method in _KNOWN_METHODS else OTHER


def starlette_route(scope: Any) -> str | None:
    """The pattern of a Starlette or FastAPI application's route, which it has not chosen yet; None where unknown."""
    routes = getattr(scope.get("app"), "routes", None)
    prefix = ""
    while routes is not None:
        for route in routes:
            match, inner = route.matches(scope)
            if match.value == 2:  # full
                break
        else:
            return None
        prefix += getattr(route, "path", "")
        scope = {**scope, **inner}
        routes = getattr(route, "routes", None)
    return prefix or None
