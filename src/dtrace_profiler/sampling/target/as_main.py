"""Run a script, a module or a line of code as the interpreter itself would, from within it. See `run_program.py`."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run() -> None:
    """Never returns by itself before the program has ended."""
    main = sys.modules["__main__"].__dict__
    me = main["__file__"]
    folder = os.path.dirname(me)
    safe_path = getattr(sys.flags, "safe_path", False) or bool(sys.flags.isolated)
    before = int(sys.argv[1])
    words = sys.argv[2:]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[:] = sys.orig_argv[:before] + words
    if not safe_path and sys.path and sys.path[0] == folder:
        del sys.path[0]
    for ours in (folder, me, folder + "/run_program.py"):
        sys.path_importer_cache.pop(ours, None)
    loader = sys.modules["_frozen_importlib_external"].SourceFileLoader
    builtin = sys.modules["_frozen_importlib"].BuiltinImporter
    main.clear()
    main.update(
        __name__="__main__", __doc__=None, __package__=None, __spec__=None, __builtins__=sys.modules["builtins"]
    )
    if sys.version_info < (3, 14):
        main["__annotations__"] = {}
    main["__loader__"] = builtin
    try:
        if words[0] == "-c":
            _first_on_path("", safe_path)
            sys.argv[:] = ["-c", *words[2:]]
            _run_code(words[1], main)
        elif words[0] == "-m":
            _first_on_path(os.getcwd(), safe_path)
            sys.argv[:] = ["-m", *words[2:]]
            _run_module(words[1], True)
        else:
            script = words[0]
            sys.argv[:] = words
            if os.path.isdir(script) or _is_archive(script):
                sys.path.insert(0, os.path.abspath(script))
                _run_module("__main__", False)
            else:
                _first_on_path(os.path.dirname(os.path.realpath(script)), safe_path)
                main["__loader__"] = loader("__main__", script)
                main["__file__"] = script if sys.version_info < (3, 9) else os.path.abspath(script)
                if sys.version_info < (3, 15):
                    main["__cached__"] = None
                _run_script(script, main)
    except BaseException as error:
        _hide_our_frames(error)
        raise


def _first_on_path(entry: str, safe_path: bool) -> None:
    if not safe_path:
        sys.path.insert(0, entry)


def _run_code(text: str, main: dict[str, Any]) -> None:
    code = compile(text, "<string>", "exec", dont_inherit=True)
    if sys.version_info >= (3, 13):
        import linecache  # the interpreter does the same, so that tracebacks show the lines

        register = getattr(linecache, "_register_code", None)
        by_code = hasattr(linecache, "_interactive_cache")  # 3.13 knows lines by the file's name only
        if register is not None:
            try:
                register(code if by_code else "<string>", text, "<string>")
            except TypeError:
                pass
    exec(code, main)  # noqa: S102


def _run_script(script: str, main: dict[str, Any]) -> None:
    try:
        with open(script, "rb") as file:
            text = file.read()
    except OSError as error:
        sys.stderr.write(
            "%s: can't open file %r: [Errno %d] %s\n"  # noqa: UP031
            % (sys.executable, os.path.abspath(script), error.errno or 0, error.strerror)
        )
        raise SystemExit(2) from None
    name = script if sys.version_info < (3, 9) else main["__file__"]
    exec(compile(text, name, "exec", dont_inherit=True), main)  # noqa: S102


def _run_module(name: str, alter_argv: bool) -> None:
    import runpy

    runpy.__dict__["_run_module_as_main"](name, alter_argv)


def _is_archive(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"PK\3\4"
    except OSError:
        return False


def _hide_our_frames(error: BaseException) -> None:
    """What is printed of an exception that nobody caught begins with the program's own first frame."""
    theirs = sys.excepthook

    def excepthook(kind: Any, value: Any, traceback: Any) -> None:
        sys.excepthook = theirs
        while traceback is not None and traceback.tb_frame.f_code.co_filename in _ours:
            traceback = traceback.tb_next
        if isinstance(value, BaseException):
            value.__traceback__ = traceback
        theirs(kind, value, traceback)

    if not isinstance(error, SystemExit):
        sys.excepthook = excepthook


_here = os.path.dirname(run.__code__.co_filename)
_ours = {os.path.join(_here, name) for name in ("as_main.py", "run_program.py")}
