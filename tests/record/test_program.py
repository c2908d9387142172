"""The D program's text: goldens of each kind, rules that hold for all, and the real compiler's opinion."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.platforms import linux
from dtrace_profiler.platforms.dtrace_command import find_dtrace
from dtrace_profiler.record.program import BATCH_SAMPLES, FLUSH_HZ, ProgramRequest, d_program, options
from dtrace_profiler.record.python_walk import (
    FRAME_BYTES,
    FRAMES_A_CLAUSE,
    NAMED_FRAMES,
    PythonProcess,
    scratch_bytes,
)
from dtrace_profiler.record.workspace import Workspace

GOLDENS = Path(__file__).parent / "programs"
PYTHON_311 = PythonProcess(pid=42, slot=0x318, frame=56, cframe=8, old_frames=True, leaf_only=True)
PYTHON_315 = PythonProcess(
    pid=43, slot=-40, current_slot=-32, frame=72, generation=0x8F00A0, code_type=0x8E0000, code_shape=0x82028487880
)

KINDS = {
    "plain": ProgramRequest(frequency_hz=99, pids=[42]),
    "leaf": ProgramRequest(frequency_hz=1, pids=[42], native_frames=0),
    "attach": ProgramRequest(frequency_hz=997, pids=[42], control=0x40001234),
    "children": ProgramRequest(frequency_hz=99, pids=[42, 43], children=True, control=0x40001234),
    "kernel": ProgramRequest(frequency_hz=4999, pids=[42], kernel=True, native_frames=16),
    "walk": ProgramRequest(
        frequency_hz=99, pids=[42, 43], walk_steps=4, python=[PYTHON_311, PYTHON_315], control=0x40001234
    ),
    "everything": ProgramRequest(
        frequency_hz=99,
        pids=[42],
        children=True,
        kernel=True,
        walk_steps=FRAMES_A_CLAUSE + 1,
        python=[PYTHON_311],
        control=0x40001234,
    ),
    "aarch64": ProgramRequest(frequency_hz=99, pids=[42], walk_steps=2, machine="aarch64"),
}
REQUESTS = st.builds(
    ProgramRequest,
    frequency_hz=st.integers(1, 4999),
    pids=st.lists(st.integers(1, 1 << 22), min_size=1, max_size=4),
    children=st.booleans(),
    native_frames=st.integers(0, 127),
    kernel=st.booleans(),
    walk_steps=st.integers(0, 210),
    python=st.lists(st.sampled_from([PYTHON_311, PYTHON_315]), max_size=2),
    control=st.sampled_from([0, 0x40001234]),
    machine=st.sampled_from(["x86_64", "aarch64", "riscv64"]),
)
CLAUSE = re.compile(
    r"^(?P<probe>[\w:-]+)\n(?:/(?P<predicate>[^\n]*)/\n)?\{\n(?P<body>.*?)^\}\n", re.MULTILINE | re.DOTALL
)


def clauses(text: str) -> Iterator[re.Match[str]]:
    return CLAUSE.finditer(text)


@pytest.mark.parametrize("name", KINDS)
def test_the_text_is_as_before(name: str) -> None:
    text = "".join(f"#pragma D option {option}\n" for option in options(KINDS[name])) + d_program(KINDS[name])
    golden = GOLDENS / f"{name}.d"
    if os.environ.get("DTRACE_PROFILER_BLESS"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


@given(REQUESTS)
def test_rules_of_every_program(request: ProgramRequest) -> None:
    text = d_program(request)
    found = list(clauses(text))
    others = [line for line in CLAUSE.sub("", text).splitlines() if line]
    declared = re.compile(r"(this )?uint64_t |this int whose;")
    assert all(declared.match(line) for line in others), "only declarations and clauses"
    assert text.count("{") == text.count("}") == len(found)
    names = {match["probe"] for match in found}
    assert {"dtrace:::BEGIN", "dtrace:::END", f"profile:::profile-{request.frequency_hz}"} <= names
    # Without its provider a probe is looked for everywhere, again and again.
    assert all(name.split(":")[0] for name in names)
    assert not any(name.startswith("tick") for name in names), "ticks come late, or never"
    assert text.count("exit(") == bool(request.control), "and that only when told"
    assert not re.search(r"\bif\b|\belse\b|\bERROR\b", text)
    # The kernel takes 256 sub-programs a probe.
    assert sum(match["probe"].startswith("profile:::") for match in found) < 250
    # A plain 0 makes a variable 32 bits wide where it stands first: addresses would be cut.
    first: dict[str, str] = {}
    for name, value in re.findall(r"(this->\w+) = ([^;]*);", text):
        first.setdefault(name, value)
    narrow = {name for name, value in first.items() if re.fullmatch(r"-?\d+", value)}
    assert not narrow & {"this->f", "this->ts", "this->n", "this->k", "this->h", "this->g", "this->pc"}


LOOKS = "this->looked != changed || this->whose != pid"
"""Of the clause that takes from the tables what is known of a process."""


@given(REQUESTS)
def test_what_a_processor_knows_of_a_process_is_what_the_tables_say(request: ProgramRequest) -> None:
    tables = re.findall(r"^uint64_t (\w+)\[int\];", d_program(request), re.MULTILINE)
    changes = re.compile(rf"\b({'|'.join(tables)})\[[^]]+\] = [^;]*;")
    for match in clauses(d_program(request)):
        body = match["body"]
        if found := list(changes.finditer(body)):
            assert "changed = timestamp;" in body[found[-1].end() :], "others look again after the change"
        if match["predicate"] == LOOKS:
            assert body.strip().startswith("this->looked = changed;"), "what changes meanwhile is seen later"
            assert set(re.findall(r"(\w+)\[pid\]", body)) == set(tables)
        elif match["probe"].startswith("profile:::"):
            assert "[pid]" not in match[0]


@given(REQUESTS)
def test_only_sampled_processes_are_looked_at(request: ProgramRequest) -> None:
    for match in clauses(d_program(request)):
        if match["probe"].endswith("sched_process_free"):  # not the one that ended, but who reaps it
            look, gone = "this->gone = ((struct task_struct *)arg0)->pid;", "member[this->gone]"
            assert match["predicate"] == gone or match["body"].strip() == look
        elif match["probe"].startswith("rawtp:"):
            assert match["predicate"].startswith("member[pid]")
        elif match["probe"].startswith("syscall:"):
            assert f"arg0 == {request.control}"[:-1] in match["predicate"], "nobody else's system calls"
    first, *others = [match for match in clauses(d_program(request)) if match["probe"].startswith("profile:::")]
    assert first["predicate"] == LOOKS
    assert "this->on = member[pid];" in first["body"]
    assert all(match["predicate"].startswith(("this->on", "this->kept == ")) for match in others)


@given(REQUESTS)
def test_clause_local_variables_are_set_before_they_are_read(request: ProgramRequest) -> None:
    """They keep their values from firing to firing, and a clause that is left out sets nothing."""
    certain = {"this->kept", "this->looked", "this->whose"}  # from the beginning, and for long
    if_new: set[str] = set()
    for match in clauses(d_program(request)):
        if not match["probe"].startswith("profile:::"):
            continue
        # What is kept, kept says.
        here = certain | set(re.findall(r"this->[a-z]+_\d+", match["body"]))
        if "this->new" in (match["predicate"] or ""):
            here |= if_new
        text = f"{match['predicate'] or ''}\n"
        assert set(re.findall(r"this->\w+", text)) <= here, text
        goes_on = "this->h > 1" in (match["predicate"] or "")
        for statement in re.split(r"[;\n]\s*", match["body"]):
            target = re.match(r"\s*(this->\w+) = (.*)", statement)
            unset = set(re.findall(r"this->\w+", target[2] if target else statement)) - here
            # What an H line prints of frames behind the end of the stack is not looked at. The hash goes on where
            # the clause before has left it, and h says that it has.
            allowed = r"this->([ci]\d+|hash)" if goes_on else r"this->[ci]\d+"
            assert all(re.fullmatch(allowed, name) for name in unset), (unset, statement)
            if target:
                here.add(target[1])
        if match["predicate"] in (LOOKS, "this->on"):
            certain = here
        if "this->new = 1;" in match["body"] or "this->new" in (match["predicate"] or ""):
            if_new |= here


@given(REQUESTS)
def test_scratch_holds_a_clauses_copies(request: ProgramRequest) -> None:
    for match in clauses(d_program(request)):
        copies = len(re.findall(rf"copyin\([^)]*, {FRAME_BYTES}\)|alloca\({FRAME_BYTES}\)", match["body"]))
        assert copies * FRAME_BYTES + 64 <= scratch_bytes(request.walk_steps)
        assert scratch_bytes(request.walk_steps) <= 8192, "more is refused by the kernel"


@given(REQUESTS)
def test_a_stack_is_printed_once_and_a_sample_always(request: ProgramRequest) -> None:
    prints: dict[str, list[re.Match[str]]] = {}
    for match in clauses(d_program(request)):
        for letter in re.findall(r'printf\("(\w) ', match["body"]):
            prints.setdefault(letter, []).append(match)
    assert set(prints) == (
        set("BSZXE")
        | ({"N"} if request.native_frames else set())
        | ({"K"} if request.kernel else set())
        | ({"H", "L"} if request.walk_steps else set())
        | ({"F"} if request.children else set())
    )
    named = min(request.walk_steps, NAMED_FRAMES)
    often = {"L": named, "S": 1 + BATCH_SAMPLES + (BATCH_SAMPLES - 1) * bool(request.control)}
    assert all(len(found) == often.get(letter, 1) for letter, found in prints.items())
    at_once, full, *fewer = prints["S"]
    assert at_once["predicate"] == "this->on && this->fresh"
    probe = f"profile:::profile-{request.frequency_hz}"
    assert (full["probe"], full["predicate"]) == (probe, f"this->kept == {BATCH_SAMPLES}")
    for match in fewer:
        count = match["body"].count("S %d")
        assert match["predicate"].split(" && ")[0] == f"this->kept == {count}"
    assert [match["body"].count("S %d") for match in fewer if match["probe"] == f"profile:::profile-{FLUSH_HZ}"] == (
        list(range(1, BATCH_SAMPLES))
    )
    assert list(clauses(d_program(request)))[-1]["probe"] == "dtrace:::END"
    if request.kernel:
        assert "this->k == 0" in prints["K"][0]["predicate"]
    if request.walk_steps:
        assert prints["H"][0]["predicate"] == "this->on && this->new"
        (finds_new,) = [match for match in clauses(d_program(request)) if "this->new = 1;" in match["body"]]
        assert finds_new["predicate"] == "this->on && this->h > 1 && !seen[this->h]"


@pytest.mark.parametrize("process", [PYTHON_311, PYTHON_315, PythonProcess(pid=1, slot=8, frame=0x7FFF, cframe=0)])
def test_the_shape_of_a_process_is_one_word(process: PythonProcess) -> None:
    shape = process.shape
    assert shape >> 32 == 0
    assert shape & 0x7FFF == process.frame
    assert bool(shape >> 15 & 1) is process.leaf_only
    assert bool(shape >> 31) is process.old_frames
    inner = shape >> 16 & 0x7FFF
    assert (inner - 1 if inner else None) == process.cframe


@pytest.mark.dtrace
@pytest.mark.parametrize("name", [name for name in KINDS if name != "aarch64"])
def test_the_real_dtrace_compiles_it(name: str) -> None:
    """`-e`: compile and end. The kernel's verifier is met by the tests that sample."""
    command = find_dtrace()
    workspace = Workspace.create(command.path, linux.FACTS)
    try:
        program = workspace.write_program(d_program(KINDS[name]))
        arguments = [word for option in (*options(KINDS[name]), *workspace.options) for word in ("-x", option)]
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
