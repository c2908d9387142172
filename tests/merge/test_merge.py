"""Native and Python frames in one stack: each case as a reader of a profile would see it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.merge import MergeRequest, PythonFrame, merge
from dtrace_profiler.model.frame import FrameKind, StackFrame


def python(name: str) -> StackFrame:
    return StackFrame(name, "app", file="app.py", line=1, kind=FrameKind.PYTHON)


def native(name: str) -> StackFrame:
    return StackFrame(name, "python", kind=FrameKind.NATIVE)


def inlined(name: str) -> StackFrame:
    return StackFrame(name, "python", kind=FrameKind.INLINED)


LOOP = native("_PyEval_EvalFrameDefault")
START = [native("_start"), native("__libc_start_main"), native("main"), native("Py_RunMain")]


def stack(
    native_frames: list[StackFrame],
    python_frames: list[PythonFrame],
    *,
    unwound: bool = True,
    glue: bool = False,
    native_truncated: bool = False,
    python_truncated: bool = False,
) -> str:
    """`python_frames` root first here, for the reader; the walk has them leaf first."""
    merged = merge(
        MergeRequest(
            native=native_frames,
            unwound=unwound,
            python=python_frames[::-1],
            loops={LOOP},
            glue=glue,
            native_truncated=native_truncated,
            python_truncated=python_truncated,
        )
    )
    return " ".join(frame.function_name for frame in merged)


SORTING = [*START, LOOP, native("list_sort"), native("_PyFunction_Vectorcall"), LOOP, native("long_mul")]
SORTED: list[PythonFrame] = [None, python("main"), python("sort_all"), None, python("by_key")]


def test_c_functions_stand_between_their_python_callers_and_callees() -> None:
    assert stack(SORTING, SORTED) == "main sort_all list_sort by_key long_mul"


def test_with_glue_all_native_frames_are_kept() -> None:
    assert stack(SORTING, SORTED, glue=True) == (
        "_start __libc_start_main main Py_RunMain _PyEval_EvalFrameDefault main sort_all list_sort"
        " _PyFunction_Vectorcall _PyEval_EvalFrameDefault by_key long_mul"
    )


def test_what_is_inlined_in_a_loop_goes_with_the_loop() -> None:
    frames = [*START, LOOP, inlined("_Py_INCREF"), native("zlib_compress"), native("deflate"), inlined("copy")]
    assert stack(frames, [None, python("main")]) == "main zlib_compress deflate copy"
    frames = [*START, LOOP, inlined("_Py_INCREF")]
    assert stack(frames, [None, python("main")]) == "main"


def test_an_applications_own_frames_before_the_first_loop_stay() -> None:
    frames = [native("_start"), native("main"), native("serve_requests"), native("PyObject_Call"), LOOP]
    assert stack(frames, [None, python("handle")]) == "serve_requests handle"


def test_without_frame_pointers_only_the_interrupted_function_is_true() -> None:
    frames = [native("garbage"), LOOP, native("list_sort"), native("long_mul"), inlined("digit")]
    assert stack(frames, SORTED, unwound=False) == "main sort_all by_key long_mul digit"
    assert stack([LOOP], SORTED, unwound=False) == "main sort_all by_key"


def test_of_a_stack_that_does_not_fit_only_what_is_surely_below_the_last_python_frame_stays() -> None:
    """Unwinding lost a loop in the middle: list_sort may be above by_key as well as below."""
    one_lost = [*START, LOOP, native("list_sort"), native("call"), native("long_mul")]
    three: list[PythonFrame] = [None, python("a"), None, python("b"), None, python("c")]
    assert stack(one_lost, three) == "a b c long_mul"
    assert stack([native("long_mul")], SORTED) == "main sort_all by_key long_mul"


def test_a_function_without_frame_of_its_own_hides_the_loop_that_called_it() -> None:
    frames = [*START, LOOP, native("list_sort"), native("__vdso_clock_gettime")]
    assert stack(frames, SORTED) == "main sort_all list_sort by_key __vdso_clock_gettime"


def test_a_loop_that_has_no_frame_yet_or_any_more() -> None:
    frames = [*START, LOOP, native("list_sort"), LOOP]
    assert stack(frames, [None, python("main"), python("sort_all")]) == "main sort_all list_sort"
    # With its entry frame, but nothing in it.
    assert stack(frames, [None, python("main"), python("sort_all"), None]) == "main sort_all list_sort"


def test_of_a_native_stack_that_was_cut_the_root_side_is_missing() -> None:
    frames = [native("list_sort"), LOOP]
    deep: list[PythonFrame] = [None, python("a"), None, python("b"), None, python("c")]
    assert stack(frames, deep, native_truncated=True) == "a b list_sort c"


def test_of_a_python_stack_that_was_cut_nothing_is_between() -> None:
    cut: list[PythonFrame] = [python("sort_all"), None, python("by_key")]
    assert stack(SORTING, cut, python_truncated=True) == "sort_all by_key long_mul"


def test_perf_trampolines_are_not_shown_twice() -> None:
    frames = [*START, native("py::main:app.py"), LOOP, native("py::by_key:app.py"), LOOP, native("long_mul")]
    two: list[PythonFrame] = [None, python("main"), None, python("by_key")]
    assert stack(frames, two) == "main by_key long_mul"
    assert "py::" not in stack(frames, two, glue=True)


def test_a_stack_without_python_frames_is_the_native_one() -> None:
    assert stack(SORTING, []) == " ".join(frame.function_name for frame in SORTING)
    assert stack(SORTING, [None]) == " ".join(frame.function_name for frame in SORTING)


NATIVE = st.lists(st.sampled_from([LOOP, *map(native, "pqrs"), inlined("i"), native("_PyObject_Call")]), max_size=12)
PYTHON = st.lists(st.sampled_from([None, *map(python, "abc")]), max_size=10)


@given(NATIVE, PYTHON, st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_python_frames_are_all_there_and_native_ones_in_order(
    native_frames: list[StackFrame],
    python_frames: list[PythonFrame],
    unwound: bool,
    glue: bool,
    native_truncated: bool,
    python_truncated: bool,
) -> None:
    merged = merge(
        MergeRequest(
            native=native_frames,
            unwound=unwound,
            python=python_frames,
            loops={LOOP},
            glue=glue,
            native_truncated=native_truncated,
            python_truncated=python_truncated,
        )
    )
    mine = [frame for frame in merged if frame.kind is FrameKind.PYTHON]
    assert mine == [frame for frame in reversed(python_frames) if frame is not None]
    rest = iter(native_frames)
    assert all(frame in rest for frame in merged if frame.kind is not FrameKind.PYTHON), "a subsequence"
    if native_frames and glue and unwound and not python_truncated and mine:
        interrupted = [frame for frame in native_frames if frame.kind is FrameKind.NATIVE][-1:]
        assert not interrupted or interrupted[0] in merged
