"""Who may see profiles through the application: the one with the secret, and a browser that has been let in by it.

The secret itself only ever stands in a request's header: addresses get into logs. For a browser it gives a key, good
for a minute, that becomes a cookie. Both are times with a code made from the secret, so that any worker process
knows them without having been told.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping

from dtrace_profiler.integrations.web_settings import SECRET_HEADER, WebSettings

KEY_S = 60
COOKIE_S = 12 * 3600
COOKIE_NAME = "dtrace-profiler-web"


class Access:
    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings

    def key(self) -> str:
        """For an address."""
        return self._pass("key", KEY_S)

    def opens(self, key: str) -> bool:
        return self._is_good("key", key, KEY_S)

    def cookie(self, path: str, *, secure: bool) -> str:
        """For the key. Not for scripts, and not sent with what other sites ask for."""
        value = self._pass("cookie", COOKIE_S)
        end = "; Secure" if secure else ""
        return f"{COOKIE_NAME}={value}; Path={path}; Max-Age={COOKIE_S}; HttpOnly; SameSite=Strict{end}"

    def has_secret(self, headers: Mapping[str, str]) -> bool:
        """`headers`: names in small letters."""
        given = headers.get(SECRET_HEADER)
        return given is not None and self._settings.is_secret(given)

    def holds_cookie(self, headers: Mapping[str, str]) -> bool:
        # Not by http.cookies: it gives up at an application's own cookie that it does not like.
        for part in headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == COOKIE_NAME and self._is_good("cookie", value, COOKIE_S):
                return True
        return False

    @staticmethod
    def from_our_page(headers: Mapping[str, str]) -> bool:
        """Whether a browser, if it is one, asks for its user or for our own page."""
        origin = headers.get("origin")
        # Not taken apart by urllib: it raises for what is no address.
        if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
            return False
        return headers.get("sec-fetch-site", "none") in ("none", "same-origin")

    def folder_name(self) -> str:
        """The same in all processes that have the secret, and telling nothing of it."""
        return self._code("folder", "")[:24]

    def _pass(self, what: str, seconds: int) -> str:
        end = str(int(time.time()) + seconds)
        return f"{end}.{self._code(what, end)}"

    def _is_good(self, what: str, text: str, seconds: int) -> bool:
        end, _, code = text.partition(".")
        if not (end.isascii() and end.isdigit() and len(end) < 12):
            return False
        right = hmac.compare_digest(code.encode("utf-8", "replace"), self._code(what, end).encode())
        return right and 0 <= int(end) - time.time() <= seconds

    def _code(self, what: str, end: str) -> str:
        secret = (self._settings.secret or "").encode()
        return hmac.new(secret, f"dtrace-profiler {what} {end}".encode(), hashlib.sha256).hexdigest()
