from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.model.frame import FrameKind
from dtrace_profiler.symbols.cache import SymbolCache
from dtrace_profiler.symbols.mappings import AddressSpace
from dtrace_profiler.symbols.native import JIT_MODULE, Symboliser
from dtrace_profiler.symbols.perfmap import PerfMap

pytestmark = pytest.mark.skipif(os.open not in os.supports_dir_fd, reason="needs openat")

PID = 4321


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / f"perf-{PID}.map"


@pytest.fixture
def perf_map(tmp_path: Path) -> PerfMap:
    (tmp_path / "proc" / str(PID)).mkdir(parents=True)
    (tmp_path / "proc" / str(PID) / "status").write_text(f"Name:\tx\nUid:\t{os.geteuid()}\t{os.geteuid()}\t0\t0\n")
    return PerfMap(PID, proc=str(tmp_path / "proc"), folder=str(tmp_path))


def name(perf_map: PerfMap, address: int) -> str | None:
    code = perf_map.lookup(address)
    return code.name if code else None


def test_names_with_blanks_and_half_open_ranges(perf_map: PerfMap, path: Path) -> None:
    path.write_text("1000 10 LazyCompile:*f /a b.js:1\n2000 1 py::<module>:/x.py\n")
    assert perf_map.refresh()
    assert [name(perf_map, at) for at in (0xFFF, 0x1000, 0x100F, 0x1010, 0x2000)] == [
        None,
        "LazyCompile:*f /a b.js:1",
        "LazyCompile:*f /a b.js:1",
        None,
        "py::<module>:/x.py",
    ]


def test_grows(perf_map: PerfMap, path: Path) -> None:
    path.write_text("1000 10 old\n20")
    assert perf_map.refresh()
    assert not perf_map.refresh()
    with path.open("a") as file:
        file.write("00 10 new\n1008 8 over\n")
    assert perf_map.refresh()
    assert [name(perf_map, at) for at in (0x1000, 0x1008, 0x2000)] == ["old", "over", "new"]
    assert perf_map.broken_lines == 0


def test_truncated_or_replaced_file_starts_anew(perf_map: PerfMap, path: Path) -> None:
    path.write_text("1000 10 first\n2000 10 second\n")
    perf_map.refresh()
    path.write_text("3000 10 third\n")
    perf_map.refresh()
    assert [name(perf_map, at) for at in (0x1000, 0x3000)] == [None, "third"]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "1000",
        "1000 10",
        "x 10 a",
        "1000 x a",
        "-1000 10 a",
        "1_0 10 a",
        "1000 0 a",
        "ffffffffffffffff 10 a",
        "\0",
    ],
)
def test_broken_lines_are_skipped_and_counted(perf_map: PerfMap, path: Path, line: str) -> None:
    path.write_text(f"{line}\n5000 10 good\n")
    perf_map.refresh()
    assert name(perf_map, 0x5000) == "good"
    assert perf_map.broken_lines == bool(line)
    assert len(perf_map) == 1


