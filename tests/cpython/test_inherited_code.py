"""A forked process that ended before its memory could be opened: what its parent tells of its code."""

from __future__ import annotations

from dtrace_profiler.cpython.code_object import ENTRY, CodeObject
from dtrace_profiler.cpython.inherited_code import InheritedCode
from dtrace_profiler.record.parse import CodeName

MAIN = CodeObject("main", "app.py", 1, 0x1100, 64, b"")
EVALUATED = CodeObject("f", "<string>", 1, 0x2100, 64, b"")
OTHER = CodeObject("other", "late.py", 5, 0, 0, b"")
KNOWN = {0x1000: MAIN, 0x2000: EVALUATED, 0x3000: ENTRY}


def found(address: int, instruction: int, name: CodeObject | None = None) -> object:
    code = InheritedCode(KNOWN, 3, lambda given: None if given is None else name)
    given = {} if name is None else {0: CodeName(1, 0, 1, 0, 0, b"", b"")}
    return code.inherited().read([(address, instruction)], 0, names=given)[0]


def test_what_the_parent_had_is_the_childs() -> None:
    assert found(0x1001, 0x1104) is MAIN, "the two lowest bits of the address say how it is counted"
    assert found(0x3000, 0) is ENTRY


def test_what_may_have_taken_its_place_is_unknown() -> None:
    assert found(0x1000, 0x9999) is None
    assert found(0x2000, 0x2104) is None, "made from a string"
    assert found(0x4000, 0x4104) is None


def test_what_was_read_as_it_ran_is_believed_first() -> None:
    assert found(0x1000, 0x1104, OTHER) is OTHER
    assert found(0x4000, 0x4104, OTHER) is OTHER
    same = CodeObject("main", "app.py", 1, 0, 0, b"")
    assert found(0x1000, 0x1104, same) is MAIN, "with its lines"
