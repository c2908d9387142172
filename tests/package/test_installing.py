"""What the installing pages, the workflow and the scripts promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dtrace_profiler.platforms.systems import SYSTEMS

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"


def anchors(page: Path) -> set[str]:
    """Of its headings, as public hosts make them."""
    headings = re.findall(r"^#+ +(.*?) *$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_page_and_anchor_that_doctor_names_is_there() -> None:
    named: set[tuple[str, str]] = set()
    for path in (ROOT / "src/dtrace_profiler/doctor").glob("*.py"):
        text = path.read_text()
        system = path.name.removesuffix("_checks.py")
        if system in SYSTEMS:
            named |= {(SYSTEMS[system].page, anchor) for anchor in re.findall(r"\{_PAGE\}#([\w-]+)", text)}  # type: ignore[index]
        named |= set(re.findall(r"\"([\w/]+\.md)(?:#([\w-]+))?\"", text))
    assert len(named) > 15
    missing = [(page, anchor) for page, anchor in named if anchor and anchor not in anchors(ROOT / "docs" / page)]
    assert missing == []


@pytest.mark.parametrize("facts", SYSTEMS.values(), ids=SYSTEMS)
def test_each_system_has_its_page(facts: object) -> None:
    page = ROOT / "docs" / facts.page  # type: ignore[attr-defined]
    assert "Uninstall" in page.read_text()
    assert f"({page.name})" in (ROOT / "docs/install/README.md").read_text()


def test_links_between_pages_lead_to_headings() -> None:
    bad = []
    for page in (ROOT / "docs").rglob("*.md"):
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text()):
            if "://" not in target and anchor not in anchors(page.parent / target if target else page):
                bad.append((page.name, target, anchor))
    assert bad == []


@pytest.mark.skipif(not WORKFLOW.exists(), reason="an sdist has no workflows")
def test_the_workflow_names_what_there_is() -> None:
    text = WORKFLOW.read_text()
    markers = set(re.findall(r"^  \"(\w+):", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    assert set(re.findall(r"not (\w+)", " ".join(re.findall(r'-m "([^"]+)"', text)))) <= markers
    assert (ROOT / ".ci" / "run").exists()
    assert "\t" not in text
    pins = re.findall(r"uses: (actions/\S+)@(\S+)", text)
    assert pins
    assert all(re.fullmatch(r"[0-9a-f]{40}", pin) for _, pin in pins), "a tag can be moved"
    versions = re.findall(r"Python :: (3\.\d+)\"", (ROOT / "pyproject.toml").read_text())
    assert re.search(r"python: (\[.*\])", text)[1] == str(versions).replace("'", '"')  # type: ignore[index]
