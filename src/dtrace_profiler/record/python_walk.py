"""The part of the D program that walks CPython's frames: the clauses of one firing that leave `this->h`.

Each takes over from the one before through clause-local variables; a fault ends only the clause it happens in.
Offsets and addresses of each process are in tables of the program (`PYTHON_FACTS`). Why it is as it is:
docs/d-program.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

ClauseWriter = Callable[..., str]
"""(predicate, *statements) → a clause of the sampling probe."""

FIRST_WALK_STEPS = 25
"""Interpreter frames that the first program follows, in one clause: ready 0.4 s later than without a walk."""
HELD_WALK_STEPS = 100
"""Those of the first program where the target waits for it: a second, for stacks that are whole from the start."""
FULL_WALK_STEPS = 200
"""Those that the lasting one follows: ready 2 s later. 210 are the most that the kernel's verifier lets through (a
million instructions). A fifth to a third of the frames are the interpreter's own, so 128 Python frames fit."""
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
PYTHON_FACTS = ("slot", "current", "shape", "codetype", "codeshape")
"""What the program knows of each CPython process, and a forked one has from its parent."""
HOLDER_FACTS = ("holder", "owner", "shape", "codetype", "codeshape")
"""The same where the thread that holds the GIL is asked for (`by_gil_holder`)."""


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
    holder: int = 0
    """Address of the word that holds the PyThreadState that has the GIL, or had it last; 0: not known."""
    owner: int = 0
    """Offset in a PyThreadState of the number that the system gives its thread."""

    @property
    def shape(self) -> int:
        """One word: `frame` in bits 0-14, `leaf_only` 15, `cframe` + 1 in bits 16-30, `old_frames` 31."""
        inner = 0 if self.cframe is None else self.cframe + 1
        return self.frame | int(self.leaf_only) << 15 | inner << 16 | int(self.old_frames) << 31


def scratch_bytes(steps: int) -> int:
    """Each copyin keeps its bytes until its clause ends."""
    return max(256, (min(steps, FRAMES_A_CLAUSE) + 4) * FRAME_BYTES + 64)


def _word(address: str) -> str:
    return f"*(uint64_t *)copyin({address}, 8)"


def process_facts(names: Sequence[str]) -> list[str]:
    """Statements that take what the walk needs from the program's tables, for the process that is sampled."""
    return [
        *(f"this->{name} = {name}[pid];" for name in (*names, "generation")),
        # CPython 3.11 has code and previous at other places: words 4 and 6 of a frame instead of 0 and 1.
        "this->ic = this->shape >> 31 ? 4 : 0;",
        "this->ip = this->shape >> 31 ? 6 : 1;",
    ]


def walk(steps: int, find_thread: Sequence[str], clause: ClauseWriter) -> list[str]:
    """Clauses that leave in this->h the hash of the Python stack, and print it when it is new.

    `process_facts` come before them. `find_thread`: clauses of `by_thread_pointer` or `by_gil_holder`.
    """
    starts = range(0, steps, FRAMES_A_CLAUSE)
    out = [
        clause(
            "",
            "this->f = (uint64_t)0;",
            "this->ts = (uint64_t)0;",
            "this->g = (uint64_t)0;",
            "this->cf = (uint64_t)0;",
            "this->entered = (uint64_t)0;",
            "this->new = (uint64_t)0;",
            *(f"this->c{start} = (uint64_t)0;" for start in starts),
        ),
        *find_thread,
        clause(
            "this->ts",
            "this->h = 1;",
            f"this->f = {_word('this->ts + (this->shape & 0x7fff)')};",
            "this->h = this->f ? 1 : 0;",
        ),
        *_c_frame(clause),
        clause("this->f && this->generation", f"this->g = {_word('this->generation')};"),
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
            "this->new",
            "seen[this->h] = 1;",
            "this->fresh = 1;",
            f'printf("H %x %d %x %x{" %x:%x" * steps}\\n", this->h, pid, this->g, this->f, {frames});',
        )
    )
    return out


