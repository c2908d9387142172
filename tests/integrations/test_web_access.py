"""Who may see profiles through an application, and what its middleware may be told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtrace_profiler.errors import UsageError
from dtrace_profiler.integrations import web_access
from dtrace_profiler.integrations.web_access import COOKIE_NAME, COOKIE_S, KEY_S, Access
from dtrace_profiler.integrations.web_routes import MOST_ROUTES, OTHER, RouteNames, path_shape
from dtrace_profiler.integrations.web_settings import SECRET_VARIABLE, WebSettings, settings_from

SECRET = "0123456789-abcdefghijklm"


@pytest.fixture
def access() -> Access:
    return Access(WebSettings(secret=SECRET))


def cookie_of(access: Access) -> str:
    return access.cookie("/_profile", secure=False).partition(";")[0]


def test_without_a_secret_nothing_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)
    without = WebSettings(always_on=True)
    assert not without.enabled
    assert not without.is_secret("")
    assert not Access(without).has_secret({"x-profile-secret": ""})


def test_the_secret_of_the_environment_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    found = WebSettings()
    assert found.is_secret(SECRET)
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"secret": "short"}, "at least 24 ASCII characters"),
        ({"secret": "é" * 30}, "at least 24 ASCII characters"),
        ({"secret": SECRET, "mount": "/"}, "no path to put pages below"),
        ({"secret": SECRET, "mount": "/a?b"}, "no path to put pages below"),
        ({"secret": SECRET, "max_profiles": 0}, "max_profiles 0 is no number above 0"),
        ({"secret": SECRET, "engine": "perf"}, "engine 'perf' is none"),
    ],
)
def test_what_can_not_be_is_refused_without_the_secret(option: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as refused:
        WebSettings(**option)  # type: ignore[arg-type]
    assert str(option.get("secret")) not in str(refused.value)


def test_settings_of_a_framework_are_named_in_capitals() -> None:
    assert settings_from({"SECRET": SECRET, "MOUNT": "profiles/"}).mount == "/profiles"
    with pytest.raises(UsageError, match="no setting 'SECERT'"):
        settings_from({"SECERT": SECRET})


def test_a_key_opens_for_a_minute_and_is_no_cookie(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    key = access.key()
    assert access.opens(key)
    assert not access.holds_cookie({"cookie": f"{COOKIE_NAME}={key}"})
    assert not Access(WebSettings(secret=SECRET + "x")).opens(key)
    now = web_access.time.time()
    monkeypatch.setattr(web_access.time, "time", lambda: now + KEY_S + 1)
    assert not access.opens(key)


def test_a_cookie_is_known_to_every_process_until_it_ends(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"cookie": f'odd="{{ ; {cookie_of(access)}'}
    assert Access(WebSettings(secret=SECRET)).holds_cookie(headers)
    assert not access.opens(cookie_of(access).partition("=")[2])
    now = web_access.time.time()
    monkeypatch.setattr(web_access.time, "time", lambda: now + COOKIE_S + 1)
    assert not access.holds_cookie(headers)


def test_a_cookie_is_not_for_scripts_nor_other_sites(access: Access) -> None:
    assert access.cookie("/_profile", secure=True).endswith("; HttpOnly; SameSite=Strict; Secure")


@settings(max_examples=40)
@given(text=st.text(max_size=80))
def test_no_text_lets_anybody_in(text: str) -> None:
    access = Access(WebSettings(secret=SECRET))
    assert not access.opens(text)
    assert not access.holds_cookie({"cookie": f"{COOKIE_NAME}={text}"})
    assert access.has_secret({"x-profile-secret": text}) == (text == SECRET)


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"host": "a.example"}, True),
        ({"host": "a.example", "origin": "https://a.example", "sec-fetch-site": "same-origin"}, True),
        ({"host": "a.example", "origin": "https://b.example"}, False),
        ({"host": "a.example", "origin": "null"}, False),
        ({"host": "a.example", "sec-fetch-site": "cross-site"}, False),
        ({"host": "a.example", "sec-fetch-site": "same-site"}, False),
    ],
)
def test_another_sites_page_may_ask_nothing(headers: dict[str, str], ours: bool) -> None:
    assert Access.from_our_page(headers) == ours


def test_a_path_is_told_without_what_looks_like_an_id() -> None:
    assert path_shape("/orders/42/items") == "/orders/*/items"
    assert path_shape("/users/3f2504e0-4f89-11d3-9a0c-0305e82c3301") == "/users/*"
    assert path_shape("/api/v2/report") == "/api/v2/report"


def test_names_of_routes_are_bounded() -> None:
    names = RouteNames()
    assert {names.name(None, "/" + "x" * count) for count in range(30)} != {OTHER}
    for count in range(MOST_ROUTES):
        names.name(f"/{count}", "")
    assert names.name("/one-more", "") == OTHER
    assert names.name("/0", "") == "/0"
