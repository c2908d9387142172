"""A request → the D program that samples it on a classic DTrace: macOS, FreeBSD, illumos, Windows.

There, no stack can be kept in a variable: samples are counted in an aggregation by process, thread, Python stack and
native stack, which dtrace prints, with names of its own, `PRINT_HZ` times a second:

    B time                      sampling has begun
    T time                      what follows was sampled between the last such time and this one
    A pid tid h                 of this thread, with the Python stack h (0: none; 1: not readable), …
    =U / frames                 … this native stack, leaf first …
    =K / frames                 … and this kernel stack (where asked for) …
    =V value                    … so many samples
    C count                     samples ever taken: what is missing from the sum of the values has been lost
    L …, H …                    Python stacks and names: see record.program
    Z time                      sampling has ended

Written for the strictest of them: no `if`, no types of the system, each variable set before its use, at most 8 keys.
Real DTrace for Linux runs these programs as well (`--classic`).
"""

from __future__ import annotations

from dtrace_profiler.platforms.facts import SystemFacts
from dtrace_profiler.record.program import ProgramRequest
from dtrace_profiler.record.python_walk import (
    HOLDER_FACTS,
    NAME_BYTES,
    PythonProcess,
    by_gil_holder,
    process_facts,
    scratch_bytes,
    walk,
)

PRINT_HZ = 5
"""How often the samples are printed: their times are true to a fifth of a second."""
TABLES = 4
"""Aggregations, filled one after the other: to print one takes dtrace a while, and what comes into it meanwhile is
lost when it is emptied (a third of all, measured on Linux). So that one is at rest for three ticks. A dtrace that
takes longer loses samples, which are counted: on Linux, from about 250 different stacks a second on, as it then takes
hold of the process anew for each stack that it names."""
MAX_KERNEL_FRAMES = 127


def classic_program(request: ProgramRequest, system: SystemFacts) -> str:
    """The program's text."""
    return "\n".join(
        [*_declarations(request), _begin(request, system), *_sample(request, system), *_printing(request, system)]
    )


def classic_options(request: ProgramRequest, system: SystemFacts) -> list[str]:
    """dtrace's `-x` options that the program needs."""
    out = list(system.options)
    if request.native_frames:
        out.append(f"ustackframes={request.native_frames}")
    if request.kernel:
        out.append(f"stackframes={MAX_KERNEL_FRAMES}")
    if request.walk_steps:
        out.append(f"strsize={NAME_BYTES}")
        if system.dialect == "linux":
            out.append(f"scratchsize={scratch_bytes(request.walk_steps)}")
    return out


def _clause(probe: str, predicate: str, *statements: str) -> str:
    body = "\n".join(f"  {statement}" for statement in statements)
    where = f"\n/{predicate}/" if predicate else ""
    return f"{probe}{where}\n{{\n{body}\n}}\n"


def _declarations(request: ProgramRequest) -> list[str]:
    if not request.walk_steps:
        return []
    names = [f"{name}[int]" for name in (*HOLDER_FACTS, "generation")]
    return ["".join(f"uint64_t {name};\n" for name in (*names, "seen[uint64_t]"))]


def _begin(request: ProgramRequest, system: SystemFacts) -> str:
    facts = ["table = 0;"]
    if system.tick_everywhere:
        facts.append("printed = timestamp;")
    facts += [statement for process in request.python for statement in _facts(process)] if request.walk_steps else []
    return _clause("dtrace:::BEGIN", "", *facts, 'printf("B %d\\n", walltimestamp);')


def _facts(process: PythonProcess) -> list[str]:
    values = {
        "holder": process.holder,
        "owner": process.owner,
        "shape": process.shape,
        "codetype": process.code_type,
        "codeshape": process.code_shape,
        "generation": process.generation,
    }
    return [f"{name}[{process.pid}] = (uint64_t){value};" for name, value in values.items()]


def _members(request: ProgramRequest, system: SystemFacts) -> str:
    """Predicate: this process is sampled."""
    tests = [f"pid == {pid}" for pid in request.pids]
    if request.children and system.is_descendant:
        tests.append(system.is_descendant.format(pid=request.pids[0]))
    return " || ".join(tests)


def _sample(request: ProgramRequest, system: SystemFacts) -> list[str]:
    """The clauses of one firing, in order. A fault ends only its own clause: what may fault stands apart."""
    probe = f"profile:::profile-{request.frequency_hz}"

    def clause(predicate: str, *statements: str) -> str:
        return _clause(probe, f"this->on{' && ' if predicate else ''}{predicate}", *statements)

    out = [
        _clause(probe, "", f"this->on = ({_members(request, system)}) ? 1 : 0;"),
        clause("", "this->h = (uint64_t)0;", "this->fresh = (uint64_t)0;"),
    ]
    if request.walk_steps:
        out.append(clause("", *process_facts(HOLDER_FACTS)))
        out += walk(request.walk_steps, by_gil_holder(system.long_bytes, clause), clause)
    keys = ["pid", "tid", "this->h"]
    if request.native_frames:
        keys.append(f"ustack({request.native_frames})")
    if request.kernel:
        keys.append(f"stack({MAX_KERNEL_FRAMES})")
    out.append(clause("", "@taken = count();"))
    return out + [
        clause(f"table == {table}", f"@samples{table}[{', '.join(keys)}] = count();") for table in range(TABLES)
    ]


def _printing(request: ProgramRequest, system: SystemFacts) -> list[str]:
    """Clauses that print the table that was filled until now, and have the next one filled."""
    form = "A %d %d %x\\n" + "=U%k" * bool(request.native_frames) + "=K%k" * request.kernel + "=V %@d\\n"

    def show(table: int) -> tuple[str, str]:
        return f'printa("{form}", @samples{table});', f"trunc(@samples{table});"

    time = 'printf("T %d\\n", walltimestamp);'
    count = 'printa("C %@d\\n", @taken);'
    tick = f"profile:::tick-{PRINT_HZ}hz"
    turn = [f"table = (table + 1) % {TABLES};", time]
    if system.tick_everywhere:
        tick = f"profile:::profile-{PRINT_HZ}"
        is_due = f"timestamp - printed > {900_000_000 // PRINT_HZ}"
        begin = [
            _clause(tick, "", f"this->full = {is_due} ? table : {TABLES};"),
            _clause(tick, f"this->full < {TABLES}", "printed = timestamp;", *turn),
        ]
    else:
        begin = [_clause(tick, "", "this->full = table;", *turn)]
    return [
        *begin,
        *(_clause(tick, f"this->full == {table}", *show(table)) for table in range(TABLES)),
        _clause(tick, f"this->full < {TABLES}", count),
        _clause(
            "dtrace:::END",
            "",
            time,
            *(statement for table in range(TABLES) for statement in show(table)),
            count,
            "trunc(@taken);",
            'printf("Z %d\\n", walltimestamp);',
        ),
    ]
