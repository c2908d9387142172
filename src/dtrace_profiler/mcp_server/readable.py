"""What may be read: files and addresses that the command line names, and files below folders that it names.

Whoever asks is a program that may have been talked into anything. So a name is compared after all links are followed,
and a file that is no profile gives an error that tells nothing of what is in it but where reading stopped.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from dtrace_profiler.errors import InputError, UsageError
from dtrace_profiler.formats import FORMATS, read_profile
from dtrace_profiler.formats.names import shown
from dtrace_profiler.live.client import fetch_profile, is_address, without_key
from dtrace_profiler.model.profile import Profile

MOST_LISTED = 500
_KEPT = 2
"""Profiles that stay in memory, as several questions follow each other."""
_SUFFIXES = tuple(suffix for item in FORMATS if item.reads for suffix in item.suffixes)


class Readable:
    """Raises `UsageError` for what is not there when it is named."""

    def __init__(self, named: Sequence[str]) -> None:
        if not named:
            raise UsageError(
                "nothing may be read: name files, folders or the address of a live view.",
                remedy="dtrace-profiler mcp .",
            )
        self._addresses = {without_key(name): name for name in named if is_address(name)}
        paths = [name for name in named if not is_address(name)]
        for path in paths:
            if not os.path.exists(path):
                raise UsageError(f"{shown(path)} can't be read: there is no such file or folder.")
        self._files = {path: os.path.realpath(path) for path in paths if not os.path.isdir(path)}
        self._folders = {path: os.path.realpath(path) for path in paths if os.path.isdir(path)}
        self._read: OrderedDict[tuple[str, int, int], Profile] = OrderedDict()

    def names(self) -> list[str]:
        """What can be asked for: at most `MOST_LISTED`, of folders what has the suffix of a format."""
        out = [*self._addresses, *self._files]
        for path in self._found():
            if len(out) >= MOST_LISTED:
                break
            out.append(path)
        return out

    def profile(self, name: str) -> Profile:
        """The profile of that name; an empty one is the only one there is. Raises `InputError` for what may not be
        read and for what can't."""
        if not name:
            name = self._only()
        if name in self._addresses:
            return fetch_profile(self._addresses[name])
        path = self._allowed(name)
        try:
            facts = os.stat(path)
            key = (path, facts.st_mtime_ns, facts.st_size)
            if key not in self._read:
                self._read[key] = read_profile(path)
        except OSError as error:
            raise InputError(f"{shown(name)} can't be read: {(error.strerror or str(error)).lower()}.") from error
        self._read.move_to_end(key)
        while len(self._read) > _KEPT:
            self._read.popitem(last=False)
        return self._read[key]

    def _only(self) -> str:
        names = [*self._addresses, *self._files]
        if self._folders or len(names) != 1:
            raise InputError("there are several profiles: name one of those that list_profiles gives.")
        return names[0]

    def _allowed(self, name: str) -> str:
        """The file's real path."""
        if name in self._files:
            return self._files[name]
        path = ""
        if "\0" not in name:
            path = os.path.realpath(name)
        if not any(_is_below(path, folder) for folder in self._folders.values()) or not os.path.isfile(path):
            raise InputError(f"{shown(name)} is none of the profiles that may be read: list_profiles gives them.")
        return path

    def _found(self) -> Iterator[str]:
        for folder in self._folders:
            for place, folders, files in os.walk(folder):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(files):
                    if name.lower().removesuffix(".gz").endswith(_SUFFIXES):
                        yield os.path.join(place, name)


def _is_below(path: str, folder: str) -> bool:
    """Of real paths."""
    try:
        return bool(path) and os.path.commonpath([folder, path]) == folder
    except ValueError:
        return False  # on another drive
