"""Which changes make `tutor ingest --watch` ingest again."""

from __future__ import annotations

from pathlib import Path

import pytest
from watchfiles import Change

from ui.cli_ingest import outside


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("/notes/a.md", True),
        ("/notes/deep/er/a.pdf", True),
        ("/notes/.tutor/index/manifest.json", False),
        ("/notes/.tutor", False),
        ("/notes/.tutor-notes/a.md", True),
        ("/notes/.git/index", False),
        ("/notes/a.md.swp", False),
    ],
)
def test_what_an_ingest_writes_itself_is_no_change(path: str, counts: bool) -> None:
    """Else a home among the notes would have it ingest for ever."""
    changed = outside(Path("/notes/.tutor"))
    assert all(changed(change, path) is counts for change in Change)