def by_thread_pointer(pointer: str, clause: ClauseWriter) -> list[str]:
    """Clauses that leave the sampled thread's PyThreadState in this->ts, and 1 in this->h where that can't be read.

    Every thread keeps its state at a fixed distance from its thread pointer, a D expression. Needs `PYTHON_FACTS`.
    """
    return [
        clause("this->slot", "this->h = 1;", f"this->ts = {_word(f'{pointer} + this->slot')};", "this->h = 0;"),
        # Exact where a thread switches interpreters; 0 while the thread is detached.
        clause(
            "this->slot && this->current",
            f"this->f = {_word(f'{pointer} + this->current')};",
            "this->ts = this->f ? this->f : this->ts;",
            "this->f = 0;",
        ),
    ]


def by_gil_holder(long_bytes: int, clause: ClauseWriter) -> list[str]:
    """As `by_thread_pointer`, for the thread that took the GIL last, if it is the one that is sampled: one that
    computes without it is not seen. Needs `HOLDER_FACTS`.

    The state may be that of a thread that has ended, and no longer be there: then it is not the sampled one's.
    """
    number = {8: "uint64_t", 4: "uint32_t"}[long_bytes]
    return [
        clause("", "this->held = (uint64_t)0;"),
        clause("this->holder", "this->h = 1;", f"this->held = {_word('this->holder')};", "this->h = 0;"),
        clause(
            "this->held",
            f"this->number = (uint64_t)*({number} *)copyin(this->held + this->owner, {long_bytes});",
            "this->ts = this->number == (uint64_t)tid ? this->held : (uint64_t)0;",
        ),
    ]


def _c_frame(clause: ClauseWriter) -> list[str]:
    """CPython 3.11 and 3.12: a structure of the evaluation loop stands between the thread and its frames.

    A loop that begins links a new one before it says which frame it runs: what is no frame of a code object is left
    over from earlier there. Then the frame of the loop before is the one that still runs.
    """
    current = "(this->shape >> 16 & 0x7fff) - 1"
    kind = "(this->codeshape >> 40 & 0xff)"
    return [
        clause(
            "this->f && (this->shape >> 16 & 0x7fff)",
            "this->cf = this->f;",
            f"this->f = {_word(f'this->f + {current}')};",
            "this->h = this->f ? 1 : 0;",
        ),
        clause(
            "this->cf && this->f",
            f"this->p = (uint64_t *)copyin(this->f, {FRAME_BYTES});",
            f"this->entered = {_word(f'this->p[this->ic] + {kind}')} == this->codetype;",
        ),
        clause(
            "this->cf && this->f && !this->entered && this->codetype",
            f"this->cf = {_word(f'this->cf + {current} + 8')};",
            f"this->f = {_word(f'this->cf + {current}')};",
            "this->h = this->f ? 1 : 0;",
        ),
    ]


def _names(count: int, clause: ClauseWriter) -> list[str]:
    """Clauses that print the names in a new stack, before the stack itself."""
    fact = [f"(this->codeshape >> {bits} & 0xff)" for bits in range(0, 48, 8)]
    out = [
        clause(
            "this->h > 1 && !seen[this->h]",
            "this->new = 1;",
            *(f"this->y{index} = (uint64_t)0;" for index in range(count)),
        ),
        clause(
            "this->new && this->codetype",
            *(
                f"this->y{index} = this->c{index} ? {_word(f'{_code(index)} + {fact[5]}')} : 0;"
                for index in range(count)
            ),
        ),
    ]
    for index in range(count):
        out.append(
            clause(
                f"this->new && this->codetype && this->y{index} == this->codetype",
                f"this->name = {_word(f'{_code(index)} + {fact[0]}')};",
                f"this->file = {_word(f'{_code(index)} + {fact[1]}')};",
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
