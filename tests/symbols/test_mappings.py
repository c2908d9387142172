from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.symbols.mappings import AddressSpace, Mapping, parse_maps

MAPS = rb"""5567cc0b9000-5567cc0ba000 r--p 00000000 fe:00 2146416                    /srv/my prog
5567cc0ba000-5567cc0bb000 r-xp 00001000 fe:00 2146416                    /srv/my prog
7f7ecb023000-7f7ecb025000 r-xp 00001000 fe:00 2146401                    /srv/lib/gone.so (deleted)
7f7ecb02e000-7f7ecb02f000 r-xp 00001000 fe:00 2146408                    /srv/d2/libx.so
7f7ecb218000-7f7ecb219000 rwxp 00000000 00:00 0
7f7ecb219000-7f7ecb21a000 r-xp 00001000 00:01 25                         /memfd:my code (deleted)
7f7ecb21a000-7f7ecb21b000 r-xp 00000000 00:01 25                         /memfd:my code (deleted)
7f7ecb21c000-7f7ecb21d000 r-xp 00001000 fe:00 2146407                    /srv/d1/libx.so
7f7ecb21e000-7f7ecb21f000 r-xp 00001000 fe:00 2146409                    /srv/line\012feed.so
7f7ecb228000-7f7ecb22a000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""


@pytest.fixture
def space() -> AddressSpace:
    return AddressSpace.from_text(1, MAPS)


def write_process(proc: Path, pid: int, maps: bytes, start_time: int = 5) -> None:
    folder = proc / str(pid)
    folder.mkdir(exist_ok=True)
    (folder / "maps").write_bytes(maps)
    # The name of a process can hold what looks like the end of it.
    (folder / "stat").write_text(f"{pid} (a) R 1 (b)) S " + "0 " * 18 + f"{start_time} 0 0\n")


class TestParse:
    def test_fields(self) -> None:
        first, second = parse_maps(MAPS)[:2]
        assert first == Mapping(
            0x5567CC0B9000, 0x5567CC0BA000, 0, "/srv/my prog", False, (0xFE, 0), 2146416, False, False
        )
        assert (second.offset, second.executable, second.name) == (0x1000, True, "my prog")

    def test_deleted_anonymous_and_special(self) -> None:
        by_start = {mapping.start: mapping for mapping in parse_maps(MAPS)}
        gone = by_start[0x7F7ECB023000]
        assert (gone.path, gone.deleted, gone.name) == ("/srv/lib/gone.so", True, "gone.so")
        anonymous = by_start[0x7F7ECB218000]
        assert (anonymous.path, anonymous.name, anonymous.writable, anonymous.is_file) == ("", "[anon]", True, False)
        assert by_start[0x7F7ECB228000].name == "[vdso]"
        assert by_start[0x7F7ECB219000].name == "memfd:my code"
        assert by_start[0x7F7ECB21E000].path == "/srv/line\nfeed.so"

    def test_name_that_is_not_utf8_is_shown_and_opens(self) -> None:
        (mapping,) = parse_maps(b"1000-2000 r-xp 00000000 08:01 7 /tmp/\xff.so\n")
        assert mapping.name == "\ufffd.so"
        assert os.fsencode(mapping.path) == b"/tmp/\xff.so"

    @given(st.binary())
    def test_junk(self, junk: bytes) -> None:
        for mapping in parse_maps(junk):
            assert mapping.start < mapping.end
        assert parse_maps(junk + b"\n" + MAPS)[-1] == parse_maps(MAPS)[-1]

    @given(
        st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(1, 1 << 20), st.booleans()), unique_by=lambda m: m[0])
    )
    def test_written_lines_come_back(self, mappings: set[tuple[int, int, bool]]) -> None:
        text = "".join(
            f"{start:x}-{start + size:x} r-{'x' if code else '-'}p 00000000 00:00 0 \n"
            for start, size, code in mappings
        )
        found = [(m.start, m.end - m.start, m.executable) for m in parse_maps(text.encode())]
        assert found == sorted(mappings)


class TestFind:
    @pytest.mark.parametrize(
        ("address", "name"),
        [
            (0x5567CC0B9000, "my prog"),
            (0x7F7ECB024FFF, "gone.so"),
            (0x7F7ECB219000, "memfd:my code"),
            (0xFFFFFFFFFF600400, "[vsyscall]"),
        ],
    )
    def test_inside(self, space: AddressSpace, address: int, name: str) -> None:
        mapping = space.find(address)
        assert mapping is not None
        assert mapping.name == name

    @pytest.mark.parametrize("address", [0, 1, 0x5567CC0BB000, 0x7F7ECB025000, 1 << 64, -1])
    def test_outside(self, space: AddressSpace, address: int) -> None:
        assert space.find(address) is None
        assert not space.is_executable(address)

    def test_data_is_not_executable(self, space: AddressSpace) -> None:
        assert not space.is_executable(0x5567CC0B9010)
        assert space.is_executable(0x5567CC0BA010)

    def test_ignorance_cuts_no_stack(self) -> None:
        assert AddressSpace(1 << 22, proc="/nonexistent").is_executable(0x1234)


class TestAbsolute:
    """What dtrace prints under `-x noresolve`; expectations seen with DTrace 2.0.7 for this very process."""

    @pytest.mark.parametrize(
        ("name", "offset", "address"),
        [
            ("my", 0x67B, 0x5567CC0BA67B),  # cut at the blank
            ("gone.so", 0x105, 0x7F7ECB023105),
        ],
    )
    def test_one_place(self, space: AddressSpace, name: str, offset: int, address: int) -> None:
        assert space.absolute(name, offset) == address

    @pytest.mark.parametrize(
        ("name", "offset"),
        [
            ("libx.so", 0x105),  # two files
            ("memfd:my", 0xC),  # two parts of one file
            ("my", 0x1000),  # beyond the mapping
            ("my", -1),
            ("[vdso]", 0x10),  # printed as a bare address
            ("other", 0),
        ],
    )
    def test_no_place_or_several(self, space: AddressSpace, name: str, offset: int) -> None:
        assert space.absolute(name, offset) is None

    def test_one_file_at_two_places_is_the_same_code(self) -> None:
        line = "%x-%x r-xp 00001000 08:01 7 /lib/a.so\n"
        space = AddressSpace.from_text(1, "".join(line % (at, at + 0x1000) for at in (0x9000, 0x5000)).encode())
        assert space.absolute("a.so", 0x10) == 0x5010


class TestRefresh:
    LIBRARY = b"7000-8000 r-xp 00000000 08:01 7 /lib/a.so\n"
    OTHER = b"7000-8000 r-xp 00000000 08:01 8 /lib/b.so\n"
    PROGRAM = b"1000-2000 r-xp 00000000 08:01 1 /bin/p\n"

    def test_says_what_changed(self, tmp_path: Path) -> None:
        write_process(tmp_path, 7, self.PROGRAM)
        space = AddressSpace(7, proc=str(tmp_path))
        assert [space.refresh(), space.refresh()] == [True, False]
        write_process(tmp_path, 7, self.PROGRAM + self.LIBRARY)
        assert space.refresh()
        assert space.generation == 2
        assert space.text == self.PROGRAM + self.LIBRARY

    def test_what_was_unmapped_is_still_known_until_covered(self, tmp_path: Path) -> None:
        write_process(tmp_path, 7, self.PROGRAM + self.LIBRARY)
        space = AddressSpace(7, proc=str(tmp_path))
        space.refresh()
        write_process(tmp_path, 7, self.PROGRAM)
        space.refresh()
        assert (found := space.find(0x7010)) is not None
        assert found.name == "a.so"
        assert space.absolute("a.so", 0x10) == 0x7010
        write_process(tmp_path, 7, self.PROGRAM + self.OTHER)
        space.refresh()
        assert (found := space.find(0x7010)) is not None
        assert found.name == "b.so"

    def test_the_past_is_bounded(self, tmp_path: Path) -> None:
        space = AddressSpace(7, proc=str(tmp_path))
        for number in range(3):
            lines = [f"1{at:03x}000-1{at:03x}800 r-xp 00000000 08:01 {number + 1} /{at}\n" for at in range(900)]
            write_process(tmp_path, 7, "".join(lines).encode())
            assert space.refresh()
        assert len(space._past) == 1024

    @pytest.mark.parametrize("how", ["empty", "gone", "reused"])
    def test_an_ended_process_keeps_its_mappings(self, tmp_path: Path, how: str) -> None:
        write_process(tmp_path, 7, self.PROGRAM)
        space = AddressSpace(7, proc=str(tmp_path))
        assert space.refresh()
        if how == "empty":  # a zombie
            write_process(tmp_path, 7, b"")
        elif how == "gone":
            (tmp_path / "7" / "maps").unlink()
        else:
            write_process(tmp_path, 7, self.OTHER, start_time=6)
        assert not space.refresh()
        assert (found := space.find(0x1010)) is not None
        assert found.path == "/bin/p"
        assert space.ended is (how != "empty")

    def test_own_process(self) -> None:
        if not os.path.exists("/proc/self/maps"):
            pytest.skip("needs a Linux /proc")
        space = AddressSpace(os.getpid())
        assert space.refresh()
        assert any(mapping.path == "[vdso]" for mapping in space.executable_mappings())
