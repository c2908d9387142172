"""The files of a process as that process sees them: in a chroot, in a container, and deleted ones.

A path from `/proc/PID/maps` is only a hint. Another file can lie there by now, or the path belongs to another mount
namespace. So every file is compared with the device and inode number of the mapping before it is believed. The number of
a file that is gone is soon given to another: one that was made or changed its name since is not believed either.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator

from dtrace_profiler.symbols.debugfiles import open_regular
from dtrace_profiler.symbols.mappings import AddressSpace, Mapping, parse_maps
from dtrace_profiler.symbols.source import ByteSource, BytesSource, FileSource

_MAX_MEMORY_IMAGE_BYTES = 1 << 16


def open_mapped_file(space: AddressSpace, mapping: Mapping) -> FileSource | None:
    """The very file that is mapped, or None. Never raises.

    `map_files` opens deleted files too, but wants root (CAP_CHECKPOINT_RESTORE). The rest works for own processes.
    """
    if not mapping.is_file:
        return None
    for path in _candidates(space, mapping):
        source = open_regular(path)
        if source is None:
            continue
        if _is_same_file(source, mapping) and not _came_later(source, space, mapping):
            return source
        source.close()
    return None


def _candidates(space: AddressSpace, mapping: Mapping) -> Iterator[str]:
    if not space.ended:
        process = f"{space.proc}/{space.pid}"
        yield f"{process}/map_files/{mapping.start:x}-{mapping.end:x}"
        yield f"{process}/exe"
        if not mapping.deleted:
            yield f"{process}/root{mapping.path}"
    if not mapping.deleted:
        yield mapping.path


def _is_same_file(source: FileSource, mapping: Mapping) -> bool:
    status = source.status
    major, minor = getattr(os, "major", None), getattr(os, "minor", None)
    if major is None or minor is None:
        return False  # Windows, where no process has such a mapping
    if status.st_ino == mapping.inode and (major(status.st_dev), minor(status.st_dev)) == mapping.device:
        return True
    # Overlay and Btrfs file systems have other numbers in stat than in maps. What the kernel would write for this
    # file into a maps file it tells when we map it ourselves.
    return (mapping.device, mapping.inode) == _numbers_in_maps(source)


def _came_later(source: FileSource, space: AddressSpace, mapping: Mapping) -> bool:
    """Whether this may be a file that got the inode number after the mapped one was gone.

    Its status has changed since the mapping was seen, as that of any new or renamed file has; that of one whose mode
    or links were changed, too: then addresses stay numbers, which is better than another file's names.
    """
    seen_ns = space.last_seen_ns(mapping)
    if not seen_ns or source.status.st_ctime_ns <= seen_ns:
        return False
    space.refresh()
    # Still mapped after it was opened: the number was never free. (Times of a file server can be ahead of ours.)
    return space.ended or space.last_seen_ns(mapping) == seen_ns


def _numbers_in_maps(source: FileSource) -> tuple[tuple[int, int], int] | None:
    if source.size == 0:
        return None
    try:
        with open("/proc/self/maps", "rb") as file:
            before = {(m.start, m.end) for m in parse_maps(file.read())}
        with mmap.mmap(source.descriptor, 1, access=mmap.ACCESS_READ), open("/proc/self/maps", "rb") as file:
            for mapping in parse_maps(file.read()):
                if (mapping.start, mapping.end) not in before and mapping.is_file:
                    return mapping.device, mapping.inode
    except (OSError, ValueError):
        pass
    return None


def read_vdso(space: AddressSpace, mapping: Mapping) -> ByteSource | None:
    """The image of `[vdso]`: the target's own where it may be read, else ours if that has the same size."""
    size = mapping.end - mapping.start
    if size > _MAX_MEMORY_IMAGE_BYTES:
        return None
    if not space.ended:
        image = _read_memory(f"{space.proc}/{space.pid}/mem", mapping.start, size)
        if image:
            return BytesSource(image)
    if mapping.end >> 32 == 0:
        return None  # a 32-bit process has another one
    try:
        with open("/proc/self/maps", "rb") as file:
            ours = [m for m in parse_maps(file.read()) if m.path == mapping.path and m.end - m.start == size]
    except OSError:
        return None
    image = _read_memory("/proc/self/mem", ours[0].start, size) if ours else b""
    return BytesSource(image) if image else None


def _read_memory(path: str, start: int, size: int) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(start)
            return file.read(size) or b""
    except (OSError, ValueError, OverflowError):
        return b""
