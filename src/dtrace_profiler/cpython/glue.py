"""Which native functions are CPython's own machinery: its evaluation loops, and what stands between two of them."""

from __future__ import annotations

import re

from dtrace_profiler.cpython.evaluation import evaluation_functions_of
from dtrace_profiler.cpython.layout import Layout
from dtrace_profiler.cpython.memory import Memory, MemoryReadError
from dtrace_profiler.model.frame import FrameKind, StackFrame

_EVALUATION = re.compile(r"_PyEval_EvalFrameDefault|_TAIL_CALL_\w+|_PyEval_EvalFrameDefault_\w+")
_GLUE = re.compile(
    r"_?PyEval_(?:EvalCode|EvalCodeEx|EvalFrame|EvalFrameEx|Vector|EvalFrameDefault)"
    r"|_?PyObject_(?:Call\w*|Vectorcall\w*|VectorcallTstate|FastCall\w*|MakeTpCall)"
    r"|_?PyFunction_Vectorcall|_?PyVectorcall_\w+|_PyCall\w*|_?Py_BuiltinCall\w+|_?PyCFunction_\w+|_PyCall_\w+"
    r"|cfunction_(?:vectorcall_\w+|call)|method_vectorcall\w*|methoddescr_\w+|function_code_fastcall|object_vacall"
    r"|slot_tp_\w+|wrapper_call|builtin_exec\w*|builtin_eval\w*|vectorcall_\w+|type_call|_PyEvalFramePushAndInit\w*"
    r"|run_eval_code_obj|run_mod|pyrun_\w+|_?PyRun_\w+|pymain_\w+|Py_RunMain|Py_BytesMain|Py_Main|thread_run"
    r"|pythread_wrapper|_Py_\w*StackRef\w*|gen_(?:send_ex2?|iternext)|PyGen_am_send|_PyGen_\w+|task_step\w*"
)
_START = re.compile(r"__libc_start\w*|_start|start_thread|__?clone3?|main|call_init")

# push %rbp; mov %rsp,%rbp
_PROLOGUE = bytes.fromhex("554889e5")
_ENDBR64 = bytes.fromhex("f30f1efa")


def is_glue(frame: StackFrame) -> bool:
    """A function that only leads from one Python function to the next, or from the process's start to the first."""
    return _GLUE.fullmatch(frame.function_name) is not None


def is_interpreter(frame: StackFrame) -> bool:
    """Glue, or an evaluation loop by its name: what is only the interpreter's way of running Python functions."""
    native = frame.kind in (FrameKind.NATIVE, FrameKind.INLINED)
    return native and (is_glue(frame) or _EVALUATION.match(frame.function_name) is not None)


def is_start(frame: StackFrame) -> bool:
    """A function that starts programs and threads."""
    return _START.fullmatch(frame.function_name) is not None


def native_unwind_works(layout: Layout, memory: Memory) -> bool:
    """Whether this build keeps frame pointers, by how its exported functions begin. Off x86-64 builds keep them."""
    kept = looked = 0
    for address in layout.functions:
        try:
            code = memory.read(address, 12)
        except MemoryReadError:
            continue
        looked += 1
        kept += code.removeprefix(_ENDBR64).startswith(_PROLOGUE)
    return kept * 2 > looked if looked and layout.machine == "x86_64" else True


class EvaluationLoops:
    """Tells an evaluation loop's frame from any other's: by its name, in a stripped interpreter by its place."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._module = layout.path.rpartition("/")[2]
        self._starts: frozenset[int] | None = None

    def prepare(self) -> None:
        """Read the interpreter's file while it is there; later is done when the first frame is asked for."""
        if self._starts is None:
            self._starts = evaluation_functions_of(self._layout.pid, self._layout.path)

    def __contains__(self, frame: object) -> bool:
        if not isinstance(frame, StackFrame) or frame.kind is not FrameKind.NATIVE:
            return False
        name = frame.function_name
        if name.startswith("0x"):
            if frame.module_name != self._module:
                return False
            self.prepare()
            return self._starts is not None and int(name, 16) in self._starts
        return _EVALUATION.match(name) is not None
