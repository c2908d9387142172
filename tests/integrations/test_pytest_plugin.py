"""The pytest plugin in the real pytest: a run's files and words, tests apart, budgets, xdist; and that little is
loaded where it isn't asked for."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from dtrace_profiler.errors import DTraceNotFound
from dtrace_profiler.formats import read_profile
from dtrace_profiler.integrations.pytest_run import file_name

# What a run within this process loads is forgotten at its end, and another one would be loaded by the next.
for module in ("formats.html", "formats.recording", "integrations.pytest_budgets", "sampler"):
    importlib.import_module(f"dtrace_profiler.{module}")

pytest_plugins = ["pytester"]

TESTS = """
import time, threading
import pytest

def burn_a(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(500))

def burn_b(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(500))
"""
TWO = (
    TESTS
    + """
def test_a():
    burn_a(0.15)

class TestB:
    @pytest.mark.parametrize("x", ["1/2"])
    def test_b(self, x):
        thread = threading.Thread(target=burn_b, args=[0.1])
        thread.start()
        thread.join()
"""
)
SAMPLER = ("--flamegraph-engine=sampler", "--flamegraph-frequency=499")


def functions(path: Path) -> set[str]:
    return {frame.function_name for frame in read_profile(path).frames}


def test_a_run_has_its_profile_and_says_what_was_found(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TWO)
    result = pytester.runpytest("--flamegraph=out/run.dtrace", *SAMPLER)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "flamegraph: sampled by the embedded sampler at 499 Hz",
            "*= flame graph =*",
            "embedded sampler at 499 Hz · over * samples of * on CPU*",
            "* python  burn_a  test_*",
            "tests with the most CPU time*",
            "* test_a_run*.py::test_a",
            "flame graph: *run.dtrace",
        ]
    )
    profile = read_profile(pytester.path / "out" / "run.dtrace")
    assert profile.meta.target.startswith("pytest ")
    labels = {
        dict(sample.labels).get("test", "").rpartition("::")[2]
        for sample in profile.samples()
        if "burn_a" in {frame.function_name for frame in sample.stack_frames}
    }
    assert labels == {"test_a"}  # a thread that a test starts, as test_b's, has no labels of its own accord


def test_each_test_has_its_own_flame_graph_with_all_its_threads(pytester: pytest.Pytester) -> None:
    path = pytester.makepyfile(TWO + "\ndef test_nothing(): pass\n")
    result = pytester.runpytest("--flamegraph-per-test", *SAMPLER)
    folder = pytester.path / "flamegraphs"
    files = {file.name.removeprefix(path.name): file.read_text() for file in folder.iterdir()}
    files.pop("-test_nothing.html", None)  # a sample may fall into it
    assert set(files) == {"-test_a.html", "-TestB-test_b-1-2.html"}
    assert "burn_a" in files["-test_a.html"]
    assert "burn_b" not in files["-test_a.html"]
    assert "burn_b" in files["-TestB-test_b-1-2.html"]
    assert "burn_a" not in files["-TestB-test_b-1-2.html"]
    result.stdout.fnmatch_lines(["flame graphs of tests: *flamegraphs*"])
    assert not (pytester.path / "flamegraph.html").exists()


def test_names_of_files_differ() -> None:
    taken: set[str] = set()
    tests = [
        "t.py::test[a/b]",
        "t.py::test[a:b]",
        "t.py::TEST[a-b]",
        "t.py::test[a/b]",
        "x" * 300,
        "x" * 301,
        "::",
        "é",
    ]
    names = [file_name(test, taken) for test in tests]
    assert names[0] == "t.py-test-a-b"
    assert len({name.lower() for name in names}) == len(tests)
    assert max(map(len, names)) < 200


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--flamegraph", "test_it.py"], "*'test_it.py' is no name of a profile*put --flamegraph behind them*"),
        (["--flamegraph=x.tachyon"], "*is no name of a profile*"),
        (["--flamegraph", "--flamegraph-frequency=5000"], "*1 to 4999 Hz*"),
        (["--flamegraph", "--flamegraph-frequency=fast"], "*whole number of Hz*"),
        (["--flamegraph", "--flamegraph-engine=perf"], "*auto, dtrace or sampler*"),
        (["--flamegraph", "-o", "flamegraph_frequency=0"], "*1 to 4999 Hz*"),
    ],
)
def test_what_can_not_be_done_is_said_before_the_tests_run(
    pytester: pytest.Pytester, arguments: list[str], says: str
) -> None:
    pytester.makepyfile(test_it="def test_it(): raise SystemExit('it ran')")
    result = pytester.runpytest(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])
    assert "it ran" not in result.stdout.str()


@pytest.mark.parametrize(("engine", "status"), [("auto", 0), ("sampler", 4)])
def test_without_an_engine_the_tests_run_all_the_same_unless_it_was_named(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, engine: str, status: int
) -> None:
    def find_none() -> None:
        raise DTraceNotFound("there is no dtrace here.")

    monkeypatch.setattr("dtrace_profiler.engines.find_dtrace", find_none)
    monkeypatch.setattr("dtrace_profiler.sampler.unsafe_here", lambda: "stacks can't be read.")
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest("--flamegraph", f"--flamegraph-engine={engine}")
    assert result.ret == status
    if engine == "auto":
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["NO FLAME GRAPH: there is no dtrace here. And the embedded sampler can't run*"])
    else:
        result.stderr.fnmatch_lines(["*the embedded sampler can't run: stacks can't be read.*"])


def test_a_file_that_can_not_be_written_takes_no_test_with_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    pytester.path.joinpath("file").touch()
    result = pytester.runpytest("--flamegraph=file/out.svg", *SAMPLER)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["NOT WRITTEN: *out.svg: *"])


def test_a_budget_fails_only_the_test_that_surely_exceeds_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        TESTS
        + """
