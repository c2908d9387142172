"""`profile` and `profiled`: blocks, functions, coroutine functions; files, tables, calls within one another."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dtrace_profiler import Profile, profile, profiled
from dtrace_profiler.errors import UsageError
from dtrace_profiler.formats import read_profile


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(500))


def seen(found: Profile, function: str = "burn") -> int:
    return sum(function in [frame.function_name for frame in sample.stack_frames] for sample in found.samples())


def test_a_block_and_its_file(tmp_path: Path) -> None:
    with profile(tmp_path / "a.dtrace", frequency_hz=499, engine="sampler") as profiler:
        burn(0.1)
        assert profiler.running
    assert not profiler.running
    assert seen(profiler.snapshot()) == seen(read_profile(tmp_path / "a.dtrace")) > 0


def test_a_block_that_raises_has_its_file(tmp_path: Path) -> None:
    def fail() -> None:
        with profile(tmp_path / "a.folded", frequency_hz=499, engine="sampler"):
            burn(0.05)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert "burn" in (tmp_path / "a.folded").read_text()


def test_a_file_of_no_format_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no format"), profile(tmp_path / "a.xyz", engine="sampler"):
        raise AssertionError


def test_a_function_writes_its_file(tmp_path: Path) -> None:
    @profiled(tmp_path / "a.folded", frequency_hz=499, engine="sampler")
    def work(seconds: float) -> str:
        """What it does."""
        burn(seconds)
        return "done"

    assert work(0.05) == "done"
    assert (work.__name__, work.__doc__) == ("work", "What it does.")
    assert "burn" in (tmp_path / "a.folded").read_text()


def test_a_coroutine_function_prints_what_is_on_top(capsys: pytest.CaptureFixture[str]) -> None:
    @profiled(frequency_hz=499, engine="sampler")
    async def work() -> int:
        burn(0.05)
        await asyncio.sleep(0)
        return 7

    assert asyncio.run(work()) == 7
    assert "burn" in capsys.readouterr().err


def test_calls_beside_and_within_one_another_are_one_profile(tmp_path: Path) -> None:
    both = threading.Barrier(2)

    @profiled(tmp_path / "a.dtrace", frequency_hz=499, engine="sampler")
    def work(depth: int) -> None:
        if depth == 2:
            both.wait()
        burn(0.1)
        if depth:
            work(depth - 1)
            assert not (tmp_path / "a.dtrace").exists()

    threads = [threading.Thread(target=work, args=(2,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read_profile(tmp_path / "a.dtrace")
    working = {
        sample.thread_id
        for sample in found.samples()
        if any(frame.function_name.endswith(".work") for frame in sample.stack_frames)
    }
    assert len(working) == 2


@pytest.mark.dtrace
def test_with_dtrace_a_short_block_is_seen_from_its_beginning() -> None:
    code = """
import time
from dtrace_profiler import profiled
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end: sum(range(500))
@profiled(native="none")
def work(): burn(0.3)
work()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    for function in ("burn", "work"):
        assert function in done.stderr
