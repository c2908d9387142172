"""Tables of object files kept on disk, so that a second run need not read the file again.

One entry is one file: a header with the key and a checksum, then blocks of bytes. Nothing in it is believed unless
the folder and the file are ours alone and the checksum fits.

Where: `$DTRACE_PROFILER_CACHE` (a folder; `0`, `off` or `no` for none), else `$XDG_CACHE_HOME` or `~/.cache`. A
run as root uses /var/cache, never a home: under sudo that may be another user's, and would fill with root's files.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path

ENVIRONMENT_VARIABLE = "DTRACE_PROFILER_CACHE"
MAX_BYTES = 256 << 20
_MAGIC = b"dtprsym1"
_SUFFIX = ".symbols"
_HEADER = struct.Struct("<8s32s32sI")  # magic, key, checksum of the rest, number of blocks


def default_directory() -> Path | None:
    """Where entries go for this user and environment; None where there shall be no cache."""
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    if chosen is not None:
        return None if chosen.lower() in ("", "0", "off", "no") else Path(chosen)
    if getattr(os, "geteuid", lambda: -1)() == 0:
        return Path("/var/cache/dtrace-profiler/symbols")
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    except RuntimeError:  # no home
        return None
    return root / "dtrace-profiler" / "symbols"


class SymbolCache:
    """`load` and `store` blocks by key. A cache that can't be used is silent: it never raises."""

    def __init__(self, directory: Path | None, *, max_bytes: int = MAX_BYTES) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._usable: bool | None = None

    @property
    def enabled(self) -> bool:
        """Whether there is a folder that only we can read and write; makes it on first use."""
        if self._usable is None:
            self._usable = self._directory is not None and _make_private(self._directory)
        return self._usable

    def load(self, key: bytes) -> list[bytes] | None:
        """The blocks of an entry; None where there is none, or one that can't be believed."""
        if not self.enabled:
            return None
        path = self._path(key)
        try:
            flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
            with open(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or not _is_ours(status) or status.st_size > self._max_bytes:
                    return None
                blocks = _unpack(file.read(), _digest(key))
            if blocks is not None:
                os.utime(path)  # the oldest by last use goes first
            return blocks
        except OSError:
            return None

    def store(self, key: bytes, blocks: Sequence[bytes]) -> None:
        if not self.enabled or self._directory is None:
            return
        data = _pack(blocks, _digest(key))
        if len(data) > self._max_bytes // 2:
            return
        name = ""
        try:
            handle, name = tempfile.mkstemp(dir=self._directory, prefix=".", suffix=".part")
            with open(handle, "wb") as file:
                file.write(data)
            os.replace(name, self._path(key))
            name = ""
            self._make_room()
        except OSError:
            pass
        finally:
            if name:
                try:
                    os.unlink(name)
                except OSError:
                    pass

    def _path(self, key: bytes) -> str:
        return os.path.join(self._directory or "", _digest(key).hex()[:40] + _SUFFIX)

    def _make_room(self) -> None:
        """Remove the entries that were not used for longest, until the rest fits."""
        entries = []
        with os.scandir(self._directory or ".") as found:
            for entry in found:
                if entry.name.endswith((_SUFFIX, ".part")):
                    status = entry.stat(follow_symlinks=False)
                    entries.append((status.st_mtime_ns, status.st_size, entry.path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self._max_bytes:
                break
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            total -= size


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def _pack(blocks: Sequence[bytes], key: bytes) -> bytes:
    body = struct.pack(f"<{len(blocks)}Q", *map(len, blocks)) + b"".join(blocks)
    return _HEADER.pack(_MAGIC, key, _digest(body), len(blocks)) + body


def _unpack(data: bytes, key: bytes) -> list[bytes] | None:
    if len(data) < _HEADER.size:
        return None
    magic, found, checksum, count = _HEADER.unpack_from(data)
    body = memoryview(data)[_HEADER.size :]
    if magic != _MAGIC or found != key or count > 64 or len(body) < 8 * count:
        return None
    sizes = struct.unpack_from(f"<{count}Q", body)
    if 8 * count + sum(sizes) != len(body) or hashlib.blake2b(body, digest_size=32).digest() != checksum:
        return None
    out, at = [], 8 * count
    for size in sizes:
        out.append(bytes(body[at : at + size]))
        at += size
    return out


def _make_private(directory: Path) -> bool:
    try:
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            pass
        status = os.lstat(directory)
        return stat.S_ISDIR(status.st_mode) and _is_ours(status) and os.access(directory, os.W_OK)
    except OSError:
        return False


def _is_ours(status: os.stat_result) -> bool:
    """Owned by us and closed to others. Windows has neither owner nor mode: its profile folders are private."""
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & 0o077
