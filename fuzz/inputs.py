"""Any bytes, and valid inputs with some places changed, as a Hypothesis strategy: so what fails is made small."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hypothesis import strategies as st

_NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 4095, 65535, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32,
            1 << 40, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
_TEXTS = (b"-1", b"0", b"1e999", b"NaN", b"1.5", b"9" * 19, b"9" * 40, b"0x", b"null", b"true", b"{}", b"[]", b'""',
          b"\\ud800", b"\xff", b"\0", b"\r\n", b"\n\n", b"\n", b" ", b"  ", b";", b":", b"`", b"0x1f", b"\t",
          b"[" * 2000,
          b'{"a":' * 2000, b"#", b"# ", b"(", b")", b"\x80" * 12, b"\x1f\x8b")  # fmt: skip
_WHAT = ("byte", "number", "text", "digits", "cut", "double", "many", "splice", "end", "line")


@st.composite
def inputs(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Up to eight changes of one of the seeds; without seeds, or one time in twelve, any bytes."""
    if not seeds or draw(st.integers(0, 11)) == 11:
        return draw(st.binary(max_size=400))
    data = bytearray(draw(st.sampled_from(seeds)))
    for what in draw(st.lists(st.sampled_from(_WHAT), max_size=8)):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        _change(draw, data, what, at, seeds)
    return bytes(data)


def _change(draw: st.DrawFn, data: bytearray, what: str, at: int, seeds: Sequence[bytes]) -> None:
    length = draw(st.integers(1, 64))
    if what == "byte" and data:
        data[at] = draw(st.integers(0, 255))
    elif what == "number":
        size, number = draw(st.sampled_from((1, 2, 4, 8))), draw(st.sampled_from(_NUMBERS))
        data[at : at + size] = struct.pack("<Q", number)[:size]
    elif what == "text":
        data[at:at] = draw(st.sampled_from(_TEXTS))
    elif what == "digits":
        # The next number of a text: what stands for it may be longer.
        while at < len(data) and not 48 <= data[at] <= 57:
            at += 1
        end = at
        while end < len(data) and 48 <= data[end] <= 57:
            end += 1
        data[at:end] = draw(st.sampled_from(_TEXTS))
    elif what == "cut":
        del data[at : at + length]
    elif what == "double":
        data[at:at] = data[at : at + length]
    elif what == "many":
        data[at:at] = data[at : at + length] * draw(st.integers(2, 200))
    elif what == "splice":
        other = draw(st.sampled_from(seeds))
        begin = draw(st.integers(0, max(0, len(other) - 1)))
        data[at:at] = other[begin : begin + 8 * length]
    elif what == "end":
        del data[at:]
    elif what == "line":
        begin, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at) + 1 or len(data)
        line = data[begin:end]
        to = draw(st.integers(0, max(0, len(data) - 1)))
        del data[begin:end]
        data[to:to] = line
