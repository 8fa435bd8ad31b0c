"""The docs cannot drift from the code, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs import generated
from tutor.settings import PROJECT_ROOT

PAGES = [PROJECT_ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "corpus/README.md")]
PAGES += sorted((PROJECT_ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", list(generated()), ids=lambda p: p.name)
def test_generated_parts_are_what_the_code_says(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == generated()[page], "run: python -m tests.docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(PROJECT_ROOT)))
def test_links_between_pages_lead_to_files(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_architecture_page_names_every_module() -> None:
    text = (PROJECT_ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    modules = [p for room in ("tutor", "ingest", "evals", "ui") for p in (PROJECT_ROOT / room).rglob("*.py")]
    missing = [p.name for p in modules if p.name != "__init__.py" and p.name not in text]
    assert not missing
