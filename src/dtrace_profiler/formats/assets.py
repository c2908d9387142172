"""The page's files, and its modules put together to one script.

A file that must work alone, opened from a disk, can't import modules: browsers refuse it. So the modules are written
one after the other into one script, each before those that import it, without their import and export words. All
share one scope then: two top-level names that are equal are a mistake, and so is any form of import or export but
the two plain ones (`import { a, b } from "./x.js";` on one line, `export` before a declaration).
"""

from __future__ import annotations

import functools
import re
from importlib import resources

_IMPORT = re.compile(r'import \{ (\w+(?:, \w+)*) \} from "\./(\w+\.js)";')
_EXPORT = re.compile(r"export (?=(?:async )?(?:function|class|const|let) )")
_DECLARATION = re.compile(r"(?:async )?(?:function|class|const|let) (\w+)")
_COMMENT = re.compile(r"^[ \t]*(?://.*|/\*\*?(?:[^*]|\*(?!/))*\*/[ \t]*)\n", re.MULTILINE)


def without_comments(name: str) -> str:
    """A script of the assets, without the comments that stand on lines of their own."""
    return _COMMENT.sub("", read_asset(name))


def read_asset(name: str) -> str:
    return resources.files("dtrace_profiler").joinpath("assets", name).read_text(encoding="utf-8")


@functools.cache
def bundle(entry: str) -> str:
    """All modules that `entry` leads to as one script, without comments and indentation. Raises ValueError where a
    module does not keep the rules above."""
    done: dict[str, str] = {}
    _add(entry, done, (), {})
    return "".join(done.values())


def _add(module: str, done: dict[str, str], path: tuple[str, ...], owners: dict[str, str]) -> None:
    """Writes a module behind all that it imports. `owners`: top-level name → its module."""
    if module in done:
        return
    if module in path:
        raise ValueError(f"modules import each other: {' > '.join((*path, module))}")
    lines = []
    for line in without_comments(module).splitlines():
        if match := _IMPORT.fullmatch(line):
            _add(match[2], done, (*path, module), owners)
            continue
        line = _EXPORT.sub("", line)
        if re.match(r"(import|export)\b", line):
            raise ValueError(f"{module}: {line!r} can't be bundled")
        if (match := _DECLARATION.match(line)) and owners.setdefault(match[1], module) != module:
            raise ValueError(f"{match[1]} is declared in {owners[match[1]]} and in {module}")
        # A template string of several lines would be changed by the loss of its indentation.
        if line.count("`") % 2:
            raise ValueError(f"{module}: a template string of several lines: {line!r}")
        if line := line.strip():
            lines.append(line)
    done[module] = "\n".join(lines) + "\n"
