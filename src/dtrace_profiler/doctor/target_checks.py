"""One process: may it be sampled, is it a CPython, how was it compiled, which of its files have names.

By what /proc tells; on systems without, only whether it is there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from dtrace_profiler.cpython.layout import LayoutError
from dtrace_profiler.cpython.looking import look_into
from dtrace_profiler.doctor.checks import Check
from dtrace_profiler.errors import DTraceProfilerError
from dtrace_profiler.platforms.base import System
from dtrace_profiler.platforms.permission import check_process
from dtrace_profiler.platforms.processes import command_line
from dtrace_profiler.symbols.elf import SHT_DYNSYM, SHT_SYMTAB, ElfError, ElfFile
from dtrace_profiler.symbols.mappings import AddressSpace, Mapping
from dtrace_profiler.symbols.prologues import frame_pointer_share
from dtrace_profiler.symbols.targetfiles import open_mapped_file

MAX_FILES = 60
_MOST = 0.6
"""Of a file's functions: it was compiled with frame pointers. Without, some set one all the same."""


def checks(pid: int, on: System) -> Iterator[Check]:
    try:
        check_process(pid, on)
    except DTraceProfilerError as error:
        yield Check("target", False, str(error), error.remedy)
        return
    yield Check("target", True, f"process {pid}: {command_line(pid) or 'its command line is not told'}")
    yield _python(pid, on)
    if on == "linux":
        yield from _files(pid)


def _python(pid: int, on: System) -> Check:
    page = "python-frames.md"
    try:
        layout, _ = look_into(pid, on)
    except LayoutError as error:
        if error.kind == "not_python":
            return Check("Python", None, "this is no CPython 3.11 or later: native frames only", page=page)
        return Check("Python", None, f"no Python frames: {error}", page=page, cost="native frames only")
    build = ", free-threaded" if layout.free_threaded else ""
    return Check("Python", True, f"CPython {layout.version_text}{build}, {layout.path}", page=page)


def _files(pid: int) -> Iterator[Check]:
    space = AddressSpace(pid)
    space.refresh()
    without_pointers, without_names, with_lines, looked = [], [], 0, 0
    for mapping in _mapped_files(space):
        source = open_mapped_file(space, mapping)
        if source is None:
            continue
        with contextlib.closing(source):
            try:
                elf = ElfFile(source)
                share = frame_pointer_share(elf)
                kinds = {section.type for section in elf.symbol_sections()}
            except (ElfError, OSError):
                continue
            looked += 1
            with_lines += bool(elf.debug_info_size)
        if share is not None and share < _MOST:
            without_pointers.append(mapping.name)
        if SHT_SYMTAB not in kinds:
            without_names.append(mapping.name + ("" if SHT_DYNSYM in kinds else " (none at all)"))
    if not looked:
        yield Check("native code", None, "none of its files can be read", cost="native frames without names")
        return
    yield (
        Check("frame pointers", True, f"in all {looked} files that can be told")
        if not without_pointers
        else Check(
            "frame pointers",
            None,
            f"not in {_listed(without_pointers)}",
            "compile with -fno-omit-frame-pointer (Fedora 38 and Ubuntu 24.04 do, and later ones)",
            "native stacks end there, or miss callers; Python frames are whole",
            "install/linux.md#frame-pointers",
        )
    )
    yield (
        Check("symbols", True, f"all {looked} files have them, {with_lines} of them lines too")
        if not without_names
        else Check(
            "symbols",
            None,
            f"stripped: {_listed(without_names)}",
            "install their -dbgsym or -debuginfo packages",
            "only exported functions have names there",
            "install/linux.md#symbols",
        )
    )


def _mapped_files(space: AddressSpace) -> list[Mapping]:
    """The executable files, each once."""
    found: dict[str, Mapping] = {}
    for mapping in space.executable_mappings():
        if mapping.is_file:
            found.setdefault(mapping.path, mapping)
    return list(found.values())[:MAX_FILES]


def _listed(names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
