"""The ELF reader and the table of names, against nm and against files that lie."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from compiled import CALLABLE, WAITER, need
from hypothesis import given, settings
from hypothesis import strategies as st

from dtrace_profiler.symbols.elf import ElfError, ElfFile, Section
from dtrace_profiler.symbols.extents import build_table, mini_debug_file
from dtrace_profiler.symbols.plt import _targets_aarch64
from dtrace_profiler.symbols.source import BytesSource
from dtrace_profiler.symbols.table import Extent, SymbolTable

Build = Callable[..., Path]


def read(path: Path) -> ElfFile:
    return ElfFile(BytesSource(path.read_bytes()))


def nm(path: Path, *options: str) -> dict[str, tuple[int, int]]:
    """Name -> (address, size) of the code symbols that nm prints."""
    need("nm")
    lines = subprocess.run(["nm", "-S", *options, str(path)], capture_output=True, text=True, check=True).stdout
    out = {}
    for line in lines.splitlines():
        parts = line.split()
        if len(parts) == 4 and parts[2] in "tTwWi":
            out[parts[3].partition("@")[0]] = (int(parts[0], 16), int(parts[1], 16))
    return out


class TestNames:
    @pytest.mark.parametrize(
        "options", [("-O2",), ("-O2", "-no-pie"), ("-O2", "-static"), ("-Og", "-shared", "-fPIC")]
    )
    def test_every_byte_that_nm_names(self, compile_c: Build, options: tuple[str, ...]) -> None:
        path = compile_c(*options)
        table = build_table(read(path))
        expected = nm(path)
        assert {"outermost", "local_function", "main"} <= set(expected)
        by_place: dict[tuple[int, int], set[str]] = {}
        for name, place in expected.items():
            by_place.setdefault(place, set()).add(name)
        ends = {start + size for start, size in by_place}
        starts = {start for start, _ in by_place}
        for (start, size), names in by_place.items():
            assert table.lookup(start).partition("@")[0] in names or start in ends
            if not any(start < other < start + size for other in starts):
                assert table.lookup(start + size - 1).partition("@")[0] in names

    def test_behind_the_end_of_a_symbol_is_no_symbol(self, compile_c: Build) -> None:
        source = (
            WAITER
            + '__asm__(".text; .globl padded; .type padded, @function; padded: nop; .size padded, 1; .skip 64");'
        )
        path = compile_c("-O2", source=source)
        table = build_table(read(path))
        start, _ = nm(path)["padded"]
        assert table.lookup(start) == "padded"
        assert table.lookup(start + 1) == ""

    def test_symbol_without_a_size_reaches_to_the_next(self, compile_c: Build) -> None:
        source = WAITER + '__asm__(".text; bare: .skip 64; .globl after; after: nop; nop");'
        path = compile_c("-O2", source=source)
        table = build_table(read(path))
        start = next(at for at in table.starts if table.lookup(at) == "bare")
        assert table.lookup(start + 63) == "bare"
        assert table.lookup(start + 64) == "after"

    @pytest.mark.parametrize("options", [(), ("-Wl,-z,now",), ("-Wl,-z,now", "-fcf-protection=full")])
    def test_plt(self, compile_c: Build, options: tuple[str, ...]) -> None:
        need("objdump")
        path = compile_c("-O2", *options)
        text = subprocess.run(["objdump", "-d", str(path)], capture_output=True, text=True, check=True).stdout
        table = build_table(read(path))
        stubs = {}
        for line in text.splitlines():
            if line.endswith("@plt>:"):
                address, _, name = line.partition(" ")
                stubs[int(address, 16)] = name[1:-2]
        assert "printf@plt" in stubs.values() or "__printf_chk@plt" in stubs.values()
        assert {address: table.lookup(address) for address in stubs} == stubs

    def test_plt_of_aarch64(self) -> None:
        # adrp x16, 0x410000; ldr x17, [x16, #4088]; add x16, x16, #0xff8; br x17 (as GNU ld writes it)
        stub = bytes.fromhex("90000090 11fe47f9 10e23f91 20021fd6")
        section = Section(".plt", 1, 6, 0x4005C0, 0, 0x50, 0, 0, 16)
        header = bytes.fromhex("1f2003d5") * 8
        assert list(_targets_aarch64(header + stub, section)) == [(0x4005E0, 0x4005F0, 0x410FF8)]

    def test_stripped_cpp_with_exceptions(self, compile_c: Build) -> None:
        need("strip")
        source = """
        #include <cstdio>
        struct Guard { ~Guard() { std::puts("left"); } };
        __attribute__((noinline)) int throws(int n) { Guard guard; if (n > 1) throw n; return n; }
        int main(int argc, char **) { try { return throws(argc); } catch (int n) { return n; } }
        """
        path = compile_c("-O1", source=source, compiler="g++")
        start, size = nm(path)["_Z6throwsi"]
        subprocess.run(["strip", str(path)], check=True)
        table = build_table(read(path))
        assert {table.lookup(at) for at in range(start, start + size)} == {f"0x{start:x}"}

    def test_stripped_file_has_ranges_of_functions(self, compile_c: Build) -> None:
        need("strip")
        path = compile_c("-O2")
        start, size = nm(path)["outermost"]
        subprocess.run(["strip", str(path)], check=True)
        table = build_table(read(path))
        assert table.lookup(start) == table.lookup(start + size - 1) == f"0x{start:x}"
        assert table.lookup(start + size) != f"0x{start:x}"

    def test_mini_debug_info(self, compile_c: Build, tmp_path: Path) -> None:
        need("strip", "objcopy", "xz")
        path = compile_c("-O2")
        expected = nm(path)
        subprocess.run(
            ["objcopy", "-S", "--keep-symbol=local_function", str(path), str(tmp_path / "mini")], check=True
        )
        subprocess.run(["xz", str(tmp_path / "mini")], check=True)
        subprocess.run(["strip", str(path)], check=True)
        section = f".gnu_debugdata={tmp_path / 'mini.xz'}"
        subprocess.run(["objcopy", "--add-section", section, str(path)], check=True)
        elf = read(path)
        mini = mini_debug_file(elf)
        assert mini is not None
        start, size = expected["local_function"]
        assert build_table(elf, [mini]).lookup(start + size - 1) == "local_function"

    def test_build_id(self, compile_c: Build) -> None:
        wanted = "00112233445566778899aabbccddeeff00112233"
        assert read(compile_c(f"-Wl,--build-id=0x{wanted}")).build_id.hex() == wanted

    def test_32_bit(self, compile_c: Build) -> None:
        path = compile_c("-m32", "-nostdlib", "-shared", "-fPIC", "-O1", source=CALLABLE)
        elf = read(path)
        assert not elf.is_64
        start, size = nm(path)["in_library"]
        table = build_table(elf)
        assert [table.lookup(at) for at in (start, start + size - 1)] == ["in_library"] * 2


class TestAddressOf:
    def test_shared_page_belongs_to_the_code(self) -> None:
        elf = make_elf([(4, 0, 0x0, 0x0, 0x1200), (5, 0, 0x1200, 0x2200, 0x800)])
        assert elf.address_of(0x1300) == 0x2300
        assert elf.address_of(0x1100) == 0x1100  # in the first segment, exactly
        assert elf.address_of(0x1A80) == 0x2A80  # on the code's last page
        assert elf.address_of(0x5000) is None


def make_elf(segments: list[tuple[int, int, int, int, int]]) -> ElfFile:
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, len(segments), 64, 0, 0)
    for flags, _, offset, address, size in segments:
        header += struct.pack("<IIQQQQQQ", 1, flags, offset, address, address, size, size, 4096)
    return ElfFile(BytesSource(header))


def obvious_name(extents: list[Extent], address: int) -> str:
    """The one that starts last of those that cover; else the one without a size that nothing covers."""
    covering = [e for e in extents if e.start <= address < e.end]
    if not covering and address < 64:
        last = max((e for e in extents if e.start <= address), key=lambda e: e.start, default=None)
        if last and last.start == last.end and not any(e.start < last.start < e.end for e in extents):
            covering = [last]
    return f"s{max(covering, key=lambda e: e.start).name // 4:02}" if covering else ""


class TestTable:
    @given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20), st.integers(0, 2)), max_size=12))
    def test_against_the_obvious_way(self, symbols: list[tuple[int, int, int]]) -> None:
        names = b"\0" + b"".join(b"s%02d\0" % i for i in range(len(symbols)))
        extents = [
            Extent(start, start + size, 64, (rank,), 1 + 4 * i) for i, (start, size, rank) in enumerate(symbols)
        ]
        table = SymbolTable.build(extents, names)
        first: dict[int, Extent] = {}
        for extent in sorted(extents, key=lambda e: (e.start, e.rank, e.name)):
            first.setdefault(extent.start, extent)
        for address in range(70):
            assert table.lookup(address) == obvious_name(list(first.values()), address), address

    def test_bytes_and_back(self) -> None:
        table = SymbolTable.build([Extent(5, 9, 9, (0,), 1)], b"\0name\0")
        again = SymbolTable.from_bytes(*table.to_bytes())
        assert [again.lookup(at) for at in (4, 5, 8, 9)] == ["", "name", "name", ""]
        with pytest.raises(ValueError, match="length"):
            SymbolTable.from_bytes(bytes(16), bytes(8), b"")


@pytest.fixture(scope="session")
def small_program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    need("gcc")
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "a.c").write_text(CALLABLE + "int main(void) { return in_library(3); }")
    subprocess.run(["gcc", "-O1", "-g", str(folder / "a.c"), "-o", str(folder / "a")], check=True)
    return (folder / "a").read_bytes()


def read_all(data: bytes) -> None:
    try:
        elf = ElfFile(BytesSource(data))
    except ElfError:
        return
    _ = elf.build_id, elf.debug_link, elf.debug_info_size, elf.load_address
    mini_debug_file(elf)
    table = build_table(elf)
    for address in [0, 1, *table.starts[:50]]:
        table.lookup(address)
        elf.address_of(address)


class TestLies:
    @given(st.binary(max_size=400))
    def test_junk(self, junk: bytes) -> None:
        read_all(junk)
        read_all(b"\x7fELF\x02\x01\x01" + junk)
        read_all(b"\x7fELF\x01\x02\x01" + junk)

    @settings(max_examples=150)
    @given(st.data())
    def test_broken_file(self, small_program: bytes, data: st.DataObject) -> None:
        broken = bytearray(small_program)
        # Headers at both ends are where numbers turn into sizes and offsets.
        head, tail = st.integers(0, 1200), st.integers(len(broken) - 2600, len(broken) - 1)
        for _ in range(data.draw(st.integers(1, 8))):
            at = data.draw(st.one_of(head, tail, st.integers(0, len(broken) - 1)))
            broken[at] = data.draw(st.one_of(st.integers(0, 255), st.sampled_from([0, 0x7F, 0x80, 0xFF])))
        read_all(bytes(broken[: data.draw(st.integers(0, len(broken)))] if data.draw(st.booleans()) else broken))

    def test_real_files_of_the_system(self) -> None:
        folder = Path("/usr/lib/x86_64-linux-gnu")
        paths = sorted(folder.glob("*.so*"))[:25] if folder.is_dir() else []
        if not paths:
            pytest.skip("no libraries where Debian has them")
        for path in paths:
            if path.is_file() and os.access(path, os.R_OK) and path.read_bytes()[:4] == b"\x7fELF":
                assert len(build_table(read(path))) > 0
