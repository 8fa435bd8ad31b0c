"""A session at the terminal, word for word. A change in it is a change that readers see.

When the change is meant: ``python -m tests.golden.regenerate``, read the difference, commit it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import RealIndex
from tests.golden.transcript import GOLDEN, SESSION, transcript

pytestmark = pytest.mark.models


def test_the_session_reads_as_it_did(real_index: RealIndex, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "encoders").symlink_to(real_index.home / "encoders")  # the same model: exporting it again takes seconds
    expected = GOLDEN.read_text(encoding="utf-8")
    assert all(f"$ tutor {line}" in expected for line in SESSION), "regenerate it: python -m tests.golden.regenerate"
    assert transcript(home) == expected
