"""Which file an address is in."""

from __future__ import annotations

from dtrace_profiler.formats.mapped_addresses import MappedAddresses
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import MappedFile, Meta


def mapped(process: int, start: int, path: str) -> MappedFile:
    return MappedFile(process_id=process, start=start, end=start + 0x1000, offset=0, path=path)


def native(module: str, address: int) -> StackFrame:
    return StackFrame("f", module, address, kind=FrameKind.NATIVE)


def test_it_is_of_the_file_that_has_the_modules_name() -> None:
    files = [mapped(1, 0x1000, "/bin/a"), mapped(2, 0x1000, "/lib/b.so"), mapped(3, 0x1800, "/bin/a")]
    builder = ProfileBuilder()
    for file in [*files, *files]:
        builder.add_mapped_file(file)
    profile = builder.snapshot(Meta())
    assert list(profile.mapped_files) == files
    addresses = MappedAddresses(profile)
    assert addresses.find(native("a", 0x1010)) == files[0]
    assert addresses.find(native("b.so", 0x1010)) == files[1]
    assert addresses.find(native("a", 0x2100)) == files[2]
    assert addresses.find(native("a", 0x0FFF)) is None
    assert addresses.find(native("b.so", 0x2001)) is None
    assert addresses.find(native("c", 0x1010)) is None
    assert addresses.find(native("a", 0)) is None
    assert addresses.find(StackFrame("f", "a", 0x1010, kind=FrameKind.KERNEL)) is None
