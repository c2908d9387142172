"""Where the separate debug file of a program or library lies.

By build id under the debug folders, then by `.gnu_debuglink` beside the file and under the debug folders, in the
target's own file system first. A file that is found must prove that it belongs: by the same build id, or by the
CRC-32 that the link gives. (GDB manual, "Separate Debug Files".)
"""

from __future__ import annotations

import os
import posixpath
import stat
import zlib
from collections.abc import Iterator, Sequence

from dtrace_profiler.symbols.elf import ElfError, ElfFile
from dtrace_profiler.symbols.source import FileSource

DEBUG_DIRECTORIES = ("/usr/lib/debug",)
_MAX_CRC_BYTES = 1 << 30


def find_debug_file(
    elf: ElfFile, path: str, *, root: str = "", directories: Sequence[str] = DEBUG_DIRECTORIES
) -> tuple[ElfFile, FileSource] | None:
    """The debug file of `elf`, which the target knows as `path`; None where there is none that fits.

    `root` is the target's file system as we see it (`/proc/PID/root`); our own is tried after it.
    """
    for candidate, by_link in _candidates(elf, path, directories):
        for base in dict.fromkeys((root, "")):
            source = open_regular(base + candidate)
            if source is None:
                continue
            try:
                found = ElfFile(source)
                if _belongs(found, source, elf, by_link):
                    return found, source
            except (ElfError, OSError):
                pass
            source.close()
    return None


def _candidates(elf: ElfFile, path: str, directories: Sequence[str]) -> Iterator[tuple[str, bool]]:
    if len(elf.build_id) > 2:
        text = elf.build_id.hex()
        for directory in directories:
            yield f"{directory}/.build-id/{text[:2]}/{text[2:]}.debug", False
    if elf.debug_link and path.startswith("/"):
        folder, name = posixpath.dirname(path), elf.debug_link[0]
        if name != posixpath.basename(path):
            yield posixpath.join(folder, name), True
        yield posixpath.join(folder, ".debug", name), True
        for directory in directories:
            yield directory + posixpath.join(folder, name), True


def _belongs(found: ElfFile, source: FileSource, elf: ElfFile, by_link: bool) -> bool:
    if found.machine != elf.machine or found.is_64 != elf.is_64:
        return False
    if elf.build_id and found.build_id:
        return elf.build_id == found.build_id
    return bool(by_link and elf.debug_link and _crc32(source) == elf.debug_link[1])


def _crc32(source: FileSource) -> int:
    value = 0
    for at in range(0, min(source.size, _MAX_CRC_BYTES), 1 << 20):
        value = zlib.crc32(source.read(at, 1 << 20), value)
    return value


def open_regular(path: str) -> FileSource | None:
    """An open file, if it is a regular one. Opening neither waits (a FIFO) nor follows into devices."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        source = FileSource(os.open(path, flags | getattr(os, "O_NOCTTY", 0)))
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(source.status.st_mode):
        source.close()
        return None
    return source
