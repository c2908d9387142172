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

Each stack is printed when it is first seen and is a number from then on. So every sample keeps its own time, and
dtrace has next to nothing to do. Why it is written as it is: docs/d-program.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

ClauseWriter = Callable[..., str]

PYTHON_FACTS = ("slot", "current", "shape", "codetype", "codeshape")
"""What the program knows of each CPython process, and a forked one has from its parent."""

MAX_NATIVE_FRAMES = 127
"""`kernel.perf_event_max_stack`, unless raised."""
FRAMES_A_CLAUSE = 25
"""Unrolled walk steps in one clause. The kernel's verifier takes time that grows with the square of a clause's
length: 128 steps were ready after 2.7 s in clauses of 100, after 1.3 s in clauses of 25 (Linux 6.18)."""
NAMED_FRAMES = 8
"""Frames of a new stack, from the leaf on, whose names the program prints itself: code objects that are gone before
we can read them are young, and so are those who run them. Each costs two strings, but only when a stack is new."""
NAME_BYTES = 192
"""Of a name or path, more is cut."""
FRAME_BYTES = 64
"""One copyin takes in all that is asked of an interpreter frame (see cpython.layout)."""

PROGRAM_COUNTER = {"x86_64": 16, "aarch64": 32}
"""Index of the program counter in `uregs[]`; regs.d names it R_PC, but is not read, to start sooner."""
THREAD_POINTER = {"x86_64": "curthread->thread.fsbase", "aarch64": "curthread->thread.uw.tp_value"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonProcess:
    """Where the walk finds the frames of one CPython process, as numbers for the D program.

    `slot`: offset from the thread pointer of the word that holds the thread's own PyThreadState, lasting;
    `current_slot`: the same for the word that is 0 while the thread is detached; 0 where there is none.
    `frame`: offset in PyThreadState of the current frame, or of `cframe` where `cframe` (3.11, 3.12) is not None,
    which then is the current frame's offset in that. `old_frames`: CPython 3.11's order of frame members.
    `generation`: address of the count of freed code objects (3.14 and later), or 0.
    """

    pid: int
    slot: int
    current_slot: int = 0
    frame: int
    cframe: int | None = None
    old_frames: bool = False
    generation: int = 0
    leaf_only: bool = False
    """Its native code keeps no frame pointers: only the interrupted address is true."""
    code_type: int = 0
    """Address of `PyCode_Type`; 0: the program prints no names."""
    code_shape: int = 0
    """Offsets, a byte each from the lowest: a code object's name, file and first line; a str's text and state; an
    object's type."""

    @property
    def shape(self) -> int:
        """One word: `frame` in bits 0-14, `leaf_only` 15, `cframe` + 1 in bits 16-30, `old_frames` 31."""
        inner = 0 if self.cframe is None else self.cframe + 1
        return self.frame | int(self.leaf_only) << 15 | inner << 16 | int(self.old_frames) << 31


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
    """First of the three `prctl` options by which the running program is told of processes; 0: none."""
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


def options(request: ProgramRequest) -> list[str]:
    """dtrace's `-x` options that the program needs."""
    out = ["quietresize", "bufsize=4m", "dynvarsize=32m", _NO_SPINNING]
    if request.walk_steps:
        out += [f"scratchsize={scratch_bytes(request)}", f"strsize={NAME_BYTES}"]
    if request.native_frames:
        out.append(f"ustackframes={request.native_frames}")
    if request.kernel:
        out.append(f"stackframes={MAX_NATIVE_FRAMES}")
    return out


def scratch_bytes(request: ProgramRequest) -> int:
    """Each copyin keeps its bytes until its clause ends."""
    return max(256, (min(request.walk_steps, FRAMES_A_CLAUSE) + 4) * FRAME_BYTES + 64)


def _clause(probe: str, predicate: str, *statements: str) -> str:
    body = "\n".join(f"  {statement}" for statement in statements)
    where = f"\n/{predicate}/" if predicate else ""
    return f"{probe}{where}\n{{\n{body}\n}}\n"


def _declarations(request: ProgramRequest) -> str:
    # 64 bits everywhere: a plain 0 would make a variable a 32-bit int for the whole program.
    names = ["member[int]"]
    if request.walk_steps:
        names += [f"{name}[int]" for name in (*PYTHON_FACTS, "generation")]
        names.append("seen[uint64_t]")
    return "".join(f"uint64_t {name};\n" for name in names)


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
    statements.append('printf("B %d\\n", walltimestamp);')
    return _clause("dtrace:::BEGIN", "", *statements)


def _processes(request: ProgramRequest) -> list[str]:
    """Exec, fork and exit of sampled processes, and the channel by which we tell of CPython processes."""
    out = [
        _clause(
            "rawtp:sched::sched_process_exec",
            "member[pid]",
            *(["slot[pid] = 0;", "shape[pid] = 0;", "generation[pid] = 0;"] if request.walk_steps else []),
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
                f'printf("F %d %d %d\\n", walltimestamp, pid, {child});',
            )
        )
    if request.control:
        # What record.control says: three options of prctl that do not exist, from `control` on.
        prctl = "syscall::prctl:entry"
        if request.walk_steps:
            out += [
                _clause(
                    prctl,
                    f"arg0 == {request.control + 1}",
                    "generation[(int)arg1] = arg2;",
                    "codetype[(int)arg1] = arg3;",
                    "codeshape[(int)arg1] = arg4;",
                ),
                _clause(
                    prctl,
                    f"arg0 == {request.control}",
                    "current[(int)arg1] = arg3;",
                    "shape[(int)arg1] = arg4 & 0xffffffff;",
                    "slot[(int)arg1] = arg2;",
                ),
            ]
        out.append(_clause(prctl, f"arg0 == {request.control + 2}", "member[(int)arg1] = 1;"))
    return out


def _sample(request: ProgramRequest) -> list[str]:
    """The clauses of one firing, in order. A fault ends only its own clause: what may fault stands apart."""
    probe = f"profile:::profile-{request.frequency_hz}"

    def clause(predicate: str, *statements: str) -> str:
        return _clause(probe, f"member[pid]{' && ' if predicate else ''}{predicate}", *statements)

    pc = PROGRAM_COUNTER.get(request.machine)
    out = [
        # Clause-local variables keep their values from firing to firing: set each before its use.
        clause(
            "",
            "this->n = (uint64_t)0;",
            "this->k = (uint64_t)0;",
            "this->h = (uint64_t)0;",
            "this->id = (timestamp << 16) ^ tid;",
            f"this->pc = (uint64_t){'arg1' if pc is None else f'uregs[{pc}]'};",
            "this->tid = curthread->thread_pid->numbers[curthread->thread_pid->level].nr;",
        )
    ]
    if request.walk_steps:
        out += _walk(request, clause)
    if request.native_frames:
        stack = f"ustack({request.native_frames})"
        whole = "!(this->shape >> 15 & 1)" if request.walk_steps else ""
        out += [
            clause(whole, f"this->n = natives[{stack}];"),
            clause(
                f"this->n == 0{' && ' if whole else ''}{whole}",
                "this->n = this->id;",
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
                f"kernels[{stack}] = this->k;",
                f'printf("K %x %k\\n", this->k, {stack});',
            ),
        ]
    fields = "walltimestamp, pid, this->tid, tid, this->n, this->k, this->h, this->pc"
    out.append(clause("", f'printf("S %d %d %d %d %x %x %x %x\\n", {fields});'))
    return out


def _walk(request: ProgramRequest, clause: ClauseWriter) -> list[str]:
    """Clauses that leave in this->h the hash of the Python stack, and print it when it is new."""
    pointer = THREAD_POINTER.get(request.machine, THREAD_POINTER["x86_64"])
    word = "*(uint64_t *)copyin({}, 8)".format
    steps = request.walk_steps
    starts = range(0, steps, FRAMES_A_CLAUSE)
    out = [
        clause(
            "",
            "this->f = (uint64_t)0;",
            "this->ts = (uint64_t)0;",
            "this->g = (uint64_t)0;",
            "this->at = slot[pid];",
            "this->shape = shape[pid];",
            # CPython 3.11 has code and previous at other places: words 4 and 6 of a frame instead of 0 and 1.
            "this->ic = this->shape >> 31 ? 4 : 0;",
            "this->ip = this->shape >> 31 ? 6 : 1;",
            *(f"this->c{start} = (uint64_t)0;" for start in starts),
        ),
        clause("this->at", "this->h = 1;", f"this->ts = {word(f'{pointer} + this->at')};", "this->h = 0;"),
        # Exact where a thread switches interpreters; 0 while the thread is detached.
        clause(
            "this->at && current[pid]",
            f"this->f = {word(f'{pointer} + current[pid]')};",
            "this->ts = this->f ? this->f : this->ts;",
            "this->f = 0;",
        ),
        clause(
            "this->ts",
            "this->h = 1;",
            f"this->f = {word('this->ts + (this->shape & 0x7fff)')};",
            "this->h = this->f ? 1 : 0;",
        ),
        clause(
            "this->f && (this->shape >> 16 & 0x7fff)",
            f"this->f = {word('this->f + (this->shape >> 16 & 0x7fff) - 1')};",
            "this->h = this->f ? 1 : 0;",
        ),
        clause("this->f && generation[pid]", f"this->g = {word('generation[pid]')};"),
    ]
    for start in starts:
        stop = min(start + FRAMES_A_CLAUSE, steps)
        statements = [
            f"this->none = (uint64_t *)alloca({FRAME_BYTES});",
            *(f"this->none[{index}] = 0;" for index in (0, 1, 4, 6, 7)),
        ]
        for step in range(start, stop):
            read = f"(uint64_t *)copyin(this->f, {FRAME_BYTES})"
            statements.append(f"this->p = {read if step == start else f'this->f ? {read} : this->none'};")
            statements.append(
                f"this->c{step} = this->p[this->ic]; this->i{step} = this->p[7]; this->f = this->p[this->ip];"
            )
        if start == 0:
            # Part of a stack's identity: the process, since forked ones have the same addresses, and the count of
            # freed code objects, since an address may come to mean another function.
            statements.append("this->hash = 0x9E3779B97F4A7C15 ^ this->g ^ ((uint64_t)pid << 32);")
        for step in range(start, stop):
            statements.append(
                "this->hash = (this->hash ^ (this->hash >> 29) ^ "
                f"this->c{step}) * 0x9E3779B97F4A7C15 + this->i{step};"
            )
        # Last, so that a fault above leaves 1.
        statements.append("this->h = this->hash > 1 ? this->hash : 2;")
        out.append(clause(f"this->f && this->h{' > 1' if start else ''}", *statements))
    frames = ", ".join(f"this->c{step}, this->i{step}" for step in range(steps))
    out += _names(min(steps, NAMED_FRAMES), clause)
    out.append(
        clause(
            "this->h > 1 && !seen[this->h]",
            "seen[this->h] = 1;",
            f'printf("H %x %d %x %x{" %x:%x" * steps}\\n", this->h, pid, this->g, this->f, {frames});',
        )
    )
    return out


def _names(count: int, clause: ClauseWriter) -> list[str]:
    """Clauses that print the names in a new stack, before the stack itself."""
    fact = [f"(this->codeshape >> {bits} & 0xff)" for bits in range(0, 48, 8)]
    out = [
        clause(
            "",
            "this->codetype = (uint64_t)0;",
            "this->codeshape = (uint64_t)0;",
            *(f"this->y{index} = (uint64_t)0;" for index in range(count)),
        ),
        clause(
            "this->h > 1 && !seen[this->h]",
            "this->codetype = codetype[pid];",
            "this->codeshape = codeshape[pid];",
        ),
        clause(
            "this->codetype",
            *(
                f"this->y{index} = this->c{index} ? *(uint64_t *)copyin({_code(index)} + {fact[5]}, 8) : 0;"
                for index in range(count)
            ),
        ),
    ]
    for index in range(count):
        out.append(
            clause(
                f"this->codetype && this->y{index} == this->codetype",
                f"this->name = *(uint64_t *)copyin({_code(index)} + {fact[0]}, 8);",
                f"this->file = *(uint64_t *)copyin({_code(index)} + {fact[1]}, 8);",
                f'printf("L %x {index} %d %x %x %s\\t%s\\n", this->h,'
                f" *(int *)copyin({_code(index)} + {fact[2]}, 4),"
                f" *(uint32_t *)copyin(this->name + {fact[4]}, 4), *(uint32_t *)copyin(this->file + {fact[4]}, 4),"
                f" copyinstr(this->name + {fact[3]}), copyinstr(this->file + {fact[3]}));",
            )
        )
    return out


def _code(index: int) -> str:
    """The code object of a frame: the two lowest bits say how it is counted (3.14 and later)."""
    return f"(this->c{index} & ~(uint64_t)3)"
