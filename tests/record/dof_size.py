"""How many bytes a D program has as a classic DTrace hands it to its kernel (DOF): an estimate, made to be too high.

By what libdtrace's dt_dof.c writes: a section has a header of 32 bytes; each expression (an assignment, an argument
of printf, a key, a predicate) is an object of up to five sections: instructions of 4 bytes, its integers, its names,
a record of 20 bytes for each of its variables, and a header; each action adds 32 bytes. The number of instructions is
counted generously from the operators.
"""

from __future__ import annotations

import re

CLAUSE = re.compile(r"^([\w:-]+)\n(?:/([^\n]*)/\n)?\{\n(.*?)^\}\n", re.MULTILINE | re.DOTALL)
_SECTION, _ACTION, _VARIABLE, _WORD = 32, 32, 20, 4
_NUMBER = re.compile(r"(?<![\w>])(?:0x[0-9a-fA-F]+|\d+)\b")
_GLOBAL = re.compile(r"(?<![>\w@])(?:pid|tid|\w+(?=\[)|table|timestamp|walltimestamp)\b")


def dof_bytes(program: str) -> int:
    total = 4096  # header, the string table
    for probe, predicate, body in CLAUSE.findall(program):
        total += 3 * _SECTION + 24 + len(probe) + 24  # the probe, the clause, its list of actions
        if predicate:
            total += _expression(predicate)
        for statement in re.split(r";\n\s*", body.strip()):
            total += _ACTION + sum(_expression(part) + _ACTION for part in _parts(statement)) + 100
    return total


def _parts(statement: str) -> list[str]:
    """The expressions that are compiled apart: the arguments of an action, the keys of an aggregation."""
    call = re.fullmatch(r"(?:printf|printa|trunc)\((.*)\);?", statement, re.DOTALL)
    keys = re.match(r"@\w+(?:\[(.*)\])? = ", statement, re.DOTALL)
    if call:
        return _arguments(call[1])[1:]
    return _arguments(keys[1] or "") if keys else [statement]


def _arguments(text: str) -> list[str]:
    out, depth, quoted, current = [], 0, False, ""
    for character in text:
        quoted ^= character == '"'
        depth += 0 if quoted else (character in "([") - (character in ")]")
        if character == "," and not depth and not quoted:
            out.append(current)
            current = ""
        else:
            current += character
    return [*out, current]


def _expression(text: str) -> int:
    variables = re.findall(r"this->\w+", text) + _GLOBAL.findall(text)
    numbers = _NUMBER.findall(text)
    operators = re.findall(r"[-+*^&|~!]|>>|<<|[=!]=|<|>", text.replace("->", " "))
    instructions = (
        2
        + len(variables)
        + len(numbers)
        + 6 * text.count("copyin")
        + 5 * text.count("?")
        + 4 * text.count("[")
        + 2 * len(operators)
        + text.count(" = ")
    )
    sections = 2
    size = _WORD * instructions + 32
    if numbers:
        sections += 1
        size += 8 * len(set(numbers))
    if variables:
        sections += 2
        size += sum(len(name) + 1 + _VARIABLE for name in set(variables))
    return size + sections * (_SECTION + 4)
