"""The ingest command without its screen: read notes, plan, build, publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ingest.build import Kit, Progress, Report, build, lock, previous
from ingest.notes import read_notes
from ingest.plan import Plan, make_plan
from tutor import wiring
from tutor.errors import NoteProblem, NotesError
from tutor.settings import Settings
from tutor.types import Note


@dataclass(frozen=True, slots=True)
class Outcome:
    """A report, and the notes that were passed over with ``skip_bad``."""

    report: Report
    skipped: tuple[NoteProblem, ...] = ()


def kit(settings: Settings) -> Kit:
    """The real store, embedder and encoder of these settings."""
    return Kit(
        index_dir=settings.index_dir,
        store=wiring.index_store(settings),
        fingerprint=wiring.fingerprint(),
        count=wiring.counter(settings),
        embedder=partial(wiring.document_embedder, settings),
        export=partial(wiring.export_encoder, settings),
    )


def ingest(
    roots: Sequence[Path], settings: Settings, progress: Progress, full: bool = False, skip_bad: bool = False
) -> Outcome:
    """Bring the index up to the notes under ``roots``. Raises NotesError unless ``skip_bad``, and IndexBusy."""
    with lock(settings.index_dir):
        notes, problems = _read(roots, settings, skip_bad)
        report = build(notes, roots, kit(settings), progress, full, settings.chroma_url)
    return Outcome(report, problems)


def dry_run(
    roots: Sequence[Path], settings: Settings, full: bool = False, skip_bad: bool = False
) -> tuple[Plan, str, tuple[NoteProblem, ...]]:
    """What ``ingest`` would do: the plan, why all notes would be embedded (or ""), and the notes passed over."""
    notes, problems = _read(roots, settings, skip_bad)
    old, reason = previous(settings.index_dir, wiring.fingerprint(), full)
    return make_plan(notes, old.notes if old else {}), reason, problems


def _read(roots: Sequence[Path], settings: Settings, skip_bad: bool) -> tuple[list[Note], tuple[NoteProblem, ...]]:
    notes, problems = read_notes(roots, settings, settings.home / "extracted")
    if problems and not skip_bad:
        raise NotesError(problems)
    return notes, tuple(problems)
