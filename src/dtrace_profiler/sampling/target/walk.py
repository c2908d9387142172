"""Stacks of running threads → numbers, defined once. Part of the sampler, see `core.py`."""

from __future__ import annotations

import os
from opcode import opname

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any, Protocol

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

_HERE = os.path.dirname(os.path.abspath(__file__))
OUR_FILES = {os.path.join(_HERE, name) for name in os.listdir(_HERE)}
"""Files whose frames are never shown."""


class StackWalker:
    """`depth`: frames kept of a stack's leaf side."""

    def __init__(self, depth: int, output: Output) -> None:
        self._depth = depth
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

    def may_wait(self, frame: FrameType) -> bool:
        """Whether the leaf frame of a stack that was just walked may be within a call that waits."""
        code = frame.f_code
        lasti = frame.f_lasti
        known = self._waits.setdefault(id(code), {})  # kept alive by _codes, or forgotten with it
        answer = known.get(lasti)
        if answer is None:
            text = code.co_code
            answer = known[lasti] = not (0 <= lasti < len(text) and text[lasti] in _NEVER_WAITS)
        return answer

    def walk(self, frame: FrameType | None) -> int:
        """The number of the stack that ends at this frame; 0: none of its frames is the program's."""
        if len(self._codes) > MAX_CODES or len(self._stacks) > MAX_STACKS:
            self.forget()
            self._output.forget()
        numbers: list[int] = []
        codes = self._codes
        left = self._depth
        while frame is not None:
            code = frame.f_code
            lines = codes.get(id(code))
            if lines is None:
                lines = codes[id(code)] = {None: code}
            number = lines.get(frame.f_lasti)
            if number is None:
                number = self._add_frame(code, frame, lines)
            if number:
                numbers.append(number)
                left -= 1
                if not left:
                    break
            frame = frame.f_back
        if frame is not None and frame.f_back is not None and self._is_program(frame.f_back):
            numbers.append(TRUNCATED)
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

    @staticmethod
    def _is_program(frame: FrameType | None) -> bool:
        while frame is not None:
            if frame.f_code.co_filename not in OUR_FILES:
                return True
            frame = frame.f_back
        return False

    def _add_frame(self, code: CodeType, frame: FrameType, lines: dict[Any, Any]) -> int:
        lasti = frame.f_lasti
        if code.co_filename in OUR_FILES:
            lines[lasti] = 0
            return 0
        line = frame.f_lineno or code.co_firstlineno  # None for an instruction without a line
        known = lines.get((line,))  # instructions of one line are one frame
        if known is None:
            known = lines[(line,)] = self._next_frame
            self._next_frame += 1
            module = frame.f_globals.get("__name__")
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
