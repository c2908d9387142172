"""The self-test's verdicts, on profiles whose truth is known, and what its report must not tell."""

from __future__ import annotations

import getpass
import json
import platform
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.doctor import fixes
from dtrace_profiler.doctor.checks import Check
from dtrace_profiler.doctor.selftest import FREQUENCY_HZ, Trial, judge, report, selftest, ways, without_personal
from dtrace_profiler.doctor.truth_program import Truth, burn
from dtrace_profiler.errors import EngineError
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile

pytestmark = pytest.mark.posix

HOMES = "/home"
TRUTH = Truth({"burn_most": 3.0, "burn_some": 1.0}, 10**18, 10**18 + 5 * 10**9)


def profile(most: int, some: int, nameless: int = 0, before: int = 0) -> Profile:
    def frame(name: str) -> StackFrame:
        return StackFrame(name, "", 0, kind=FrameKind.PYTHON if name else FrameKind.NATIVE)

    builder = ProfileBuilder()
    thread = builder.add_thread(1, 1)

    def add(timestamp_ns: int, name: str) -> None:
        builder.add_sample(timestamp_ns, thread, builder.add_stack((frame("main"), frame(name))))

    for name, count in (("burn_most", most), ("burn_some", some), ("", nameless)):
        for index in range(count):
            add(TRUTH.from_ns + index, name)
    for index in range(before):
        add(TRUTH.from_ns - 1 - index, "burn_some")
    return builder.snapshot(Meta(engine="dtrace", frequency_hz=FREQUENCY_HZ))


DUE = 4 * FREQUENCY_HZ


@pytest.mark.parametrize(
    ("given_profile", "python", "ok", "text"),
    [
        (profile(DUE * 3 // 4, DUE // 4), True, True, "75.0% ± 1.5% found, 75.0% true"),
        (profile(DUE * 3 // 4, DUE // 4, before=DUE), True, True, "75.0%"),
        (profile(DUE // 2, DUE // 2), True, False, "50.0%"),
        (profile(DUE // 4, DUE // 4), True, False, "samples where"),
        (profile(0, 0), True, False, "no sample"),
        (profile(DUE // 2, DUE // 4, DUE // 4), True, False, "only 75% of the samples"),
        (profile(0, 0, DUE), False, True, "no Python frames are read this way"),
    ],
)
def test_verdicts(given_profile: Profile, python: bool, ok: bool, text: str) -> None:
    trial = judge("a way", given_profile, TRUTH, python=python)
    assert (trial.ok, text in trial.text) == (ok, True), trial.text


def test_a_program_that_failed() -> None:
    assert not judge("a way", profile(5, 5), Truth({}, 0, 0), python=True).ok


def test_it_burns_what_it_says() -> None:
    truth = burn(0.2)
    assert sum(truth.spent.values()) == pytest.approx(0.2, abs=0.1)
    assert truth.spent["burn_most"] / sum(truth.spent.values()) == pytest.approx(0.75, abs=0.1)
    assert truth.from_ns < truth.until_ns


def test_ways_of_each_system() -> None:
    assert len(ways("linux", True)) == 3
    assert len(ways("macos", True)) == 2
    assert [name for name, _ in ways("windows", False)] == ["embedded sampler"]


@pytest.mark.alone
def test_the_sampler_tells_the_truth() -> None:
    (trial,) = selftest("linux", dtrace_usable=False, seconds=1.0)
    assert trial.ok, trial


def test_a_report_is_json_without_names() -> None:
    home = str(Path.home())
    text = report(
        [Check("dtrace", True, f"{home}/bin/dtrace and {HOMES}/somebody/x and C:\\Users\\somebody\\y")],
        [Trial(way="w", ok=True, text=f"on {platform.node()}")],
    )
    found = json.loads(text)
    assert found["checks"][0]["text"] == f"~/bin/dtrace and {HOMES}/USER/x and C:\\Users\\USER\\y"
    assert found["trials"][0]["ok"] is True
    if len(platform.node()) > 2:
        assert platform.node() not in found["trials"][0]["text"]


@given(st.text(max_size=50), st.sampled_from(["/home/", "/Users/", "C:\\Users\\"]), st.text(max_size=20))
def test_no_folder_of_a_user_is_left(before: str, folder: str, after: str) -> None:
    assert "anna-b" not in without_personal(f"{before}{folder}anna-b/{after}")


def test_the_users_name_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "annabel")
    assert without_personal("sudo refuses annabel") == "sudo refuses USER"


def check(*command: str) -> Check:
    return Check("thing", False, "not there", fix=command)


def test_mending(tmp_path: Path) -> None:
    elevate = lambda **_: []  # noqa: E731
    fixes.mend(check("touch", str(tmp_path / "done")), elevate=elevate)
    assert (tmp_path / "done").exists()
    with pytest.raises(EngineError, match=r"did not mend thing: .*no-such-folder"):
        fixes.mend(check("ls", "no-such-folder"), elevate=elevate)
    with pytest.raises(EngineError, match="did not mend"):
        fixes.mend(check("there-is-no-such-command"), elevate=elevate)


def test_only_what_is_wrong_is_mended() -> None:
    wrong = check("x")
    assert fixes.mendable([wrong, Check("a", True, "", fix=("x",)), Check("b", False, "")]) == [wrong]
