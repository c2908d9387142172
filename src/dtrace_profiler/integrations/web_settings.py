"""What a web middleware is told: the secret, and how much it may do. Off without a secret."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from dtrace_profiler.errors import UsageError
from dtrace_profiler.model.options import EngineName

SECRET_VARIABLE = "DTRACE_PROFILER_SECRET"
MIN_SECRET = 24
"""Characters: `secrets.token_urlsafe()` gives 43, that nobody guesses."""
SECRET_HEADER = "x-profile-secret"
ANSWER_HEADER = "x-profile-answer"
"""Names a format: the profile is the answer, in place of the application's."""
LOCATION_HEADER = "X-Profile-Location"
ERROR_HEADER = "X-Profile-Error"
REQUEST_HZ = 999
"""A request is short."""
ALWAYS_HZ = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Raises `UsageError` for what can't be. `secret` None: that of the environment variable, if it is set there."""

    secret: str | None = field(default=None, repr=False)
    always_on: bool = False
    """Sample all the time, and show the live page below `mount`."""
    mount: str = "/_profile"
    """The path below which profiles and the live page are; only for who has the secret."""
    engine: EngineName = "auto"
    frequency_hz: int = 0
    """0: 99 with `always_on`, else 999."""
    keep_s: float = 600.0
    """Of the samples. A request that takes longer has only its last ones in its profile."""
    max_requests: int = 16
    """That are profiled at the same time. Others are answered as if nobody had asked."""
    max_profiles: int = 50
    """Kept, of all processes with the same secret; the oldest make room."""
    max_bytes: int = 64 << 20
    """Of all kept profiles."""
    folder: str = ""
    """Where profiles are kept. Empty: a private one among the temporary files."""

    def __post_init__(self) -> None:
        secret = os.environ.get(SECRET_VARIABLE) if self.secret is None else self.secret
        object.__setattr__(self, "secret", secret or "")
        if secret and (len(secret) < MIN_SECRET or not secret.isascii() or not secret.isprintable() or " " in secret):
            raise UsageError(
                f"the secret of the profiler's middleware has to be at least {MIN_SECRET} ASCII characters without"
                " spaces: python -c 'import secrets; print(secrets.token_urlsafe())' makes one."
            )
        mount = "/" + self.mount.strip("/")
        if mount == "/" or not mount.isascii() or any(char in mount for char in '?#%\\ ;,"') or ".." in mount:
            raise UsageError(f"mount {self.mount!r} is no path to put pages below: '/_profile' is.")
        object.__setattr__(self, "mount", mount)
        object.__setattr__(self, "frequency_hz", self.frequency_hz or (ALWAYS_HZ if self.always_on else REQUEST_HZ))
        for name in ("max_requests", "max_profiles", "max_bytes", "keep_s", "frequency_hz"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
                raise UsageError(f"{name} {value!r} is no number above 0.")
        if self.engine not in ("auto", "dtrace", "sampler"):
            raise UsageError(f"engine {self.engine!r} is none: auto, dtrace and sampler are.")

    @property
    def enabled(self) -> bool:
        return bool(self.secret)

    def is_secret(self, given: str) -> bool:
        """In a time that does not tell how much of it was right."""
        secret = self.secret or ""
        return bool(secret) and hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def settings_from(names: Mapping[str, object]) -> WebSettings:
    """From a framework's own settings, in capitals: `{"SECRET": …, "ALWAYS_ON": True}`. Raises `UsageError`."""
    known = {name.upper() for name in WebSettings.__dataclass_fields__}
    unknown = sorted(str(name) for name in names if name not in known)
    if unknown:
        raise UsageError(f"the profiler has no setting {unknown[0]!r}: {', '.join(sorted(known))} are all.")
    return WebSettings(**{name.lower(): value for name, value in names.items()})  # type: ignore[arg-type]
