"""JSON files of others, and of ours: read whole, and whatever is wrong with them said in one sentence.

In: a file. Out: its outermost object or list. `member` and `number` are for what is inside.
"""

from __future__ import annotations

import json
import math
from typing import Any, BinaryIO, NoReturn, TypeVar

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats.files import read_whole

T = TypeVar("T")

MAX_BYTES = 1 << 30
"""Of a file that is read whole: its objects take up to eight times as much."""
LARGEST = (1 << 63) - 1
"""Of a value, and of the sum of all values: what a profile's columns hold."""
_WORDS: dict[type, str] = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}
_BOM = b"\xef\xbb\xbf"


def begins_with(head: bytes, signs: bytes) -> bool:
    """Whether the first byte that says something is one of these."""
    start = head.removeprefix(_BOM).lstrip()[:1]
    return bool(start) and start in signs


def parse(data: bytes) -> Any:
    """The JSON that these bytes are. Raises `InputError` with the line where they aren't."""
    try:
        return json.loads(data.removeprefix(_BOM).decode("utf-8"), parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise InputError(
            f"line {error.lineno}, column {error.colno} is no JSON: {error.msg[:1].lower()}{error.msg[1:]}."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"the byte at offset {error.start} is not UTF-8, as JSON is.") from error
    except RecursionError as error:
        raise InputError("its JSON is nested too deeply.") from error
    except ValueError as error:
        raise InputError("it has a number of more digits than can be read.") from error


def _no_number(text: str) -> NoReturn:
    raise InputError(f"it has {text}, which is no number in JSON.")


def read_object(file: BinaryIO) -> dict[str, Any]:
    return checked(parse(read_whole(file, MAX_BYTES)), dict, "the file")


def checked(value: object, kind: type[T], where: str) -> T:
    """The value, if it is of this kind. Raises `InputError` with where it stands."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InputError(f"{where} is not {_WORDS[kind]}.")
    return value


def member(owner: dict[str, Any], name: str, kind: type[T], where: str = "") -> T:
    """`owner[name]`, which must be there and of this kind."""
    place = f"{where}.{name}" if where else name
    if name not in owner:
        raise InputError(f"{place} is missing.")
    return checked(owner[name], kind, place)


def number(value: object, where: str) -> int | float:
    """A number that is one: finite, and not too large to count with."""
    if type(value) not in (int, float):
        raise InputError(f"{where} is not a number.")
    if not -LARGEST <= value <= LARGEST or not math.isfinite(value):  # type: ignore[operator,arg-type]
        raise InputError(f"{where} is too large a number.")
    return value  # type: ignore[return-value]


class WholeValues:
    """Numbers times a factor as whole ones whose sum is kept: what was rounded away comes with the next."""

    def __init__(self, factor: int = 1) -> None:
        self._factor = factor
        self._rest = 0.0
        self.total = 0

    def take(self, value: object, where: str) -> int:
        """Raises `InputError` for what is no number, negative, or makes the sum too large."""
        known = number(value, where)
        if known < 0:
            raise InputError(f"{where} is negative.")
        if isinstance(known, int):
            whole = known * self._factor
        else:
            exact = known * self._factor + self._rest
            whole = max(0, round(exact))
            self._rest = exact - whole
        return self.add(whole, where)

    def add(self, whole: int, where: str) -> int:
        """The same for a number that is known to be whole already."""
        self.total += whole
        if self.total > LARGEST:
            raise InputError(f"the sum of all values is too large at {where}.")
        return whole
