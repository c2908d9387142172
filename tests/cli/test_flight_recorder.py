"""The last seconds are kept, and written when somebody asks or the program uses too much CPU."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtrace_profiler.errors import UsageError
from dtrace_profiler.formats import read_profile
from dtrace_profiler.model.cpu_threshold import CpuThreshold, CpuWatch

pytestmark = pytest.mark.posix

BURN = "open('up', 'w')\nimport time\nend = time.time() + 60\nwhile time.time() < end: sum(range(1000))"


@contextlib.contextmanager
def recorded(tmp_path: Path, *options: str, code: str = BURN) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "dtrace_profiler", "run", "--engine", "sampler", "-o", "out.dtrace.gz", *options]
    process = subprocess.Popen(
        [*command, "--", sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "up").exists():  # the program runs: signals are attended to
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def line_with(process: subprocess.Popen[str], text: str) -> str:
    assert process.stderr is not None
    lines = []
    while text not in (line := process.stderr.readline()):
        assert line, lines
        lines.append(line)
    return line


def test_a_signal_writes_the_last_seconds_and_sampling_goes_on(tmp_path: Path) -> None:
    with recorded(tmp_path, "--keep", "1s") as process:
        time.sleep(4)
        os.kill(process.pid, signal.SIGUSR2)
        said = line_with(process, "saved")
        match = re.fullmatch(
            r"dtrace-profiler: saved ([\d,]+) samples of the last 1 s: (out-\d{8}-\d{6}\.dtrace\.gz)\n", said
        )
        assert match is not None, said
        first = read_profile(tmp_path / match[2])
        assert 0 < len(first) == int(match[1].replace(",", ""))
        assert max(first.timestamp_ns) - min(first.timestamp_ns) <= 1_000_000_000
        assert first.meta.duration_ns == 1_000_000_000
        assert min(first.timestamp_ns) >= first.meta.start_ns
        assert not first.meta.losses.get("expired_samples")
        os.kill(process.pid, signal.SIGUSR2)
        second = re.search(r"out-\S+", line_with(process, "saved"))
        assert second is not None
        assert second[0] != match[2], "none overwrites another"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (130, -2)
        last = read_profile(tmp_path / "out.dtrace.gz")
        assert max(last.timestamp_ns) > max(first.timestamp_ns)
        assert last.meta.duration_ns == 1_000_000_000


def test_too_much_cpu_writes_it_once(tmp_path: Path) -> None:
    with recorded(tmp_path, "--keep", "5s", "--save-when", "cpu>5% for 1s") as process:
        line_with(process, "saved")
        time.sleep(2.5)
        assert len(list(tmp_path.glob("out-*.dtrace.gz"))) == 1


def test_a_save_that_fails_is_told_and_all_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    with recorded(tmp_path, "--keep", "5s", "-o", "there/x.svg") as process:
        time.sleep(1)
        folder.rename(tmp_path / "elsewhere")
        os.kill(process.pid, signal.SIGUSR2)
        assert "can't be written" in line_with(process, "x-")
        (tmp_path / "elsewhere").rename(folder)
        os.kill(process.pid, signal.SIGUSR2)
        line_with(process, "saved")
        assert len(list(folder.glob("x-*.svg"))) == 1


def test_without_keep_the_signal_is_the_programs(tmp_path: Path) -> None:
    code = "import signal, time\nsignal.signal(signal.SIGUSR2, lambda *_: exit(9))\n" + BURN
    with recorded(tmp_path, code=code) as process:
        os.kill(process.pid, signal.SIGUSR2)
        assert process.wait(30) == 9


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--keep", "60s", "--record", "x.dtrace"], "a recording keeps all, --keep does not: leave out one of them."),
        (["--save-when", "cpu>90% for 5s"], "--save-when saves what --keep keeps: add --keep 60s."),
        (["--keep", "1m", "--save-when", "cpu>90"], "'cpu>90' is no threshold: write 'cpu>90% for 5s'."),
        (["--keep", "0"], "is no duration above 0"),
        (["--keep", "10ms"], "is out of range"),
    ],
)
def test_what_contradicts_itself(tmp_path: Path, options: list[str], said: str) -> None:
    command = [sys.executable, "-m", "dtrace_profiler", "run", *options, "--", "true"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "percent", "seconds"),
    [("cpu>90% for 5s", 90, 5), (" CPU > 150.5 % for 2 min ", 150.5, 120), ("cpu>0% for 500ms", 0, 0.5)],
)
def test_thresholds(text: str, percent: float, seconds: float) -> None:
    assert CpuThreshold.parse(text) == CpuThreshold(percent, seconds)


@pytest.mark.parametrize(
    "text", ["", "cpu", "cpu>90%", "cpu<5% for 1s", "cpu>90% for 0s", "mem>9% for 1s", "cpu>90% for 5h1"]
)
def test_no_thresholds(text: str) -> None:
    with pytest.raises(UsageError):
        CpuThreshold.parse(text)


def test_once_for_each_time_above() -> None:
    watch = CpuWatch(CpuThreshold(90, 3))
    used, fired = 0, []
    shares = [1.0] * 8 + [0.5] * 2 + [1.0] * 2 + [0.2] + [1.0] * 5
    for second, share in enumerate(shares):
        used += int(share * 1e9)
        if watch.reached(second + 1.0, used):
            fired.append(second)
    # The first second has nothing before it; three whole seconds above, then quiet until it was below.
    assert fired == [3, 15]
