"""A request → the text of the D program that samples it, for DTrace for Linux.

What the program prints, one record a line, each beginning with a letter (an empty line ends N and K):

    B time                                  sampling has begun
    S time pid tid htid n k h pc            a sample (n, k, h, pc in hexadecimal)
    N n / frames                            the native stack n, one frame a line, leaf first
    K k / frames                            the kernel stack k
    H h pid g next c:i c:i …                the Python stack h: code object and instruction of each frame, leaf
                                            first, up to the first c that is 0; g: the count of freed code objects;
                                            next: the address of the frame after the last, 0 where the stack ends
    X time pid    F time parent child    E time pid      exec, fork, exit of a process that is sampled
    Z time                                  sampling has ended

time: nanoseconds since the UNIX epoch, taken in the probe. tid: the thread's id as the thread itself sees it (in
its own pid namespace), htid: as the system sees it. n, k, h: 0 where there is none; h = 1: the walk met an
unreadable address. pc: the user-space instruction that was interrupted, or the system call it is in.

Each stack is printed when it is first seen, with its sample, and is a number from then on. Samples of known stacks
are printed some at a time, at most 1 / `FLUSH_HZ` seconds late. So every sample keeps its own time, and dtrace has
next to nothing to do. Why it is written as it is: docs/d-program.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dtrace_profiler.platforms import linux
from dtrace_profiler.record.python_walk import (
    NAME_BYTES,
    PYTHON_FACTS,
    ClauseWriter,
    PythonProcess,
    by_thread_pointer,
    process_facts,
    scratch_bytes,
    walk,
)

MAX_NATIVE_FRAMES = 127
"""`kernel.perf_event_max_stack`, unless raised."""
BATCH_SAMPLES = 10
"""A processor's samples that are printed at once."""
FLUSH_HZ = 10
"""How often a processor prints what it has, be it less."""
_SAMPLE = r"S %d %d %d %d %x %x %x %x\n"
PROGRAM_COUNTER = {"x86_64": 16, "aarch64": 32}
"""Index of the program counter in `uregs[]`; regs.d names it R_PC, but is not read, to start sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRequest:
    """All that the text depends on."""

    frequency_hz: int
    pids: Sequence[int]
    """Processes sampled from the beginning."""
    children: bool = False
    native_frames: int = MAX_NATIVE_FRAMES
    """0: only the interrupted instruction."""
    kernel: bool = False
    walk_steps: int = 0
    """Interpreter frames the walk can follow; 0: no walk."""
    python: Sequence[PythonProcess] = ()
    """Those known from the beginning; more come over the control channel."""
    control: int = 0
    """First of the four `prctl` options by which the running program is told of processes, and to end; 0: none."""
    number: int = 0
    """Which of the programs that listen there it is, to be told to end."""
    machine: str = "x86_64"


def d_program(request: ProgramRequest) -> str:
    """The program's text."""
    parts = [_declarations(request), _begin(request), *_processes(request)]
    parts += _sample(request)
    parts.append('dtrace:::END\n{\n  printf("Z %d\\n", walltimestamp);\n}\n')
    return "\n".join(parts)


_NO_SPINNING = "switchrate=0"
"""dtrace waits for data, but with any other rate not before that time is over since it was last there: until then it
spins, at the price of a whole processor."""
_ENDS_AT_ONCE = "statusrate=1us"
"""dtrace looks so often at most whether its program has said `exit`: whenever there is data. After it none comes."""


def options(request: ProgramRequest) -> list[str]:
    """dtrace's `-x` options that the program needs."""
    out = ["quietresize", "bufsize=4m", "dynvarsize=32m", _NO_SPINNING, _ENDS_AT_ONCE]
    if request.walk_steps:
        out += [f"scratchsize={scratch_bytes(request.walk_steps)}", f"strsize={NAME_BYTES}"]
    if request.native_frames:
        out.append(f"ustackframes={request.native_frames}")
    if request.kernel:
        out.append(f"stackframes={MAX_NATIVE_FRAMES}")
    return out


def _clause(probe: str, predicate: str, *statements: str) -> str:
    body = "\n".join(f"  {statement}" for statement in statements)
    where = f"\n/{predicate}/" if predicate else ""
    return f"{probe}{where}\n{{\n{body}\n}}\n"


def _declarations(request: ProgramRequest) -> str:
    # 64 bits everywhere: a plain 0 would make a variable a 32-bit int for the whole program.
    names = ["changed", "member[int]"]
    if request.walk_steps:
        names += [f"{name}[int]" for name in (*PYTHON_FACTS, "generation")]
        names.append("seen[uint64_t]")
    kept = "this uint64_t kept;\nthis uint64_t looked;\nthis int whose;\n"
    return "".join(f"uint64_t {name};\n" for name in names) + kept


