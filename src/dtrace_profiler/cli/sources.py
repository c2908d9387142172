"""A profile by what a user names: a file, stdin, or the address of a running profiler's live view."""

from __future__ import annotations

from dtrace_profiler.cli.files import read
from dtrace_profiler.errors import UsageError
from dtrace_profiler.live.client import fetch_profile, is_address
from dtrace_profiler.model.profile import Profile


def read_source(source: str, input_format: str | None = None) -> Profile:
    """Raises `InputError` for whatever can't be read, `UsageError` for an address that can't be one."""
    if not is_address(source):
        return read(source, input_format)
    if input_format is not None:
        raise UsageError("--input-format is for files: leave it out with an address.")
    return fetch_profile(source)
