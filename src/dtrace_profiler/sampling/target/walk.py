"""Stacks → numbers, defined once. Part of the sampler, see `core.py`."""

from __future__ import annotations

import os
from opcode import opname

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType
    from typing import Any, Protocol

    from dtrace_profiler.sampling.target.look import Place

    class Output(Protocol):
        """Where the sampler writes. Called by one thread at a time, the sampler's."""

        def frame(self, number: int, function: str, module: str, file: str, line: int, first_line: int) -> None: ...
        def stack(self, number: int, frames: tuple[int, ...]) -> None:
            """`frames` leaf first."""

        def sample(self, timestamp_ns: int, thread_id: int, stack: int, cpu_ns: int) -> None: ...
        def forget(self) -> None:
            """No number given until now will be used again, but those below `FIRST_FRAME` and `FIRST_STACK`."""

        def flush(self, now_ns: int, force: bool) -> bool:
            """Once a tick (`now_ns`: monotonic). False: nobody listens any more, so the sampler ends."""

        def close(self) -> None:
            """Sampling has ended as it should; `start` may follow."""

        def after_fork(self, follow: bool) -> None:
            """In a forked child; `follow`: which goes on sampling, and will define all numbers anew."""


TRUNCATED = 1
"""The frame above the deepest that is kept of a stack."""
NO_STACK = 1
"""The stack, and `NO_STACK_FRAME` its only frame, of CPU time without a Python stack."""
NO_STACK_FRAME = 2
FIRST_FRAME = 3
FIRST_STACK = 2

MAX_CODES = 50_000
MAX_STACKS = 200_000
"""When there are more, all numbers are forgotten and begin anew: programs that make code all the time stay small."""

_NEVER_WAITS = tuple(
    number
    for number, name in enumerate(opname)
    if name.startswith(
        ("RESUME", "JUMP", "POP_JUMP", "LOAD_FAST", "STORE_FAST", "LOAD_CONST", "POP_TOP", "NOP", "COPY")
    )
)
"""Instructions that can't be in the middle of a call. A thread found there waits for nothing but the GIL."""

MAX_OWN_FRAMES = 8
"""There are never more of ours in one stack."""

_HERE = os.path.dirname(os.path.abspath(__file__))
OUR_FILES = {os.path.join(_HERE, name) for name in os.listdir(_HERE)}
"""Files whose frames are never shown."""


class StackWalker:
    """`depth`: frames kept of a stack's leaf side; of `look_depth` it must be told to see whether there are more."""

    def __init__(self, depth: int, output: Output) -> None:
        self._depth = depth
        self.look_depth = depth + 1 + MAX_OWN_FRAMES
        self._output = output
        self.forget()

    def forget(self) -> None:
        self._codes: dict[int, dict[Any, Any]] = {}
        """Address of a code object → {instruction → frame's number, None → the code object, kept alive}."""
        self._waits: dict[int, dict[Any, bool]] = {}
        """Address of a code object in `_codes` → {instruction → whether it can wait}."""
        self._stacks: dict[tuple[int, ...], int] = {}
        self.truncated: set[int] = set()
        """Stacks that are deeper than `depth`."""
        self._next_frame = FIRST_FRAME
        self._next_stack = FIRST_STACK

    def may_wait(self, leaf: Place) -> bool:
        """Whether the leaf of a stack that was just given to `number_of` may be within a call that waits."""
        code, lasti, _ = leaf
        known = self._waits.setdefault(id(code), {})  # kept alive by _codes, or forgotten with it
        answer = known.get(lasti)
        if answer is None:
            text = code.co_code
            answer = known[lasti] = not (0 <= lasti < len(text) and text[lasti] in _NEVER_WAITS)
        return answer

    def number_of(self, places: Sequence[Place]) -> int:
        """The number of the stack of these frames, leaf first; 0: none of them is the program's."""
        if len(self._codes) > MAX_CODES or len(self._stacks) > MAX_STACKS:
            self.forget()
            self._output.forget()
        numbers: list[int] = []
        codes = self._codes
        for place in places:
            code, lasti, _ = place
            lines = codes.get(id(code))
            if lines is None:
                lines = codes[id(code)] = {None: code}
            number = lines.get(lasti)
            if number is None:
                number = self._add_frame(place, lines)
            if number:
                if len(numbers) == self._depth:
                    numbers.append(TRUNCATED)
                    break
                numbers.append(number)
        key = tuple(numbers)
        stack = self._stacks.get(key)
        if stack is None:
            if not key:
                return 0
            stack = self._stacks[key] = self._next_stack
            self._next_stack += 1
            if key[-1] == TRUNCATED:
                self.truncated.add(stack)
            self._output.stack(stack, key)
        return stack

    def _add_frame(self, place: Place, lines: dict[Any, Any]) -> int:
        code, lasti, names = place
        if code.co_filename in OUR_FILES:
            lines[lasti] = 0
            return 0
        line = line_of(code, lasti)
        known = lines.get((line,))  # instructions of one line are one frame
        if known is None:
            known = lines[(line,)] = self._next_frame
            self._next_frame += 1
            module = names.get("__name__")
            self._output.frame(
                known,
                getattr(code, "co_qualname", code.co_name),  # the qualified name since 3.11
                module if isinstance(module, str) else "",
                code.co_filename,
                line,
                code.co_firstlineno,
            )
        lines[lasti] = known
        return int(known)


def line_of(code: CodeType, lasti: int) -> int:
    """The line of an instruction; of one without, the function's first."""
    if hasattr(code, "co_lines"):
        for start, end, line in code.co_lines():
            if start <= lasti < end:
                return line or code.co_firstlineno
        return code.co_firstlineno
    return line_before_3_10(code.co_firstlineno, code.co_lnotab, lasti)


def line_before_3_10(first_line: int, table: bytes, lasti: int) -> int:
    """`table`: pairs of what to add to the instruction and (signed) to the line."""
    at, line = 0, first_line
    for step, lines in zip(table[::2], table[1::2]):  # noqa: B905  (not in 3.8)
        at += step
        if at > lasti:
            break
        line += lines - 256 if lines > 127 else lines
    return line