_CHANGED = "changed = timestamp;"
"""Behind each change of what is known of a process: what processors keep of it is no longer true."""


def _begin(request: ProgramRequest) -> str:
    # From here on dtrace finds no process and prints bare addresses: it reads nothing of the target, and a name
    # such as `file:0xOFFSET` would not say which of two files it means. On the command line it breaks BEGIN itself.
    statements = ['setopt("procfspath", "/nonexistent");']
    statements += [f"member[{pid}] = 1;" for pid in request.pids]
    if request.native_frames:
        statements.append(f"natives[ustack({request.native_frames})] = (uint64_t)0;")
    if request.kernel:
        statements.append(f"kernels[stack({MAX_NATIVE_FRAMES})] = (uint64_t)0;")
    for process in request.python:
        statements += [
            f"slot[{process.pid}] = (uint64_t){process.slot};",
            f"current[{process.pid}] = (uint64_t){process.current_slot};",
            f"shape[{process.pid}] = (uint64_t){process.shape};",
            f"codetype[{process.pid}] = (uint64_t){process.code_type};",
            f"codeshape[{process.pid}] = (uint64_t){process.code_shape};",
            f"generation[{process.pid}] = (uint64_t){process.generation};",
        ]
    statements.append(_CHANGED)
    statements.append('printf("B %d\\n", walltimestamp);')
    return _clause("dtrace:::BEGIN", "", *statements)


def _processes(request: ProgramRequest) -> list[str]:
    """Exec, fork and exit of sampled processes, and the channel by which we tell of CPython processes."""
    out = [
        _clause(
            "rawtp:sched::sched_process_exec",
            "member[pid]",
            *(["slot[pid] = 0;", "shape[pid] = 0;", "generation[pid] = 0;", _CHANGED] if request.walk_steps else []),
            'printf("X %d %d\\n", walltimestamp, pid);',
        ),
        _clause(
            "rawtp:sched::sched_process_exit",
            "member[pid] && pid == tid",
            'printf("E %d %d\\n", walltimestamp, pid);',
        ),
    ]
    if request.children:
        child = "this->child"
        inherit = [f"{name}[{child}] = {name}[pid];" for name in (*PYTHON_FACTS, "generation")]
        out.append(
            _clause(
                "rawtp:sched::sched_process_fork",
                "member[pid]",
                f"{child} = ((struct task_struct *)arg1)->tgid;",
            )
        )
        out.append(
            _clause(
                "rawtp:sched::sched_process_fork",
                f"member[pid] && {child} != pid",
                f"member[{child}] = 1;",
                *(inherit if request.walk_steps else []),
                _CHANGED,
                f'printf("F %d %d %d\\n", walltimestamp, pid, {child});',
            )
        )
        # Its number may be another's soon. Not at its exit: then it still has its memory to free, on its own time.
        gone = "this->gone"
        facts = ("member", *PYTHON_FACTS, "generation") if request.walk_steps else ("member",)
        free = "rawtp:sched::sched_process_free"
        out.append(_clause(free, "", f"{gone} = ((struct task_struct *)arg0)->pid;"))
        out.append(_clause(free, f"member[{gone}]", *(f"{name}[{gone}] = 0;" for name in facts), _CHANGED))
    if request.control:
        # What record.control says: four options of prctl that do not exist, from `control` on.
        prctl = "syscall::prctl:entry"
        if request.walk_steps:
            out += [
                _clause(
                    prctl,
                    f"arg0 == {request.control + 1}",
                    "generation[(int)arg1] = arg2;",
                    "codetype[(int)arg1] = arg3;",
                    "codeshape[(int)arg1] = arg4;",
                    _CHANGED,
                ),
                _clause(
                    prctl,
                    f"arg0 == {request.control}",
                    "current[(int)arg1] = arg3;",
                    "shape[(int)arg1] = arg4 & 0xffffffff;",
                    "slot[(int)arg1] = arg2;",
                    _CHANGED,
                ),
            ]
        out.append(_clause(prctl, f"arg0 == {request.control + 2}", "member[(int)arg1] = 1;", _CHANGED))
        # A signal would do, but one that comes while dtrace waits for room in its output makes it print what it has
        # printed again, or leave out the rest.
        out.append(_clause(prctl, _is_told(request, "!arg2"), "exit(0);"))
    return out


