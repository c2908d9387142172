"""The private directory of files that one dtrace reads: its program; on Linux its library and the kernel's types.

DTrace for Linux compiles its D library files at every start, a second of CPU, and where one of them doesn't fit the
kernel no program runs at all. Our programs need none of them, so dtrace gets a library directory with nothing but
what it insists on: `bpf_dlib.o` (a link) and the empty folders named after kernel versions.
"""

from __future__ import annotations

import functools
import glob
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dtrace_profiler.platforms.facts import SystemFacts
from dtrace_profiler.record.btf import BtfError, KernelOffsets, kernel_offsets, reduced_btf

KERNEL_BTF = "/sys/kernel/btf/vmlinux"
LIBRARY_VARIABLE = "DTRACE_PROFILER_SYSLIBDIR"
"""Names DTrace's system library directory (the one with `bpf_dlib.o`) where it is at an unusual place."""
_BPF_LIBRARY = "bpf_dlib.o"


@dataclass(slots=True)
class Workspace:
    """Made for one session, removed by `close`. `notes` says what could not be had, and what that costs."""

    path: Path
    options: list[str]
    """`-x` options, without the `-x`."""
    notes: list[str]

    @classmethod
    def create(cls, dtrace_path: str, system: SystemFacts, *, all_types: bool = False) -> Workspace:
        """Raises OSError where it can't be written. `all_types`: the program uses other kernel types than ours do."""
        # Only this user (and root) may read or change what a privileged dtrace is going to run.
        made = cls(Path(tempfile.mkdtemp(prefix="dtrace-profiler-")), [], [])
        try:
            if system.dialect == "linux":
                made._fill(dtrace_path, all_types=all_types)
        except BaseException:
            made.close()
            raise
        return made

    def _fill(self, dtrace_path: str, *, all_types: bool) -> None:
        library = system_library(dtrace_path)
        if library is not None:
            self._link_library(library)
        else:
            self.notes.append(
                "DTrace's library directory was not found, so it starts slowly;"
                f" {LIBRARY_VARIABLE} can name it (the directory with {_BPF_LIBRARY})."
            )
        offsets = None if all_types else running_kernel_offsets()
        if offsets is not None:
            types = self.path / "btf"
            types.mkdir()
            (types / "vmlinux").write_bytes(reduced_btf(offsets))
            self.options.append(f"btfpath={types}")

    def _link_library(self, library: Path) -> None:
        private = self.path / "lib"
        private.mkdir()
        (private / _BPF_LIBRARY).symlink_to(library / _BPF_LIBRARY)
        for entry in library.iterdir():
            if re.fullmatch(r"\d+\.\d+", entry.name):
                (private / entry.name).mkdir()
        self.options.append(f"syslibdir={private}")

    def write_program(self, text: str) -> Path:
        path = self.path / "program.d"
        path.write_text(text, encoding="utf-8")
        return path

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


@functools.lru_cache(maxsize=8)
def system_library(dtrace_path: str) -> Path | None:
    """DTrace's own library directory, None where it can't be found."""
    named = os.environ.get(LIBRARY_VARIABLE)
    patterns = [named] if named else []
    if not named:
        patterns += _named_by_launcher(dtrace_path)
        root = str(Path(os.path.realpath(dtrace_path)).parent.parent)
        for prefix in dict.fromkeys((root, "/usr")):
            patterns += [f"{prefix}/lib*/dtrace", f"{prefix}/lib/*/dtrace"]
    for pattern in patterns:
        for found in sorted(glob.glob(pattern)):
            if os.path.exists(os.path.join(found, _BPF_LIBRARY)):
                return Path(found)
    return None


def _named_by_launcher(dtrace_path: str) -> list[str]:
    """`-x syslibdir=` in a dtrace that is a shell script around the real one."""
    try:
        with open(dtrace_path, "rb") as file:
            head = file.read(4096)
    except OSError:
        return []
    if not head.startswith(b"#!"):
        return []
    return [os.fsdecode(match) for match in re.findall(rb"syslibdir=([^\s\"']+)", head)]


@functools.lru_cache(maxsize=1)
def running_kernel_offsets() -> KernelOffsets | None:
    """Of the kernel that runs here; None without BTF. Takes 0.1 s the first time, so call it early."""
    try:
        with open(KERNEL_BTF, "rb") as file:
            return kernel_offsets(file.read())
    except (OSError, BtfError):
        return None
