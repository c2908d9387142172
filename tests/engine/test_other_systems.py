"""The whole pipeline on each of the other systems, with a stand-in for its dtrace (standins/standin_dtrace.py)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import dtrace_profiler.engines
from dtrace_profiler import DTraceProfiler, FrameKind
from dtrace_profiler.errors import DTraceFailed, DTraceProfilerError, PrivilegeError
from dtrace_profiler.platforms.base import System
from dtrace_profiler.platforms.systems import SYSTEMS, facts
from dtrace_profiler.record.text import TextParser

sys.path.insert(0, str(Path(__file__).parent.parent / "standins"))
import standin_dtrace

pytestmark = pytest.mark.posix

CLASSIC: list[System] = [name for name, system in SYSTEMS.items() if system.dialect == "classic"]
CORPUS = Path(__file__).parents[2].parent / "shared" / "dtrace-corpus"
each_system = pytest.mark.parametrize("on", CLASSIC)


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A process to be named; the stand-in makes up what it does."""
    with subprocess.Popen(["sleep", "100"]) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """From now on this is another system, with its dtrace."""

    def begin(on: System, **how: object) -> Path:
        path = standin_dtrace.install(tmp_path, on, **how)  # type: ignore[arg-type]
        monkeypatch.setenv("DTRACE_PROFILER_DTRACE", str(path))
        monkeypatch.setattr(dtrace_profiler.engines, "facts", lambda: facts(on))
        monkeypatch.setattr(dtrace_profiler.engines, "find_dtrace", lambda: dtrace_command(on))
        return path

    def dtrace_command(on: System) -> object:
        from dtrace_profiler.platforms.dtrace_command import find_dtrace

        return find_dtrace(on)

    return begin


def until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@each_system
def test_samples_come_and_it_stops(on: System, play: Callable[..., Path], sleeper: int) -> None:
    play(on)
    before = time.time_ns()
    profiler = DTraceProfiler(sleeper, engine="dtrace")
    profiler.start(199)
    assert profiler.wait_ready(30)
    until(lambda: profiler.sample_count > 50)
    profiler.stop()
    assert profiler.error is None
    assert not [note for note in profiler.profile().meta.notes if "single frame" in note]
    samples = profiler.take_samples()
    assert {(sample.process_id, sample.thread_id) for sample in samples} == {(sleeper, 4242)}
    assert all(before < sample.timestamp_ns < time.time_ns() for sample in samples)
    found = Counter(tuple(frame.function_name for frame in sample.stack_frames) for sample in samples)
    assert len(found) == len(standin_dtrace.STACKS[on])
    # Root first: `main` is at the bottom of each that has it.
    assert all(stack.index("main") == 0 for stack in found if "main" in stack)
    assert not {name for name in profiler.losses if name != "broken_unwinds"}
    assert profiler.profile().total == profiler.sample_count


@each_system
def test_what_dtrace_is_asked_for(on: System, play: Callable[..., Path], sleeper: int) -> None:
    import fake_dtrace

    path = play(on)
    with DTraceProfiler(sleeper, engine="dtrace", kernel=True, children=True) as profiler:
        assert profiler.wait_ready(30)
        until(lambda: profiler.sample_count > 5)
    *_, call = fake_dtrace.calls(path)
    assert call["arguments"][0] == "-q"
    assert "-s" in call["arguments"]
    assert len(" ".join(call["arguments"])) < 2000, "Windows takes 32,767 characters"
    kinds = {frame.kind for sample in profiler.take_samples() for frame in sample.stack_frames}
    assert FrameKind.KERNEL in kinds


@each_system
def test_drops_are_counted(on: System, play: Callable[..., Path], sleeper: int) -> None:
    play(on, scenario="drops")
    with DTraceProfiler(sleeper, engine="dtrace") as profiler:
        assert profiler.wait_ready(30)
        until(lambda: profiler.sample_count > 20)
    assert profiler.losses["drops"] >= 19
    assert profiler.losses["aggregation_drops"] >= 4


