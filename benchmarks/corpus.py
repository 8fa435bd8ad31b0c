"""The index of our corpus that the measurements share, built once per run."""

from __future__ import annotations

from pathlib import Path

from ingest.run import ingest
from tutor.settings import PROJECT_ROOT, Settings


def settings(folder: Path) -> Settings:
    """Settings with a home of the benchmark's own."""
    return Settings(home=folder / "home")


def indexed(folder: Path) -> Path:
    """The home folder with our corpus indexed."""
    made = settings(folder)
    if not (made.index_dir / "manifest.json").exists():
        ingest((PROJECT_ROOT / "corpus",), made, lambda *_: None)
    return made.home
