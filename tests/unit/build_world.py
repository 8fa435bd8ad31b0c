"""A folder of notes, a store in memory and an embedder that counts: what the tests of building the index share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.build import Kit, Report, build
from tests.hash_kit import (
    as_kept,
    chunks_of,
    kit,
    quiet,
    read,
    vectors_of,
    write_notes,
)
from tutor import manifest as manifests
from tutor.adapters.fake_embed import HashEmbedder
from tutor.adapters.index_memory import MemoryStore
from tutor.errors import IndexMismatch
from tutor.ports import Embedder, Index
from tutor.types import Chunk

TEXTS = {
    "recall": "# Recall\n\nRecall is a share.\n\n## Definition\n\nOf the relevant items, those found.\n",
    "precision": "# Precision\n\nPrecision is another share.\n\n## Definition\n\nOf the found items, those relevant.\n",
    "drift": "# Drift\n\nDrift is a change of the data.\n",
}
CHANGED = {**TEXTS, "recall": TEXTS["recall"].replace("those found", "those retrieved")}


class Recording(MemoryStore):
    """A store that knows which generations were written and are still kept."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, generation: str, chunks: Sequence[Chunk], vectors: npt.NDArray[np.float32]) -> None:
        super().write(generation, chunks, vectors)
        self.written.append(generation)

    @property
    def kept(self) -> list[str]:
        """The generations that have not been pruned."""
        return [name for name in self.written if self._holds(name)]

    def _holds(self, name: str) -> bool:
        try:
            self.open(name)
        except IndexMismatch:
            return False
        return True


@dataclass
class World:
    """A folder of notes, an index folder, and the store and embedder that builds use."""

    folder: Path
    store: Recording = field(default_factory=Recording)
    embedder: HashEmbedder = field(default_factory=HashEmbedder)

    @property
    def index_dir(self) -> Path:
        return self.folder / "index"

    @property
    def notes_dir(self) -> Path:
        return self.folder / "notes"

    def kit(self, **changes: Any) -> Kit:
        return replace(kit(self.index_dir, self.store, lambda: self.embedder), **changes)

    def build(self, texts: dict[str, str], full: bool = False, url: str = "", **changes: Any) -> Report:
        write_notes(self.notes_dir, texts)
        self.index_dir.mkdir(exist_ok=True)
        return build(read(self.notes_dir), [self.notes_dir], self.kit(**changes), quiet, full, url)

    def published(self) -> Index:
        return self.store.open(manifests.read(self.index_dir).generation)

    def contents(self) -> tuple[object, ...]:
        """What a reader finds, whatever its name: notes, chunks and vectors of the published generation."""
        found = manifests.read(self.index_dir)
        chunks = tuple(as_kept(c) for c in self.published().chunks())
        vectors = self.store.vectors(found.generation, [c.id for c in chunks])
        return found.notes, chunks, vectors.tobytes()

    def state(self) -> tuple[object, ...]:
        """All that a reader can see."""
        return manifests.read(self.index_dir), *self.contents()

    def check(self, texts: dict[str, str]) -> None:
        """The published index is exactly that of these texts, however it came to be."""
        write_notes(self.notes_dir, texts)
        notes = read(self.notes_dir)
        expected = chunks_of(notes)
        index = self.published()
        assert [as_kept(c) for c in index.chunks()] == [as_kept(c) for c in expected]
        stored = self.store.vectors(index.generation, [c.id for c in expected])
        assert np.array_equal(stored, vectors_of(expected))
        entries = manifests.read(self.index_dir).notes
        assert {(i, e.path, e.sha256) for i, e in entries.items()} == {(n.id, n.path, n.sha256) for n in notes}
        assert {i: e.chunks for i, e in entries.items()} == {n.id: sum(c.note == n.id for c in expected) for n in notes}


def never() -> Embedder:
    raise AssertionError("the embedder was loaded for nothing")
