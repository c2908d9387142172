from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtrace_profiler.symbols.cache import SymbolCache, default_directory

pytestmark = pytest.mark.posix


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "symbols"


def only_entry(folder: Path) -> Path:
    (entry,) = folder.iterdir()
    return entry


def test_what_was_stored_comes_back_in_another_run(folder: Path) -> None:
    SymbolCache(folder).store(b"key", [b"one", b"", b"three" * 1000])
    assert SymbolCache(folder).load(b"key") == [b"one", b"", b"three" * 1000]
    assert SymbolCache(folder).load(b"other") is None


def test_private(folder: Path) -> None:
    SymbolCache(folder).store(b"key", [b"x"])
    if os.name == "posix":
        assert folder.stat().st_mode & 0o777 == 0o700
        assert only_entry(folder).stat().st_mode & 0o077 == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(0, 200), st.integers(1, 255), st.booleans())
def test_a_damaged_entry_is_not_believed(tmp_path: Path, at: int, change: int, cut: bool) -> None:
    folder = tmp_path / "cache"
    cache = SymbolCache(folder)
    cache.store(b"key", [b"a" * 50, b"b" * 50])
    entry = only_entry(folder)
    data = bytearray(entry.read_bytes())
    at %= len(data)
    if cut:
        del data[at:]
    else:
        data[at] ^= change
    entry.write_bytes(data)
    assert cache.load(b"key") is None


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
class TestOthers:
    def test_entry_that_others_can_write(self, folder: Path) -> None:
        cache = SymbolCache(folder)
        cache.store(b"key", [b"x"])
        only_entry(folder).chmod(0o622)
        assert cache.load(b"key") is None

    def test_link_and_fifo_in_place_of_an_entry(self, folder: Path, tmp_path: Path) -> None:
        cache = SymbolCache(folder)
        cache.store(b"key", [b"x"])
        entry = only_entry(folder)
        entry.rename(tmp_path / "elsewhere")
        entry.symlink_to(tmp_path / "elsewhere")
        assert cache.load(b"key") is None
        entry.unlink()
        os.mkfifo(entry, 0o600)
        assert cache.load(b"key") is None

    def test_folder_that_others_can_enter(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        assert not SymbolCache(folder).enabled

    def test_folder_that_is_a_link(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir(mode=0o700)
        folder.parent.mkdir()
        folder.symlink_to(tmp_path / "real")
        assert not SymbolCache(folder).enabled

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
    def test_folder_of_another_user(self, folder: Path) -> None:
        folder.mkdir(parents=True, mode=0o700)
        os.chown(folder, 12345, 12345)
        assert not SymbolCache(folder).enabled


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = SymbolCache(tmp_path / "file" / "cache")
    cache.store(b"key", [b"x"])
    assert cache.load(b"key") is None


def test_bounded_and_the_oldest_use_goes_first(folder: Path) -> None:
    cache = SymbolCache(folder, max_bytes=10_000)
    for number in range(3):
        cache.store(b"%d" % number, [bytes(3000)])
        os.utime(max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns), (number + 1, number + 1))
    assert cache.load(b"0") is not None  # used now, so the second is the oldest
    cache.store(b"new", [bytes(3000)])
    assert [cache.load(key) is not None for key in (b"0", b"1", b"2", b"new")] == [True, False, True, True]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 10_000


def test_too_large_an_entry_is_not_stored(folder: Path) -> None:
    cache = SymbolCache(folder, max_bytes=10_000)
    cache.store(b"key", [bytes(9000)])
    assert list(folder.iterdir()) == []


class TestDefaultDirectory:
    @pytest.mark.parametrize("value", ["0", "off", "no", "OFF", ""])
    def test_switched_off(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setenv("DTRACE_PROFILER_CACHE", value)
        assert default_directory() is None
        assert not SymbolCache(default_directory()).enabled

    def test_chosen(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("DTRACE_PROFILER_CACHE", str(tmp_path))
        assert default_directory() == tmp_path

    def test_root_leaves_nothing_in_a_home(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("DTRACE_PROFILER_CACHE", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
        found = default_directory()
        assert found is not None
        assert tmp_path not in found.parents

    def test_user(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("DTRACE_PROFILER_CACHE", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
        assert default_directory() == tmp_path / "dtrace-profiler" / "symbols"