@pytest.mark.parametrize("merge_after", [0, 3, 256])
@given(entries=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 40)), max_size=30), cut=st.integers(0, 30))
def test_last_entry_wins(
    tmp_path_factory: pytest.TempPathFactory, merge_after: int, entries: list[tuple[int, int]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("map")
    perf_map = PerfMap(PID, proc=str(folder), folder=str(folder))
    perf_map._owners = frozenset({os.geteuid()})
    lines = [f"{start:x} {size:x} n{i}\n" for i, (start, size) in enumerate(entries)]
    expected: dict[int, str] = {}
    for i, (start, size) in enumerate(entries):
        expected.update(dict.fromkeys(range(start, start + size), f"n{i}"))
    with (folder / f"perf-{PID}.map").open("w") as file:
        for part in (lines[:cut], lines[cut:]):
            file.writelines(part)
            file.flush()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("dtrace_profiler.symbols.perfmap._MERGE_AFTER", merge_after)
                perf_map.refresh()
    assert {at: found for at in range(110) if (found := name(perf_map, at))} == expected


@given(st.binary(max_size=500))
def test_junk(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    folder = tmp_path_factory.mktemp("map")
    perf_map = PerfMap(PID, proc=str(folder), folder=str(folder))
    perf_map._owners = frozenset({os.geteuid()})
    (folder / f"perf-{PID}.map").write_bytes(junk + b"\n7f0000 10 good\n")
    perf_map.refresh()
    assert name(perf_map, 0x7F0008) == "good"


class TestHostileFiles:
    def test_link(self, perf_map: PerfMap, path: Path, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("1000 10 secret\n")
        path.symlink_to(tmp_path / "secret")
        assert not perf_map.refresh()
        assert perf_map.refused

    def test_folder_that_is_a_link(self, perf_map: PerfMap, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / f"perf-{PID}.map").write_text("1000 10 a\n")
        (tmp_path / "link").symlink_to(tmp_path / "real")
        through_link = PerfMap(PID, proc=perf_map._proc, folder=str(tmp_path / "link"))
        assert not through_link.refresh()

    def test_fifo_does_not_block(self, perf_map: PerfMap, path: Path) -> None:
        os.mkfifo(path)
        assert not perf_map.refresh()
        assert perf_map.refused

    def test_folder(self, perf_map: PerfMap, path: Path) -> None:
        path.mkdir()
        assert not perf_map.refresh()

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
    @pytest.mark.parametrize(("owner", "read"), [(12345, False), (777, True), (0, True)])
    def test_owner(self, tmp_path: Path, path: Path, owner: int, read: bool) -> None:
        (tmp_path / str(PID)).mkdir()
        (tmp_path / str(PID) / "status").write_text("Uid:\t777\t777\t777\t777\n")
        path.write_text("1000 10 a\n")
        os.chown(path, owner, owner)
        perf_map = PerfMap(PID, proc=str(tmp_path), folder=str(tmp_path))
        assert perf_map.refresh() is read
        assert bool(perf_map.refused) is not read

    def test_huge(self, perf_map: PerfMap, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dtrace_profiler.symbols.perfmap.MAX_BYTES", 1 << 20)
        path.write_text("1000 10 first\n" + "2000 10 " + "x" * (1 << 19) + "\n")
        os.truncate(path, 1 << 40)
        assert perf_map.refresh()
        assert name(perf_map, 0x1000) == "first"
        assert len(name(perf_map, 0x2000) or "") <= 4096

    def test_missing(self, perf_map: PerfMap) -> None:
        assert not perf_map.refresh()
        assert perf_map.lookup(0x1000) is None


def test_target_in_another_pid_namespace(tmp_path: Path) -> None:
    inner = tmp_path / str(PID) / "root" / "tmp"
    inner.mkdir(parents=True)
    (tmp_path / str(PID) / "status").write_text(f"Uid:\t{os.geteuid()}\t0\t0\t0\nNSpid:\t{PID}\t17\n")
    (inner / "perf-17.map").write_text("1000 10 inside\n")
    perf_map = PerfMap(PID, proc=str(tmp_path))
    assert perf_map.refresh()
    assert name(perf_map, 0x1000) == "inside"


def test_frames_of_a_jit(tmp_path: Path) -> None:
    space = AddressSpace.from_text(os.getpid(), b"1000-3000 r-xp 00000000 00:00 0\n")
    path = tmp_path / f"perf-{os.getpid()}.map"
    space.proc = "/proc"
    with Symboliser(cache=SymbolCache(None), perf_map_folder=str(tmp_path), perf_map_interval_s=0) as symboliser:
        (before,) = symboliser.frames(space, 0x2000, is_return_address=False)
        path.write_text("2000 10 first name\n")
        (first,) = symboliser.frames(space, 0x2000, is_return_address=False)
        with path.open("a") as file:
            file.write("2000 10 compiled again\n")
        (second,) = symboliser.frames(space, 0x2010, is_return_address=True)
    assert before[:2] == ("0x2000", "[anon]")
    assert (first.function_name, first.module_name, first.kind) == ("first name", JIT_MODULE, FrameKind.NATIVE)
    assert second.function_name == "compiled again"
