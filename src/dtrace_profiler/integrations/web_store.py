"""The folder that an application's worker processes share: profiles of requests, and where each live page is.

    ID.dtrace.gz    a profile, as a recording
    ID.name         the request it is of
    ID.waiting      one that is being made
    PID.worker      JSON: port and cookie of this process's live page

Nobody else may read it: a folder that others could have made or can open is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import stat
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from dtrace_profiler.errors import OutputError
from dtrace_profiler.formats import read_profile, write_profile
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.platforms.processes import process_exists
from dtrace_profiler.transform.selected import selected

_ID = re.compile(r"[0-9a-f]{32}")
_ABANDONED_S = 24 * 3600


class Worker(NamedTuple):
    process_id: int
    port: int
    cookie: str


class Kept(NamedTuple):
    id: str
    when: float
    """UNIX epoch, seconds."""
    name: str
    """Of the request; empty where that can't be read."""


class ProfileStore:
    """Errors are `OSError`, and `OutputError` for a folder that is not ours alone."""

    def __init__(self, folder: Path, *, max_profiles: int, max_bytes: int) -> None:
        self._folder = folder
        self._max_profiles = max_profiles
        self._max_bytes = max_bytes
        self._checked = False

    @classmethod
    def among_temporary_files(cls, name: str, *, max_profiles: int, max_bytes: int) -> ProfileStore:
        folder = Path(tempfile.gettempdir()) / f"dtrace-profiler-web-{name}"
        return cls(folder, max_profiles=max_profiles, max_bytes=max_bytes)

    def begin(self) -> str:
        """The id of a profile to come."""
        profile_id = secrets.token_hex(16)
        self._write(f"{profile_id}.waiting", str(os.getpid()))
        return profile_id

    def abandon(self, profile_id: str) -> None:
        with contextlib.suppress(OSError):
            (self._folder / f"{profile_id}.waiting").unlink(missing_ok=True)

    def keep(self, profile_id: str, profile: Profile) -> None:
        """Older ones make room. Raises `OutputError` for one that is larger than all may be."""
        path = self._private() / f"{profile_id}.dtrace.gz"
        write_profile(profile, path)
        if path.stat().st_size > self._max_bytes:
            path.unlink()
            raise OutputError(f"a profile is larger than the {self._max_bytes:,} bytes that all may have together.")
        self._write(f"{profile_id}.name", profile.meta.target)
        self.abandon(profile_id)
        self._make_room()

    def read(self, profile_id: str) -> Profile | None:
        """None where there is none (any more). Raises `InputError`."""
        if not _ID.fullmatch(profile_id):
            return None
        try:
            found = read_profile(self._private() / f"{profile_id}.dtrace.gz")
            # A recording knows each thread without labels, too.
            return selected(found, range(len(found)))
        except FileNotFoundError:
            return None

    def is_waited_for(self, profile_id: str) -> bool:
        """Whether a profile is still being made, by a process that lives."""
        if not _ID.fullmatch(profile_id):
            return False
        try:
            process_id = (self._folder / f"{profile_id}.waiting").read_text()
        except OSError:
            return False
        return process_id.isdigit() and process_exists(int(process_id))

    def kept(self) -> list[Kept]:
        """Newest first."""
        out = []
        for when, _, path in reversed(self._kept()):
            name = ""
            with contextlib.suppress(OSError, ValueError):
                name = path.with_name(f"{_id_of(path)}.name").read_text(encoding="utf-8")
            out.append(Kept(_id_of(path), when, name))
        return out

    def announce(self, worker: Worker) -> None:
        self._write(f"{worker.process_id}.worker", json.dumps([worker.port, worker.cookie]))

    def withdraw(self, process_id: int) -> None:
        with contextlib.suppress(OSError):
            (self._folder / f"{process_id}.worker").unlink(missing_ok=True)

    def workers(self) -> list[Worker]:
        """Those that live. What dead ones left is removed."""
        out = []
        for path in sorted(self._private().glob("*.worker")):
            try:
                process_id = int(path.stem)
                port, cookie = json.loads(path.read_text())
            except (OSError, ValueError):
                continue
            if process_exists(process_id):
                out.append(Worker(process_id, int(port), str(cookie)))
            else:
                self.withdraw(process_id)
        return out

    def _kept(self) -> list[tuple[float, int, Path]]:
        """(when, bytes, path), oldest first."""
        out = []
        for path in self._private().glob("*.dtrace.gz"):
            with contextlib.suppress(OSError):  # another process has just removed it
                status = path.stat()
                out.append((status.st_mtime, status.st_size, path))
        return sorted(out)

    def _make_room(self) -> None:
        kept = self._kept()
        total = sum(size for _, size, _ in kept)
        while kept and (len(kept) > self._max_profiles or total > self._max_bytes):
            _, size, path = kept.pop(0)
            total -= size
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
                path.with_name(f"{_id_of(path)}.name").unlink(missing_ok=True)
        old = time.time() - _ABANDONED_S
        for path in self._folder.glob("*.waiting"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < old:
                    path.unlink(missing_ok=True)

    def _write(self, name: str, text: str) -> None:
        path = self._private() / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)

    def _private(self) -> Path:
        if self._checked and self._folder.is_dir():
            return self._folder
        with contextlib.suppress(FileExistsError):
            self._folder.mkdir(mode=0o700)
        status = self._folder.lstat()
        owner = os.getuid() if hasattr(os, "getuid") else status.st_uid
        open_to_others = hasattr(os, "getuid") and stat.S_IMODE(status.st_mode) & 0o077
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner or open_to_others:
            raise OutputError(f"{self._folder} is not a folder of this user alone: remove it, or name another one.")
        self._checked = True
        return self._folder


def _id_of(path: Path) -> str:
    return path.name.partition(".")[0]
