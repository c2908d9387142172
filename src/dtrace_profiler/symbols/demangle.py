"""Names as a person wrote them: C++ (Itanium), Rust (both manglings), Swift and Microsoft's, in batches.

`multi_demangle` (extra `symbols`) does the work where it is installed, else a kept-running `c++filt`, else names
stay as they are. What compilers append to a copy of a function (`.cold`, `.isra.0`, `.constprop.1`, `.part.2`,
`.llvm.123`) is dropped: it is the same function of the source, and a flame graph that splits it in two misleads.
Argument lists are dropped too unless asked for; template arguments stay, they tell instances apart.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from importlib import import_module

from dtrace_profiler.symbols.child import LineChild

_MANGLED = re.compile(r"_{1,4}Z|_{1,2}R[A-Z0-9]|_?\$[sS]|_T0|\?")
_CLONE_SUFFIXES = re.compile(
    r"(?:\.(?:isra|constprop|part|cold|llvm|lto_priv|localalias|clone|ipa|warm|hot|unlikely|"
    r"resume|destroy|cleanup|actor|__uniq)(?:\.[0-9]+)*)+$"
)
_RUST_HASH = re.compile(r"::h[0-9a-f]{16}$")
_RUST_CRATE_ID = re.compile(r"\[[0-9a-f]{4,16}\]")
_MAX_MEMO = 1 << 18
_MAX_NAME = 1 << 14

_memo: dict[tuple[str, bool], str] = {}
_backend: Callable[[Sequence[str], bool], list[str]] | None = None


def demangle_names(names: Sequence[str], *, arguments: bool = False) -> list[str]:
    """The readable name of each, in order; names that are not mangled come back as they are (less clone suffixes).

    `arguments` keeps C++ argument lists: `f(int)` instead of `f`.
    """
    missing = list(dict.fromkeys(name for name in names if (name, arguments) not in _memo))
    if missing:
        if len(_memo) + len(missing) > _MAX_MEMO:
            _memo.clear()
            missing = list(dict.fromkeys(names))
        # `c++filt` knows suffixes only behind mangled names, `multi_demangle` likewise: they go first.
        plain = [_CLONE_SUFFIXES.sub("", name) or name for name in missing]
        mangled = [name for name in plain if _MANGLED.match(name) and len(name) <= _MAX_NAME]
        readable = dict(zip(mangled, _demangle(mangled, arguments), strict=True)) if mangled else {}
        for name, short in zip(missing, plain, strict=True):
            _memo[name, arguments] = readable.get(short) or short
    return [_memo[name, arguments] for name in names]


def demangle_name(name: str, *, arguments: bool = False) -> str:
    """One name; see `demangle_names`."""
    known = _memo.get((name, arguments))
    return known if known is not None else demangle_names([name], arguments=arguments)[0]


def _demangle(names: Sequence[str], arguments: bool) -> list[str]:
    global _backend
    if _backend is None:
        _backend = _library() or _child() or (lambda names, arguments: list(names))
    return _backend(names, arguments)


def _library() -> Callable[[Sequence[str], bool], list[str]] | None:
    try:
        library = import_module("multi_demangle")
        brief = library.DemangleOptions(return_type=False, parameters=False, normalize=False)
        full = library.DemangleOptions(return_type=False, parameters=True, normalize=False)
    except Exception:  # not installed, made for another system, or with another interface
        return None

    def demangle(names: Sequence[str], arguments: bool) -> list[str]:
        # One by one, as fast: `demangle_symbols` starts threads, for which a forked child would wait for ever.
        options = full if arguments else brief
        return [library.demangle_symbol(name, options) for name in names]

    return demangle


def _child() -> Callable[[Sequence[str], bool], list[str]] | None:
    program = shutil.which("c++filt") or shutil.which("llvm-cxxfilt")
    if program is None:
        return None
    # `-p` leaves out argument lists, but return types too only where there are no arguments shown.
    children = {flag: LineChild([program, *(["-p"] if not flag else [])], timeout_s=2.0) for flag in (True, False)}

    def demangle(names: Sequence[str], arguments: bool) -> list[str]:
        child, out = children[arguments], []
        for name in names:
            answer = None
            if name.isascii() and name.isprintable() and not child.failed:
                child.ask(name.encode())
                answer = child.read_line()
            text = answer.decode("utf-8", "replace") if answer else name
            if text != name:
                text = _RUST_HASH.sub("", text)
                if name.lstrip("_").startswith("R"):
                    text = _RUST_CRATE_ID.sub("", text)
            out.append(text)
        return out

    return demangle
