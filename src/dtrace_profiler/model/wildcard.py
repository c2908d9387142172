"""Patterns for names: `*` stands for any characters, all else for itself.

No regular expressions: names of C++ are full of their signs.
"""

from __future__ import annotations


def matches(pattern: str, name: str) -> bool:
    """Whether the whole name is of the pattern. Each piece between stars is taken at its first place, which is
    enough, so the time grows with the product of both lengths at most."""
    first, *middle = pattern.split("*")
    if not middle:
        return pattern == name
    last = middle.pop()
    if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
        return False
    place, end = len(first), len(name) - len(last)
    for piece in middle:
        found = name.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True
