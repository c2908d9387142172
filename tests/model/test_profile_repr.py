"""A profile in a shell or a failed assertion: one line, however large it is."""

from __future__ import annotations

from small_profiles import native, profile_of


def test_a_profile_is_one_short_line() -> None:
    profile = profile_of([(at % 2, [native("f")], 1) for at in range(5_000)])
    assert repr(profile) == "<Profile of '': 5,000 samples of 3 threads in 0.000 s>"