def _is_told(request: ProgramRequest, what: str) -> str:
    """Predicate of what is for this one of the programs that listen."""
    return f"arg0 == {request.control + 3} && arg1 == {request.number} && {what}"


def _sample(request: ProgramRequest) -> list[str]:
    """The clauses of one firing, in order. A fault ends only its own clause: what may fault stands apart."""
    probe = f"profile:::profile-{request.frequency_hz}"

    def clause(predicate: str, *statements: str) -> str:
        return _clause(probe, f"this->on{' && ' if predicate else ''}{predicate}", *statements)

    pc = PROGRAM_COUNTER.get(request.machine)
    out = [
        # Each look into a table takes 0.4 us, since its key is as long as the longest of all tables' keys, a native
        # stack. So a processor keeps what it knows of a process until another runs there, or a table has changed.
        _clause(
            probe,
            "this->looked != changed || this->whose != pid",
            "this->looked = changed;",  # before the looks: what changes meanwhile is looked for again
            "this->whose = pid;",
            "this->on = member[pid];",
            *(process_facts(PYTHON_FACTS) if request.walk_steps else []),
        ),
        # Clause-local variables keep their values from firing to firing: set each before its use.
        clause(
            "",
            "this->fresh = (uint64_t)0;",
            "this->n = (uint64_t)0;",
            "this->k = (uint64_t)0;",
            "this->h = (uint64_t)0;",
            "this->id = (timestamp << 16) ^ tid;",
            f"this->pc = (uint64_t){'arg1' if pc is None else f'uregs[{pc}]'};",
            "this->tid = curthread->thread_pid->numbers[curthread->thread_pid->level].nr;",
        ),
    ]
    if request.walk_steps:
        pointers = linux.FACTS.thread_pointers
        pointer = pointers.get(request.machine, pointers["x86_64"])
        out += walk(request.walk_steps, by_thread_pointer(pointer, clause), clause)
    if request.native_frames:
        stack = f"ustack({request.native_frames})"
        whole = "!(this->shape >> 15 & 1)" if request.walk_steps else ""
        out += [
            clause(whole, f"this->n = natives[{stack}];"),
            clause(
                f"this->n == 0{' && ' if whole else ''}{whole}",
                "this->n = this->id;",
                "this->fresh = 1;",
                f"natives[{stack}] = this->n;",
                f'printf("N %x %k\\n", this->n, {stack});',
            ),
        ]
    if request.kernel:
        stack = f"stack({MAX_NATIVE_FRAMES})"
        out += [
            clause("arg0", f"this->k = kernels[{stack}];"),
            clause(
                "arg0 && this->k == 0",
                "this->k = this->id;",
                "this->fresh = 1;",
                f"kernels[{stack}] = this->k;",
                f'printf("K %x %k\\n", this->k, {stack});',
            ),
        ]
    return out + _batch(probe, request, clause)


def _batch(probe: str, request: ProgramRequest, clause: ClauseWriter) -> list[str]:
    """Clauses that keep a sample, and print what is kept: when there is no more room, after a while, and when told.

    Each print wakes dtrace, at a price above that of the sample. Clause-local variables are a processor's own, keep
    their values from firing to firing, and are the same for all probes. Timers of an idle processor may rest.
    """
    fields = {
        "time": "walltimestamp",
        "pid": "pid",
        "tid": "this->tid",
        "htid": "tid",
        "n": "this->n",
        "k": "this->k",
        "h": "this->h",
        "pc": "this->pc",
    }

    def flush(probe: str, count: int, *told: str) -> str:
        values = ", ".join(f"this->{name}_{number}" for number in range(1, count + 1) for name in fields)
        predicate = " && ".join([f"this->kept == {count}", *told])
        return _clause(probe, predicate, f'printf("{_SAMPLE * count}", {values});', "this->kept = 0;")

    out = [
        # What is new wakes dtrace anyway, and is to be named before its process ends.
        clause("this->fresh", f'printf("{_SAMPLE}", {", ".join(fields.values())});'),
        clause("!this->fresh", "this->kept = this->kept + 1;"),
    ]
    for number in range(1, BATCH_SAMPLES + 1):
        out.append(
            clause(
                f"!this->fresh && this->kept == {number}",
                *(f"this->{name}_{number} = (uint64_t){value};" for name, value in fields.items()),
            )
        )
    out.append(flush(probe, BATCH_SAMPLES))
    for count in range(1, BATCH_SAMPLES):
        out.append(flush(f"profile:::profile-{FLUSH_HZ}", count))
        if request.control:
            out.append(flush("syscall::prctl:entry", count, _is_told(request, "arg2")))
    return out