@each_system
@pytest.mark.parametrize("scenario", ["denied", "no_device", "no_module"])
def test_it_does_not_begin(on: System, scenario: str, play: Callable[..., Path], sleeper: int) -> None:
    play(on, scenario=scenario)
    profiler = DTraceProfiler(sleeper, engine="dtrace")
    profiler.start()
    with pytest.raises(DTraceProfilerError) as raised:
        profiler.wait_ready(30)
    profiler.stop()
    assert str(raised.value).endswith(".")
    assert raised.value.remedy
    if scenario == "denied":
        assert isinstance(raised.value, PrivilegeError)


@each_system
@pytest.mark.parametrize("scenario", ["dies", "unresponsive"])
def test_it_ends_in_the_midst(on: System, scenario: str, play: Callable[..., Path], sleeper: int) -> None:
    play(on, scenario=scenario)
    profiler = DTraceProfiler(sleeper, engine="dtrace")
    profiler.start()
    assert profiler.wait_ready(30)
    until(lambda: profiler.error is not None)
    profiler.stop()
    assert isinstance(profiler.error, DTraceFailed)
    assert profiler.sample_count > 0, "what came before is kept"


def test_protected_programs_on_macos(
    play: Callable[..., Path], sleeper: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dtrace_profiler.no_samples

    monkeypatch.setattr(dtrace_profiler.no_samples, "system", lambda: "macos")
    play("macos", scenario="faults")
    with DTraceProfiler(sleeper, engine="dtrace") as profiler:
        assert profiler.wait_ready(30)
        until(lambda: profiler.losses.get("probe_faults", 0) > 5)
    assert any("System Integrity Protection" in note for note in profiler.profile().meta.notes)


@each_system
def test_stacks_of_a_single_frame_are_explained(on: System, play: Callable[..., Path], sleeper: int) -> None:
    play(on, stacks=[[b"shop`work+0x8"]])
    with DTraceProfiler(sleeper, engine="dtrace") as profiler:
        assert profiler.wait_ready(30)
        until(lambda: profiler.sample_count > 50)
    (note,) = [note for note in profiler.profile().meta.notes if "single frame" in note]
    assert ("on Windows" in note) == (on == "windows")
    assert ("-fno-omit-frame-pointer" in note) == (on != "windows")


@each_system
def test_silence_is_explained(on: System, play: Callable[..., Path], sleeper: int) -> None:
    play(on, scenario="silent")
    with DTraceProfiler(sleeper, engine="dtrace") as profiler:
        assert profiler.wait_ready(30)
        time.sleep(0.3)
    notes = profiler.profile().meta.notes
    assert any(note.startswith("No sample: the target did not use the CPU") for note in notes)


@each_system
def test_stacks_of_the_corpus(on: System, play: Callable[..., Path], sleeper: int) -> None:
    """Every frame that was ever seen printed there comes through, and none breaks the stream."""
    texts = sorted((CORPUS / on).glob("*.txt")) if CORPUS.is_dir() else []
    stacks = [
        [bytes(frame) for frame in part.frames]
        for path in texts
        if path.name != "stderr.txt" and path.stat().st_size < 300_000
        for block in _blocks(path)
        for part in block.parts
        if part.frames
    ][:200]
    if not stacks:
        pytest.skip("no corpus of this system here")
    play(on, stacks=stacks)
    with DTraceProfiler(sleeper, engine="dtrace") as profiler:
        profiler.stop()
        profiler.start(997)
        assert profiler.wait_ready(30)
        until(lambda: profiler.sample_count > 2 * len(stacks))
    samples = profiler.take_samples()
    assert not profiler.losses.get("undefined_stacks")
    assert not profiler.losses.get("unprinted_samples")
    assert all(sample.stack_frames for sample in samples)


def _blocks(path: Path) -> list[object]:
    parser = TextParser()
    return [*parser.feed(path.read_bytes()), *parser.close()]


@pytest.mark.parametrize("on", [name for name in CLASSIC if name != "windows"])
def test_ourselves_with_python_frames_asked_for(on: System, play: Callable[..., Path]) -> None:
    """What is told to the program of this very process: where the interpreter has its frames, found from inside."""
    play(on)
    with DTraceProfiler(engine="dtrace") as profiler:
        assert profiler.wait_ready(30)
        stage = profiler._engine._stages[0]  # type: ignore[union-attr]
        assert f"holder[{os.getpid()}] = " in stage.text
        assert stage.request.python[0].holder
        until(lambda: profiler.sample_count > 5)
