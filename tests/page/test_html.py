from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

from page_profiles import HOSTILE, empty, hostile, shop

from dtrace_profiler.formats import html
from dtrace_profiler.formats.page_data import page_data
from dtrace_profiler.model.profile import Profile


class Elements(HTMLParser):
    """Attributes and text of every element, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(("", {}, []))

    def handle_data(self, data: str) -> None:
        if self.found:
            self.found[-1][2].append(data)

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, "".join(text)) for name, attributes, text in self.found if name == tag]


def written(profile: Profile, title: str | None = None) -> str:
    file = io.BytesIO()
    html.write(profile, file, title=title)
    return file.getvalue().decode()


def test_the_same_profile_gives_the_same_file() -> None:
    assert written(shop()) == written(shop())


def test_needs_nothing_from_outside() -> None:
    elements = Elements(written(shop()))
    for tag, attributes, _ in elements.found:
        assert "src" not in attributes
        assert tag not in ("iframe", "object", "embed", "img", "base")
        if tag == "link":
            assert str(attributes["href"]).startswith("data:")


def test_the_policy_names_its_own_style_and_script_and_nothing_else() -> None:
    elements = Elements(written(shop()))
    (policy,) = [a["content"] for a, _ in elements.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    (style,) = [text for _, text in elements.all("style")]
    (script,) = [text for attributes, text in elements.all("script") if attributes.get("type") == "module"]

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert policy == (
        f"default-src 'none'; script-src {digest(script)}; style-src {digest(style)}; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def test_data_is_whole_whatever_the_names() -> None:
    for profile in (shop(), empty(), hostile()):
        text = written(profile)
        (data,) = [
            text for attributes, text in Elements(text).all("script") if attributes.get("id") == "profile-data"
        ]
        assert json.loads(data) == page_data(profile)
        assert "<" not in data
        assert data.isascii()


def test_hostile_names_add_no_element() -> None:
    def shape(profile: Profile) -> list[str]:
        return [tag for tag, _, _ in Elements(written(profile)).found]

    assert shape(hostile()) == shape(shop())
    assert re.search(r"<title>&lt;/script&gt;&lt;script&gt;", written(hostile()))


def test_a_title_stands_instead_of_the_target() -> None:
    text = written(shop(), title="Before the & change")
    assert "<title>Before the &amp; change · flame graph</title>" in text
    assert (
        json.loads(re.search(r'id="profile-data">(.*?)</script>', text)[1])["meta"]["title"] == "Before the & change"
    )  # type: ignore[index]


def test_every_hostile_title_can_be_written() -> None:
    for name in HOSTILE:
        assert written(empty(), title=name)
