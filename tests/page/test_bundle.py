from __future__ import annotations

import pytest

from dtrace_profiler.formats import assets


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    files: dict[str, str] = {}
    monkeypatch.setattr(assets, "read_asset", files.__getitem__)
    assets.bundle.cache_clear()
    yield files
    assets.bundle.cache_clear()


def test_each_module_stands_once_before_those_that_import_it(modules: dict[str, str]) -> None:
    modules["page.js"] = 'import { a } from "./a.js";\nimport { b, c } from "./b.js";\na(b, c);\n'
    modules["a.js"] = 'import { b } from "./b.js";\nexport function a() {}\n'
    modules["b.js"] = (
        "// Why.\nexport const b = 1;\n/** About c.\n * @type {number} */\nexport const c = 2; // kept\n"
    )
    assert assets.bundle("page.js") == "const b = 1;\nconst c = 2; // kept\nfunction a() {}\na(b, c);\n"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ('import a from "./a.js";', "can't be bundled"),
        ('import { a as b } from "./a.js";', "can't be bundled"),
        ('import "./a.js";', "can't be bundled"),
        ("export default 1;", "can't be bundled"),
        ('export { a } from "./a.js";', "can't be bundled"),
        ("const text = `two", "template string"),
        ('import { a } from "./page.js";', "import each other"),
        ('import { a } from "./a.js";\nconst a = 2;', "declared in a.js and in page.js"),
    ],
)
def test_what_would_not_work_in_one_scope_is_refused(modules: dict[str, str], source: str, complaint: str) -> None:
    modules["a.js"] = "export const a = 1;\n"
    modules["page.js"] = source + "\n"
    with pytest.raises(ValueError, match=complaint):
        assets.bundle("page.js")


def test_the_page_is_small() -> None:
    size = len(assets.bundle("page.js")) + len(assets.read_asset("page.css")) + len(assets.read_asset("page.html"))
    assert 10_000 < size < 150_000
    assert "import " not in assets.bundle("page.js").replace("/** @type {import(", "")
