from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.symbols.frame_text import dtrace_frames, readable


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("JavaThread::run()", "JavaThread::run"),
        ("icinga::Dictionary::Set(icinga::String const&, icinga::Value const&)", "icinga::Dictionary::Set"),
        ("demo::Op::operator()() const", "demo::Op::operator()"),
        ("demo::Op::operator()", "demo::Op::operator()"),
        ("main::{lambda(int)#1}::operator()(int) const", "main::{lambda(int)#1}::operator()"),
        ("(anonymous namespace)::io18::$_16::__invoke()", "(anonymous namespace)::io18::$_16::__invoke"),
        ("v8::(anonymous namespace)", "v8::(anonymous namespace)"),
        ("void os::wrapper(void(*)(JavaValue*,Thread*),Thread*)", "void os::wrapper"),
        ("java_start(Thread*)", "java_start(Thread*)"),
        ("StubRoutines (1)", "StubRoutines (1)"),
        ("Func_loop.func_c()V", "Func_loop.func_c()V"),
        (
            "std::panicking::try::do_call::h08ca64c12e8a9bb0 (.llvm.15516475458848885060)",
            "std::panicking::try::do_call",
        ),
        (
            "core::ops::FnOnce::call_once{{vtable.shim}}::hbfa4fc2e086997af",
            "core::ops::FnOnce::call_once{{vtable.shim}}",
        ),
        (
            "_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..convert..From$LT$$RF$$u27$a$u20$$u5b$T$u5d$$GT$$GT$"
            "::from::hf1c5bb9dd6c517cb",
            "<alloc::vec::Vec<T> as core::convert::From<&'a [T]>>::from",
        ),
        ("rg::search::_$u7b$$u7b$closure$u7d$$u7d$::h6e849b55a66fcd85", "rg::search::{{closure}}"),
        (
            "<tokio::poll_fn::PollFn<F> as Future>::poll::hdb622d175ae42c67",
            "<tokio::poll_fn::PollFn<F> as Future>::poll",
        ),
        ("_platform_memset$VARIANT$Haswell", "_platform_memset$VARIANT$Haswell"),
        ("finish_task_switch.isra.0", "finish_task_switch.isra.0"),
        (")", ")"),
        ("::h0123456789abcdef", "::h0123456789abcdef"),
    ],
)
def test_names_as_a_person_reads_them(name: str, expected: str) -> None:
    assert readable([name], list) == [expected]


@given(st.text(max_size=60))
def test_any_text_is_a_frame_with_a_name(text: str) -> None:
    frames = dtrace_frames(text.strip() or "x", kernel=False)
    assert frames
    names = [frame.function_name for frame in frames]
    assert len(readable(names, list)) == len(names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("libc.so.6`malloc+0x1b", StackFrame("malloc", "libc.so.6", kind=FrameKind.NATIVE)),
        (
            "nt!x`Class::`vector deleting destructor'+0x1",
            StackFrame("Class::`vector deleting destructor'", "nt!x", kind=FrameKind.NATIVE),
        ),
        (
            "node`std::vector<int, a>::x(b, c)+0xd75",
            StackFrame("std::vector<int, a>::x(b, c)", "node", kind=FrameKind.NATIVE),
        ),
        (
            "0x36197f9060bb Stub:CEntryStub",
            StackFrame("Stub:CEntryStub", address=0x36197F9060BB, kind=FrameKind.NATIVE),
        ),
        ("memfd:jit-code`0x7f00", StackFrame("0x7f00", "memfd:jit-code", 0x7F00, kind=FrameKind.NATIVE)),
        ("memfd:jit-code:0x1f", StackFrame("+0x1f", "memfd:jit-code", kind=FrameKind.NATIVE)),
        (
            "a`std::shared_ptr<X>::operator->+0x1",
            StackFrame("std::shared_ptr<X>::operator->", "a", kind=FrameKind.NATIVE),
        ),
    ],
)
def test_frames_of_dtrace(text: str, expected: StackFrame) -> None:
    assert dtrace_frames(text, kernel=False) == [expected]


def test_inlined_java_methods() -> None:
    assert dtrace_frames("test`foo->bar->baz", kernel=False) == [
        StackFrame("foo", "test", kind=FrameKind.NATIVE),
        StackFrame("bar", kind=FrameKind.INLINED),
        StackFrame("baz", kind=FrameKind.INLINED),
    ]
