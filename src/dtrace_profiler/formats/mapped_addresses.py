"""Which mapped file an address is in, for formats that have mappings: pprof and OTLP."""

from __future__ import annotations

import re
from bisect import bisect_right

from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import MappedFile, Profile


def base_name(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]


class MappedAddresses:
    """A frame knows no process: of several files at its address it is of one with the name of its module."""

    def __init__(self, profile: Profile) -> None:
        self._of_module: dict[str, tuple[list[int], list[MappedFile]]] = {}
        for file in sorted(profile.mapped_files, key=lambda file: (file.start, file.end, file.process_id)):
            starts, files = self._of_module.setdefault(base_name(file.path), ([], []))
            starts.append(file.start)
            files.append(file)

    def find(self, frame: StackFrame) -> MappedFile | None:
        if frame.kind is not FrameKind.NATIVE or not frame.address:
            return None
        starts, files = self._of_module.get(frame.module_name, ((), ()))
        place = bisect_right(starts, frame.address) - 1
        # Of another process one may begin later and end sooner: a few steps back is as far as that goes.
        for index in range(place, max(-1, place - 8), -1):
            # A return address may be the end of the code: what was called does not return.
            if files[index].start <= frame.address <= files[index].end:
                return files[index]
        return None
