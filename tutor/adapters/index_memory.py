"""An index in memory, exact and small: the shipped fake of Chroma for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tutor import chunkbook
from tutor.errors import IndexMismatch
from tutor.ports import Hit, Index
from tutor.types import Chunk, Filter


class MemoryIndex(chunkbook.BookIndex):
    """Exact cosine search over unit vectors."""

    def __init__(self, generation: str, book: chunkbook.ChunkBook, vectors: npt.NDArray[np.float32]) -> None:
        super().__init__(generation, book)
        self._vectors = vectors

    def dense(self, vector: Sequence[float], k: int, where: Filter) -> list[Hit]:
        """See ports.Index."""
        cosines = self._vectors @ np.asarray(vector, dtype=np.float32)
        order = np.argsort(-cosines, kind="stable")
        admitted = [i for i in order if where.admits(self._book.chunks[i])]
        return [(self._book.chunks[i].id, float(np.clip(cosines[i], -1, 1))) for i in admitted[: max(k, 0)]]


class MemoryStore:
    """Generations in a dictionary."""

    def __init__(self) -> None:
        self._generations: dict[str, tuple[tuple[Chunk, ...], npt.NDArray[np.float32]]] = {}

    def write(self, generation: str, chunks: Sequence[Chunk], vectors: npt.NDArray[np.float32]) -> None:
        """See ports.IndexStore."""
        self._generations[generation] = (tuple(chunks), np.asarray(vectors, dtype=np.float32))

    def open(self, generation: str) -> Index:
        """See ports.IndexStore."""
        chunks, vectors = self._generation(generation)
        return MemoryIndex(generation, chunkbook.make(chunks), vectors)

    def vectors(self, generation: str, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """See ports.IndexStore."""
        chunks, vectors = self._generation(generation)
        at = {c.id: i for i, c in enumerate(chunks)}
        return vectors[[at[i] for i in ids]]

    def _generation(self, generation: str) -> tuple[tuple[Chunk, ...], npt.NDArray[np.float32]]:
        if generation not in self._generations:
            raise IndexMismatch("The index is damaged: its data is gone.", "Build it again: tutor ingest --full")
        return self._generations[generation]

    def prune(self, keep: Sequence[str]) -> None:
        """See ports.IndexStore."""
        self._generations = {g: data for g, data in self._generations.items() if g in keep}
