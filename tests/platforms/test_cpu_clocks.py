"""Each system's clocks of single threads: Linux's own here, the others' with their libraries and files played."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dtrace_profiler.platforms.base import system
from dtrace_profiler.platforms.cpu_clocks import clock_source
from dtrace_profiler.sampling.target.look import identifiers

ME = threading.get_ident()


def load(name: str) -> ModuleType:
    """As the sampled program does: by path."""
    path = clock_source(name)
    assert path is not None
    # Its own name, by which coverage knows it.
    spec = importlib.util.spec_from_file_location(f"dtrace_profiler.platforms.cpu_clocks.{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_system_has_one_but_the_unknown() -> None:
    assert all(clock_source(name) for name in ("linux", "macos", "freebsd", "netbsd", "illumos", "windows"))
    assert clock_source("other") is None


@pytest.mark.skipif(system() != "linux", reason="Linux's own clocks")
def test_linux() -> None:
    clocks = load("linux").open_clocks()
    go, ended = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (go.set(), ended.wait()))
    thread.start()
    go.wait()
    found = clocks.current(identifiers())
    assert clocks.native_id(found[ME]) == threading.get_native_id()
    other = found[thread.ident]
    assert clocks.native_id(other) == thread.native_id
    assert 0 <= clocks.read(other) < 10**9
    before = clocks.read(found[ME])
    while time.thread_time_ns() < before + 20_000_000:
        pass
    assert clocks.read(found[ME]) - before == pytest.approx(20_000_000, rel=0.5)
    ended.set()
    thread.join()
    for _ in range(200):  # the kernel lets go of it a moment later
        try:
            clocks.read(other)
        except OSError:
            break
        time.sleep(0.01)
    else:
        pytest.fail("a thread that has ended still has a clock")


@pytest.mark.skipif(system() != "linux", reason="Linux's own clocks")
def test_linux_without_a_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    clocks = load("linux").open_clocks()
    assert clocks.native_id(clocks.current(identifiers())[ME]) == threading.get_native_id()


@pytest.mark.parametrize("name", ["linux", "freebsd"])
def test_a_python_without_such_clocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "pthread_getcpuclockid", raising=False)
    assert load(name).open_clocks() is None


@pytest.mark.parametrize(("name", "flags"), [("freebsd", 0x80000000), ("netbsd", 0x20000000)])
def test_bsd(name: str, flags: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "pthread_getcpuclockid", lambda ident: flags | 100_123, raising=False)
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: clock & 0xFFFFFF, raising=False)
    clocks = load(name).open_clocks()
    found = clocks.current(identifiers())
    assert clocks.native_id(found[ME]) == 100_123
    assert clocks.read(found[ME]) == 100_123
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert load(name).open_clocks() is None, "threads may end while they are looked at"


class MacLibrary:
    """Thread 7 of port 70 has had 3.5 s + 0.25 s; others are not known."""

    def __init__(self) -> None:
        def pthread_mach_thread_np(ident: int) -> int:
            return 70 if ident == ME else 0

        def pthread_threadid_np(ident: int, out: Any) -> int:
            out._obj.value = 7
            return 0

        def thread_info(port: Any, flavor: int, info: Any, count: Any) -> int:
            if port.value != 70:
                return 37
            assert (flavor, count._obj.value) == (3, 10)
            info[:4] = [3, 500_000, 0, 250_000]
            return 0

        self.pthread_mach_thread_np: Callable[..., int] = pthread_mach_thread_np
        self.pthread_threadid_np: Callable[..., int] = pthread_threadid_np
        self.thread_info: Callable[..., int] = thread_info


def test_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "PyDLL", lambda name: MacLibrary())
    clocks = load("macos").open_clocks()
    found = clocks.current(identifiers())
    assert clocks.native_id(found[ME]) == 7
    assert set(found) == {ME}, "a thread without a port has ended"
    assert clocks.read(found[ME]) == 3_750_000_000
    with pytest.raises(OSError):
        clocks.read((71, 8))
    monkeypatch.setattr(ctypes, "PyDLL", lambda name: SimpleNamespace())
    assert load("macos").open_clocks() is None


class WindowsLibrary:
    def __init__(self, *, alive: bool = True, tells: bool = True) -> None:
        self.open_handles = 0

        def OpenThread(access: int, inherit: int, ident: int) -> int:
            if ident != ME:
                return 0
            self.open_handles += 1
            return 5

        def GetThreadTimes(handle: int, created: Any, exited: Any, kernel: Any, user: Any) -> int:
            kernel._obj.value, user._obj.value = 10, 20
            return int(tells)

        def GetExitCodeThread(handle: int, code: Any) -> int:
            code._obj.value = 259 if alive else 0
            return 1

        def CloseHandle(handle: int) -> int:
            self.open_handles -= 1
            return 1

        self.OpenThread: Callable[..., int] = OpenThread
        self.GetThreadTimes: Callable[..., int] = GetThreadTimes
        self.GetExitCodeThread: Callable[..., int] = GetExitCodeThread
        self.CloseHandle: Callable[..., int] = CloseHandle


def test_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    library = WindowsLibrary()
    monkeypatch.setattr(ctypes, "PyDLL", lambda name: library)
    clocks = load("windows").open_clocks()
    clock = clocks.current(identifiers())[ME]
    assert clocks.native_id(clock) == clock
    assert clocks.read(clock) == 3_000, "times come in 100 ns"
    with pytest.raises(OSError):
        clocks.read(ME + 1)
    assert library.open_handles == 0
    for library in (WindowsLibrary(alive=False), WindowsLibrary(tells=False)):
        clocks = load("windows").open_clocks()
        with pytest.raises(OSError):
            clocks.read(clock)
        assert library.open_handles == 0
    monkeypatch.setattr(ctypes, "PyDLL", lambda name: SimpleNamespace())
    assert load("windows").open_clocks() is None


def test_illumos(tmp_path: Path) -> None:
    module = load("illumos")
    assert module.open_clocks(str(tmp_path / "none")) is None
    clocks = module.open_clocks(str(tmp_path))
    clock = clocks.current(identifiers())[ME]
    assert clocks.native_id(clock) == clock
    with pytest.raises(OSError):
        clocks.read(clock)
    usage = tmp_path / str(clock) / "lwpusage"
    usage.parent.mkdir()
    times = [(9, 9)] * 4 + [(1, 500), (2, 300), (0, 40), (7, 7)]
    usage.write_bytes(struct.pack("ii", 1, 1) + b"".join(struct.pack("qq", *pair) for pair in times))
    assert clocks.read(clock) == 3 * 10**9 + 840
    os.truncate(usage, 80)
    with pytest.raises(OSError):
        clocks.read(clock)
