"""The classic D program's text on each system: goldens for a table of requests, rules for all, the real compiler."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.platforms import linux
from dtrace_profiler.platforms.dtrace_command import find_dtrace
from dtrace_profiler.platforms.facts import SystemFacts
from dtrace_profiler.platforms.systems import SYSTEMS, facts
from dtrace_profiler.record.classic import TABLES, classic_options, classic_program
from dtrace_profiler.record.dialects import dialect
from dtrace_profiler.record.program import ProgramRequest
from dtrace_profiler.record.python_walk import PythonProcess
from dtrace_profiler.record.workspace import Workspace

GOLDENS = Path(__file__).parent / "programs"
CLASSIC = [name for name, system in SYSTEMS.items() if system.dialect == "classic"]


def python(minor: int) -> PythonProcess:
    """Where each version has what the walk needs, as a process of it said."""
    frame = {11: 56, 12: 56}.get(minor, 72)
    return PythonProcess(
        pid=42,
        slot=0,
        frame=frame,
        cframe={11: 8, 12: 0}.get(minor),
        old_frames=minor == 11,
        generation=0x8F00A0 if minor >= 14 else 0,
        code_type=0x8E0000,
        code_shape=0x82028487880,
        holder=0x7F0000100000 + minor,
        owner={11: 160, 12: 144}.get(minor, 152),
    )


REQUESTS = {
    "self": ProgramRequest(frequency_hz=99, pids=[42], walk_steps=3, python=[python(13)]),
    "attach": ProgramRequest(frequency_hz=997, pids=[42]),
    "tree": ProgramRequest(frequency_hz=99, pids=[42, 43], children=True),
    "kernel": ProgramRequest(frequency_hz=4999, pids=[42], kernel=True, native_frames=16),
    "native-only": ProgramRequest(frequency_hz=99, pids=[42], native_frames=127),
    "python-only": ProgramRequest(frequency_hz=99, pids=[42], native_frames=0, walk_steps=3, python=[python(14)]),
    **{
        f"python-3.{minor}": ProgramRequest(frequency_hz=99, pids=[42], walk_steps=3, python=[python(minor)])
        for minor in range(11, 16)
    },
}
ANY_REQUEST = st.builds(
    ProgramRequest,
    frequency_hz=st.integers(1, 4999),
    pids=st.lists(st.integers(1, 1 << 22), min_size=1, max_size=4),
    children=st.booleans(),
    native_frames=st.integers(0, 127),
    kernel=st.booleans(),
    walk_steps=st.integers(0, 210),
    python=st.lists(st.sampled_from([python(11), python(15)]), max_size=2),
)
ANY_SYSTEM = st.sampled_from(list(SYSTEMS.values()))
CLAUSE = re.compile(r"^([\w:-]+)\n(?:/([^\n]*)/\n)?\{\n(.*?)^\}\n", re.MULTILINE | re.DOTALL)


def text_of(request: ProgramRequest, system: SystemFacts) -> str:
    options = "".join(f"#pragma D option {option}\n" for option in classic_options(request, system))
    return options + classic_program(request, system)


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("system", CLASSIC)
def test_the_text_is_as_before(system: str, name: str) -> None:
    text = text_of(REQUESTS[name], facts(system))  # type: ignore[arg-type]
    golden = GOLDENS / system / f"{name}.d"
    if os.environ.get("DTRACE_PROFILER_BLESS"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


@given(ANY_REQUEST, ANY_SYSTEM)
def test_rules_of_the_strictest_system(request: ProgramRequest, system: SystemFacts) -> None:
    text = classic_program(request, system)
    found = CLAUSE.findall(text)
    others = [line for line in CLAUSE.sub("", text).splitlines() if line]
    assert all(line.startswith("uint64_t ") for line in others), "only declarations and clauses"
    assert text.count("{") == text.count("}") == len(found)
    assert not re.search(r"\bif\b|\belse\b|\bexit\b|\bstop\b|\bsystem\b|\bjstack\b|\bchill\b", text)
    if system.dialect == "classic":
        # No types of the system: they may not be there (no CTF), or may be others'.
        assert not re.search(r"\bcurthread\b|\bcurpsinfo\b|\bstruct\b|\buregs\b|->[a-z_]+->", text)
    assert not re.search(r"\blong\b|\bint \b", text.replace("[int]", "")), "sizes differ"
    for keys in re.findall(r"@samples\d\[(.*?)\] = count", text):
        assert keys.count(",") < 8
    assert len(re.findall(r"@samples\d\[", text)) == TABLES
    # A stack printed with %k needs a key for each, in this order.
    for form in set(re.findall(r'printa\("(A [^"]*)"', text)):
        assert form.count("%k") == bool(request.native_frames) + request.kernel
        assert form.startswith("A %d %d %x\\n")


@given(ANY_REQUEST, ANY_SYSTEM)
def test_clause_local_variables_are_set_before_they_are_read(request: ProgramRequest, system: SystemFacts) -> None:
    certain: dict[str, set[str]] = {}
    if_new: set[str] = set()
    for probe, predicate, body in CLAUSE.findall(classic_program(request, system)):
        here = set(certain.setdefault(probe, set()))
        if "this->new" in predicate:
            here |= if_new
        assert set(re.findall(r"this->\w+", predicate)) <= here
        goes_on = "this->h > 1" in predicate
        for statement in re.split(r"[;\n]\s*", body):
            target = re.match(r"\s*(this->\w+) = (.*)", statement)
            unset = set(re.findall(r"this->\w+", target[2] if target else statement)) - here
            allowed = r"this->([ci]\d+|hash)" if goes_on else r"this->[ci]\d+"
            assert all(re.fullmatch(allowed, name) for name in unset), (unset, statement)
            if target:
                here.add(target[1])
        if predicate in ("", "this->on"):
            certain[probe] = here
        if "this->new = 1;" in body or "this->new" in predicate:
            if_new |= here


@given(ANY_REQUEST, ANY_SYSTEM)
def test_addresses_are_never_cut_to_32_bits(request: ProgramRequest, system: SystemFacts) -> None:
    first: dict[str, str] = {}
    for name, value in re.findall(r"(this->\w+) = ([^;]*);", classic_program(request, system)):
        first.setdefault(name, value)
    narrow = {name for name, value in first.items() if re.fullmatch(r"-?\d+", value)}
    assert not narrow & {"this->f", "this->ts", "this->h", "this->g", "this->held", "this->owner"}


def test_a_threads_number_has_32_bits_on_windows() -> None:
    text = classic_program(REQUESTS["self"], facts("windows"))
    assert "(uint32_t *)copyin(this->held + this->owner, 4)" in text
    assert "(uint64_t *)copyin(this->held + this->owner, 8)" in classic_program(REQUESTS["self"], facts("macos"))


def test_windows_knows_no_descendants() -> None:
    assert "progenyof" not in classic_program(REQUESTS["tree"], facts("windows"))
    assert "progenyof(42)" in classic_program(REQUESTS["tree"], facts("freebsd"))


def test_the_way_of_a_system() -> None:
    assert not dialect(facts("linux")).classic
    assert dialect(facts("linux"), classic=True).classic
    assert all(dialect(facts(name)).classic for name in CLASSIC)  # type: ignore[arg-type]


@pytest.mark.dtrace
@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("system", ["macos", "linux"])
def test_the_real_dtrace_compiles_it(system: str, name: str) -> None:
    """`-e`: the text of the other systems is D for Linux's compiler, too, but for progenyof()."""
    command = find_dtrace()
    of = facts(system)  # type: ignore[arg-type]
    request = REQUESTS[name]
    workspace = Workspace.create(command.path, linux.FACTS, all_types=True)
    try:
        program = workspace.write_program(
            classic_program(request, replace(of, is_descendant=linux.FACTS.is_descendant))
        )
        options = [*classic_options(request, linux.FACTS), *workspace.options]
        arguments = [word for option in options for word in ("-x", option)]
        done = subprocess.run(
            [command.path, "-q", "-e", *arguments, "-s", str(program)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        workspace.close()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
