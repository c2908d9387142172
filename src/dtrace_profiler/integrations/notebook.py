"""`%load_ext dtrace_profiler`: the magics `%flamegraph` and `%%flamegraph`, and profiles that show themselves.

    %%flamegraph -F 999
    work()

While the cell runs a picture of the profile so far is renewed through the kernel's own display messages, which reach
every front end, through hubs and tunnels. Nothing here imports IPython before it is there.
"""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import dataclass, fields, replace
from typing import Any

from dtrace_profiler.errors import DTraceProfilerError, UsageError
from dtrace_profiler.formats import format_of, write_profile
from dtrace_profiler.integrations.notebook_display import as_text, mime_bundle
from dtrace_profiler.integrations.notebook_live import LiveDisplay
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.options import DEFAULT_DEPTH, DEFAULT_FREQUENCY_HZ
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.profiler import DTraceProfiler
from dtrace_profiler.transform.rooted import rooted_at

READY_S = 10.0
"""How long a cell waits for dtrace, which needs less than a second as a rule."""
_OPTION = re.compile(r"(--?[a-zA-Z][\w-]*)(?:=| +|$)")
_VALUE = re.compile(r"\"([^\"]*)\"|'([^']*)'|(\S+)")
_LEFT_OUT = "What called the cell is left out: %%flamegraph --whole shows it."
USAGE = """%flamegraph [OPTION]... STATEMENT, or %%flamegraph [OPTION]... above a cell: runs it, and shows where its
CPU time went, live while it runs.

  -F, --frequency HZ  samples a second and CPU, 1 to 4999 (default: 99)
  --engine NAME       who samples: auto, dtrace or sampler (default: auto)
  --depth FRAMES      frames kept of each stack (default: 128)
  --kernel            kernel frames too (DTrace)
  -o, --output FILE   write the profile here as well, in the format of the suffix
  --store NAME        keep the profile in this variable
  --whole             keep what called the cell: the kernel's own frames
  --no-live           show nothing before the end"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    frequency: int = DEFAULT_FREQUENCY_HZ
    engine: Any = "auto"
    depth: int = DEFAULT_DEPTH
    kernel: bool = False
    output: str = ""
    store: str = ""
    whole: bool = False
    no_live: bool = False


_FLAGS = {"kernel", "whole", "no_live"}
_SHORT = {"F": "frequency", "o": "output"}


def parse(line: str) -> tuple[Request, str]:
    """The options of a magic's line, and the statement behind them. Raises `UsageError`."""
    values: dict[str, Any] = {}
    names = {field.name for field in fields(Request)}
    rest = line.strip()
    while rest.startswith("-") and (match := _OPTION.match(rest)):
        word = match[1]
        name = word[2:].replace("-", "_") if word.startswith("--") else _SHORT.get(word[1:], "")
        if name not in names:
            raise UsageError(f"%flamegraph has no option {word}: %flamegraph -h shows those it has.")
        rest = rest[match.end() :].lstrip()
        if name in _FLAGS:
            values[name] = True
            continue
        value = _VALUE.match(rest)
        if value is None:
            raise UsageError(f"%flamegraph {word} needs a value: %flamegraph -h shows which.")
        rest = rest[value.end() :].lstrip()
        values[name] = value[1] or value[2] or value[3] or ""
    for name in ("frequency", "depth"):
        if name in values:
            if not re.fullmatch(r"[+-]?[0-9]{1,9}", values[name]):
                raise UsageError(f"%flamegraph --{name} is a whole number, not {values[name]!r}.")
            values[name] = int(values[name])
    if "output" in values:
        format_of(values["output"])
    if "store" in values and not values["store"].isidentifier():
        raise UsageError(f"%flamegraph --store needs the name of a variable, and {values['store']!r} is none.")
    return Request(**values), rest


