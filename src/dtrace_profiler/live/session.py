"""Who may see the live view: the one who has the address with its secret, on this machine, from no other site's page.

The secret of the address is exchanged for a cookie of its own, which no script can read and no other site's request
carries. `Host` must be ours (or a name that someone pointed at this machine would reach us), and so must `Origin`
where a browser sends one.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer."""


class Session:
    """`names`: what the server is called in `Host`, port included."""

    def __init__(self, port: int, hosts: tuple[str, ...]) -> None:
        self.key = secrets.token_urlsafe(24)
        """What the address holds."""
        self._secret = secrets.token_urlsafe(24)
        self._cookie = f"dtrace-profiler-{port}"
        self._names = {f"{host}:{port}" for host in hosts}

    def cookie(self) -> str:
        """Given for the key. Not for scripts, and not sent with what other sites ask for."""
        return f"{self._cookie}={self._secret}; Path=/; HttpOnly; SameSite=Strict"

    def opens(self, key: str) -> bool:
        return hmac.compare_digest(key.encode(), self.key.encode())

    def is_ours(self, headers: Mapping[str, str]) -> bool:
        """Whether the request means us, and comes from our own page or from none."""
        origin = headers.get("Origin")
        site = headers.get("Sec-Fetch-Site", "none")
        return (
            headers.get("Host", "").lower() in self._names
            and (origin is None or origin.lower().removeprefix("http://") in self._names)
            and site in ("none", "same-origin")
        )

    def holds(self, headers: Mapping[str, str]) -> bool:
        """Whether the key has been given before, by this browser."""
        try:
            cookie = SimpleCookie(headers.get("Cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self._secret.encode())
