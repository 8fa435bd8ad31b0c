"""Ingest's embedding rate against the library's own, and what a second ingest costs."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.corpus import indexed, settings
from benchmarks.result import Result, interleaved, seconds
from ingest.build import _vectors
from ingest.chunk import chunk_note
from ingest.notes import read_notes
from ingest.run import ingest, kit
from tutor import catalogue, models, wiring
from tutor.adapters import embed
from tutor.settings import PROJECT_ROOT


def measure(folder: Path) -> list[Result]:
    """Rate on the chunks of our corpus; a no-op ingest in seconds; notes embedded after one note changed."""
    home = indexed(folder)
    made = settings(folder)
    corpus = folder / "corpus"
    shutil.copytree(PROJECT_ROOT / "corpus", corpus)
    run = partial(ingest, (corpus,), made, lambda *_: None)
    run()
    nothing = min(seconds(run) for _ in range(3))
    note = corpus / "concepts" / "calibration.md"
    note.write_text(note.read_text(encoding="utf-8") + "\nCalibration is worth one more sentence.\n", encoding="utf-8")
    report = run().report
    expected = sum(c.note == "concepts/calibration" for c in wiring.index_store(made).open(report.generation).chunks())
    assert home == made.home
    return [
        _rate(corpus, folder),
        Result("re-ingest with nothing changed, own time in seconds", nothing, 1.5, True, ""),
        Result(
            "chunks embedded after one note changed / chunks of that note",
            report.embedded / expected,
            1.0,
            True,
            f"{report.embedded} / {expected}",
        ),
    ]


def _rate(corpus: Path, folder: Path) -> Result:
    made = settings(folder)
    parts = kit(made)
    notes, _ = read_notes((corpus,), made, folder / "extracted")
    chunks = [chunk for note in notes for chunk in chunk_note(note, parts.count)[0]]
    embedder = wiring.document_embedder(made)
    given = parts.__class__(**{**{f: getattr(parts, f) for f in parts.__slots__}, "embedder": lambda: embedder})
    model = embed.load(models.locate_verified(catalogue.DEFAULT_EMBEDDER, made), made.cpu_threads)
    texts = [chunk.embed_text for chunk in chunks]

    def ours() -> float:
        return seconds(lambda: _vectors(chunks, set(), given, None, lambda *_: None))

    def raw() -> float:
        return seconds(lambda: np.asarray(model.encode(texts, normalize_embeddings=True, show_progress_bar=False)))

    mine, theirs = interleaved(ours, raw, 3)
    detail = f"{len(chunks) / mine:.1f} / {len(chunks) / theirs:.1f} chunks a second"
    return Result("ingest's embedding rate / SentenceTransformer.encode's", theirs / mine, 0.85, False, detail)
