"""Reads the profile of now from a live view, by the address that it printed.

The key in the address is exchanged for the view's cookie, as a browser does it, and the profile comes as a recording,
which keeps all of it. Nothing is asked of any other host: no proxy is used, and no redirection is followed. Sentences
never name the key.
"""

from __future__ import annotations

import http.client
import re
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from typing import IO, BinaryIO, cast

from dtrace_profiler.errors import InputError, UsageError
from dtrace_profiler.formats import read_profile
from dtrace_profiler.model.profile import Profile

SCHEME = "http://"
_PATIENCE_S = 60.0
"""A large profile takes a while before its first byte comes."""
_IN_MEMORY = 64 << 20
MAX_BYTES = 4 << 30
"""Of a recording; hours of many threads stay below."""
_CHUNK = 1 << 20
_PLAIN = re.compile(r"[!-~]+")
"""What an address is made of: no blanks, nothing beyond ASCII."""


def is_address(source: str) -> bool:
    return source.lower().startswith((SCHEME, "https://"))


def without_key(address: str) -> str:
    """The address as it may be shown."""
    return address.partition("?")[0]


def fetch_profile(address: str) -> Profile:
    """All that the profiler has sampled up to now.

    Raises `UsageError` for what can't be the address of a live view, `InputError` where nothing answers, the key is
    refused, or what comes is no profile.
    """
    url = _checked(address)
    where = f"{url.hostname}:{url.port}"
    folder = url.path.rpartition("/")[0] + "/"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirection)
    try:
        with opener.open(address, timeout=_PATIENCE_S) as page:
            cookie = _cookie(page.headers, where)
        wanted = urllib.parse.urlunsplit((url.scheme, url.netloc, f"{folder}save/dtrace", "", ""))
        request = urllib.request.Request(wanted, headers={"Cookie": cookie})
        with opener.open(request, timeout=_PATIENCE_S) as answer, tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
            _copy(answer, file, where)
            file.seek(0)
            return read_profile(cast(BinaryIO, file), "dtrace")
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.FORBIDDEN:
            raise InputError(
                f"the live view at {where} refuses the key: it is of an earlier run, or not whole.",
                remedy="the address that was printed last, in quotes",
            ) from error
        raise InputError(
            f"what answers at {where} is no live view of dtrace-profiler: its status is {error.code}."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        words = str(getattr(reason, "strerror", None) or reason or type(error).__name__).lower()
        raise InputError(f"no live view answers at {where}: {words}.") from error


def _checked(address: str) -> urllib.parse.SplitResult:
    try:
        url = urllib.parse.urlsplit(address)
        host, port = url.hostname, url.port
    except ValueError as error:
        raise UsageError(f"{without_key(address)} is no address: {error}.") from error
    if url.scheme != "http" or not host or port is None or url.username is not None or not _PLAIN.fullmatch(address):
        raise UsageError(
            f"{without_key(address)} is no address of a live view: those are like http://127.0.0.1:PORT/?key=KEY."
        )
    if not urllib.parse.parse_qs(url.query).get("key"):
        raise UsageError(
            f"the address of the live view at {host}:{port} lacks its key.",
            remedy="the whole address as it was printed, in quotes",
        )
    return url


def _cookie(headers: Message, where: str) -> str:
    for line in headers.get_all("Set-Cookie", []):
        cookie = str(line).partition(";")[0].strip()
        if cookie.startswith("dtrace-profiler-"):
            return cookie
    raise InputError(f"what answers at {where} is no live view of dtrace-profiler.")


def _copy(answer: http.client.HTTPResponse, file: IO[bytes], where: str) -> None:
    count = 0
    while data := answer.read(_CHUNK):
        count += len(data)
        if count > MAX_BYTES:
            raise InputError(f"the profile at {where} is too large: more than {MAX_BYTES >> 30} GiB.")
        file.write(data)


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        """A live view never sends elsewhere: this is told as the error that it is."""