@pytest.mark.profile_budget("burn_a", share=0.3)
def test_exceeds():
    burn_a(0.2)
    burn_b(0.05)

@pytest.mark.profile_budget("burn_a", share=0.7)
@pytest.mark.profile_budget(cpu_s=30)
def test_keeps():
    burn_a(0.05)
    burn_b(0.2)

@pytest.mark.profile_budget("burn_a", share=0.9)
def test_too_short():
    pass

@pytest.mark.profile_budget(cpu_s=0.05)
def test_uses_too_much():
    burn_b(0.1)

@pytest.mark.profile_budget(cpu_s=0.001)
def test_fails_by_itself():
    burn_b(0.1)
    assert 1 == 2

@pytest.mark.profile_budget(cpu_s=0.001)
@pytest.mark.xfail(strict=True)
def test_expected_to_exceed():
    burn_b(0.1)
"""
    )
    result = pytester.runpytest("--junit-xml=junit.xml")
    result.assert_outcomes(passed=2, failed=3, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "profile budget exceeded: burn_a took * ± * of the test's * of CPU time, and 30.0 % are allowed*",
            "* python  burn_a *",
            "profile budget exceeded: the test used 1?? ms of CPU time, and 50.0 ms are allowed.",
            "E  *assert 1 == 2",
            "*= profile budgets that could not be judged =*",
            "*::test_too_short: NOT JUDGED: *too few samples to tell*",
        ]
    )
    assert "test_keeps: kept: " in (pytester.path / "junit.xml").read_text()
    pytester.runpytest("--no-profile-budgets").assert_outcomes(passed=4, failed=2)


def test_a_budget_that_says_nothing_is_an_error_of_use(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.profile_budget('f')\ndef test_it(): pass")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*::test_it: profile_budget needs a limit*"])


def test_each_worker_of_xdist_has_its_own_profile(pytester: pytest.Pytester) -> None:
    """And the entry point is there: here nobody names the plugin."""
    pytester.makepyfile(
        TESTS
        + """
@pytest.mark.profile_budget("burn_a", share=0.9)
@pytest.mark.parametrize("x", range(4))
def test_it(x):
    (burn_a if x % 2 else burn_b)(0.01)
"""
    )
    result = pytester.runpytest_subprocess("-n2", "--flamegraph=run.dtrace", *SAMPLER)
    result.assert_outcomes(passed=4)
    found = set()
    for worker in ("gw0", "gw1"):
        found |= functions(pytester.path / f"run-{worker}.dtrace")
        result.stdout.fnmatch_lines([f"worker {worker}, with a profile of its own:"])
        result.stdout.fnmatch_lines([f"flame graph: *run-{worker}.dtrace"])
    assert {"burn_a", "burn_b"} <= found
    assert not (pytester.path / "run.dtrace").exists()
    result.stdout.fnmatch_lines(["*::test_it*0*: NOT JUDGED: *"])


def test_a_run_that_does_not_ask_loads_next_to_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_it(): pass")
    program = (
        "import sys, pytest; pytest.main(['-q']); print(sorted(n for n in sys.modules if n.startswith('dtrace_p')))"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=pytester.path, capture_output=True, text=True)
    assert "1 passed" in answer.stdout
    package = "dtrace_profiler"
    assert answer.stdout.splitlines()[-1] == str(
        [
            package,
            *(f"{package}.{name}" for name in ("_version", "errors", "integrations", "integrations.pytest_plugin")),
            *(f"{package}.{name}" for name in ("model", "model.frame", "model.profile")),
        ]
    )


@pytest.mark.dtrace
def test_dtrace_samples_a_run_of_pytest(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS + "def test_a(): burn_a(0.5)")
    result = pytester.runpytest("--flamegraph=run.dtrace", "--flamegraph-frequency=499")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["flamegraph: sampled by DTrace at 499 Hz"])
    profile = read_profile(pytester.path / "run.dtrace")
    assert profile.meta.engine == "dtrace"
    assert "burn_a" in {frame.function_name for frame in profile.frames}
    assert "native" in {frame.kind for frame in profile.frames}