class Magics:
    """The magic functions of one IPython shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def flamegraph(self, line: str, cell: str | None = None) -> object:
        """Runs a statement or a cell, and shows where its CPU time went."""
        __tracebackhide__ = True
        from IPython.core.error import UsageError as Refused

        if line.strip() in ("-h", "--help", "") and not (cell or "").strip():
            print(USAGE)
            return None
        try:
            request, statement = parse(line)
            if cell is not None and statement:
                raise UsageError(f"behind the options of %%flamegraph nothing may follow, and {statement!r} does.")
            body, last, file = self._compiled(cell if cell is not None else statement)
            profiler = DTraceProfiler(engine=request.engine, depth=request.depth, kernel=request.kernel)
            profiler.start(request.frequency)
        except DTraceProfilerError as error:
            raise Refused(_sentence(error)) from None
        shown = _Shown(self._shell, profiler, request, file)
        try:
            try:
                profiler.wait_ready(READY_S)
            except DTraceProfilerError as error:
                raise Refused(_sentence(error)) from None
            shown.begin()
            namespace = self._shell.user_ns
            exec(body, namespace)  # noqa: S102  (what the user typed to be run)
            return eval(last, namespace) if last is not None else None  # noqa: S307
        finally:
            shown.end()

    def _compiled(self, source: str) -> tuple[Any, Any, str]:
        """Code: all but the last expression, and that expression (or None); and the file of the cell's frames."""
        shell = self._shell
        text = shell.transform_cell(source)
        file = shell.compile.cache(text, shell.execution_count, raw_code=source)
        tree = shell.transform_ast(ast.parse(text, file, "exec"))
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        flags = shell.compile.flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        codes = [
            None if part is None else compile(part, file, mode, flags, True)
            for part, mode in ((tree, "exec"), (last, "eval"))
        ]
        if any(code is not None and code.co_flags & inspect.CO_COROUTINE for code in codes):
            raise UsageError(
                "%flamegraph can't run what awaits at the top level: write `with dtrace_profiler.profile() as p:`"
                " around it, and p.snapshot() below."
            )
        return codes[0], codes[1], file


class _Shown:
    """A profile from its beginning to its end, before somebody's eyes."""

    def __init__(self, shell: Any, profiler: DTraceProfiler, request: Request, file: str) -> None:
        self._shell = shell
        self._profiler = profiler
        self._request = request
        self._file = file
        self._live: LiveDisplay | None = None

    def begin(self) -> None:
        if in_kernel(self._shell) and not self._request.no_live:
            self._live = LiveDisplay(self._shell.display_pub, self._profile)
            self._live.start()

    def end(self) -> None:
        if self._live is not None:
            self._live.stop()
        self._profiler.close()
        if self._profiler.error is not None and not len(self._profiler.profile()):
            return  # it has been said
        profile = self._profile()
        if self._request.store:
            self._shell.user_ns[self._request.store] = profile
        bundle = mime_bundle(profile) if in_kernel(self._shell) else {"text/plain": as_text(profile)}
        if self._live is not None:
            self._live.publish(bundle)
        else:
            self._shell.display_pub.publish(bundle)
        if self._request.output:
            self._write(profile)

    def _write(self, profile: Profile) -> None:
        try:
            write_profile(profile, self._request.output)
        except (OSError, DTraceProfilerError) as error:
            print(f"not written: {self._request.output}: {getattr(error, 'strerror', None) or error}")
        else:
            print(f"written: {self._request.output}")

    def _profile(self) -> Profile:
        profile = self._profiler.profile()
        meta = replace(profile.meta, target=f"In [{self._shell.execution_count}]")
        if self._request.whole:
            return replace(profile, meta=meta)
        meta = replace(meta, notes=(*meta.notes, _LEFT_OUT))
        return rooted_at(replace(profile, meta=meta), self._is_cell)

    def _is_cell(self, frame: StackFrame) -> bool:
        return frame.file == self._file and frame.function_name == "<module>"


def _sentence(error: DTraceProfilerError) -> str:
    return f"{error} Try: {error.remedy}" if error.remedy else str(error)


def in_kernel(shell: Any) -> bool:
    """A front end that can show more than text. Terminals would print each renewal below the last."""
    return getattr(shell, "kernel", None) is not None


def load(shell: Any) -> None:
    """Into an IPython shell. Raises nothing that a user could mend."""
    from IPython.core.magic import no_var_expand

    magics = Magics(shell)

    # Braces and dollars in a statement are the statement's.
    @no_var_expand
    def flamegraph(line: str, cell: str | None = None) -> object:
        __tracebackhide__ = True
        return magics.flamegraph(line, cell)

    flamegraph.__doc__ = USAGE
    shell.register_magic_function(flamegraph, "line_cell", "flamegraph")

    def bundle(profile: Profile, include: object = None, exclude: object = None) -> dict[str, str]:
        return mime_bundle(profile) if in_kernel(shell) else {"text/plain": as_text(profile)}

    shell.display_formatter.mimebundle_formatter.for_type(Profile, bundle)
