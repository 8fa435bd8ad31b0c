"""The chunks of one generation and all that is looked up about them by word or by name, apart from vectors.

Both the Chroma index and the in-memory one rest on this book. On disk it is a folder with ``chunks.jsonl`` and the
BM25 files. Knows no vector and no Chroma.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tutor import lexical
from tutor.types import Chunk, Filter, Topic

TITLE_REPEATS = 2
"""A title's and heading's words count this many times in BM25, as a cheap field weight."""


@dataclass(frozen=True)
class ChunkBook:
    """Chunks in the order of note and offset, with their lexicon."""

    chunks: tuple[Chunk, ...]
    lexicon: lexical.Lexicon
    by_id: dict[str, Chunk]

    def get(self, ids: Sequence[str]) -> list[Chunk]:
        """The chunks with these ids, in the order given. Raises KeyError."""
        return [self.by_id[i] for i in ids]

    def lexical(self, text: str, k: int, where: Filter) -> list[tuple[str, float]]:
        """At most ``k`` admitted chunks with a positive BM25 score, best first, ties by position."""
        scores = self.lexicon.scores(text)
        order = _best_first(scores, k if where == Filter() else len(scores))
        hits: list[tuple[str, float]] = []
        for at in order:
            if scores[at] <= 0 or len(hits) >= k:
                break
            if where.admits(self.chunks[at]):
                hits.append((self.chunks[at].id, float(scores[at])))
        return hits

    def topics(self) -> list[tuple[Topic, tuple[str, ...]]]:
        """Each note as a topic with the names it goes by."""
        found: dict[str, tuple[Topic, tuple[str, ...]]] = {}
        for chunk in self.chunks:
            if chunk.note not in found:
                names = dict.fromkeys(n.lower() for n in (chunk.title, chunk.slug.replace("-", " "), *chunk.aliases))
                found[chunk.note] = (Topic(chunk.note, chunk.slug, chunk.title, chunk.kind), tuple(names))
        return list(found.values())


class BookIndex:
    """The part of ``ports.Index`` that needs no vectors; an index adapter adds ``dense``."""

    def __init__(self, generation: str, book: ChunkBook) -> None:
        self.generation = generation
        self._book = book
        self._topics = book.topics()
        self._vocabulary = tuple(book.lexicon.surface)

    def lexical(self, text: str, k: int, where: Filter) -> list[tuple[str, float]]:
        """See ports.Index."""
        return self._book.lexical(text, k, where)

    def get(self, ids: Sequence[str]) -> list[Chunk]:
        """See ports.Index."""
        return self._book.get(ids)

    def chunks(self) -> Sequence[Chunk]:
        """See ports.Index."""
        return self._book.chunks

    def topics(self) -> Sequence[tuple[Topic, tuple[str, ...]]]:
        """See ports.Index."""
        return self._topics

    def idf(self, word: str) -> float:
        """See ports.Index."""
        return self._book.lexicon.idf(word)

    def knows(self, word: str) -> bool:
        """See ports.Index."""
        return word in self._book.lexicon.surface or lexical.stem(word) in self._book.lexicon.df

    def vocabulary(self) -> Sequence[str]:
        """See ports.Index."""
        return self._vocabulary


def _best_first(scores: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.intp]:
    """Positions of the ``k`` highest scores and of those equal to the last, best first, ties by position."""
    if not 0 < k < len(scores):
        return np.argsort(-scores, kind="stable")[: max(k, 0)]
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    among = np.flatnonzero(scores >= max(least, np.finfo(np.float32).tiny))
    return among[np.argsort(-scores[among], kind="stable")]


def lexical_text(chunk: Chunk) -> str:
    """What BM25 reads of a chunk."""
    head = " ".join([chunk.title, chunk.heading] * TITLE_REPEATS)
    return f"{head} {' '.join(chunk.aliases)} {chunk.text}"


def make(chunks: Sequence[Chunk]) -> ChunkBook:
    """Build the book from chunks."""
    lexicon = lexical.build([lexical_text(c) for c in chunks])
    return ChunkBook(tuple(chunks), lexicon, {c.id: c for c in chunks})


def save(book: ChunkBook, folder: Path) -> None:
    """Write the book into ``folder``, which exists. ``embed_text`` is not kept: only vectors come of it."""
    with (folder / "chunks.jsonl").open("w", encoding="utf-8") as file:
        for chunk in book.chunks:
            file.write(json.dumps(asdict(replace(chunk, embed_text="")), ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    lexical.save(book.lexicon, folder / "bm25")


def load(folder: Path) -> ChunkBook:
    """Read back what ``save`` wrote. A damaged book raises whatever its readers raise: OSError, ValueError, EOFError,
    KeyError, TypeError, AttributeError or RecursionError."""
    chunks = []
    with (folder / "chunks.jsonl").open(encoding="utf-8") as file:
        for line in file:
            data = json.loads(line)
            data["aliases"], data["steps"] = tuple(data["aliases"]), tuple(data["steps"])
            chunks.append(Chunk(**data))
    lexicon = lexical.load(folder / "bm25")
    if lexicon.size != len(chunks):
        raise ValueError(f"{len(chunks)} chunks, but words of {lexicon.size}")
    return ChunkBook(tuple(chunks), lexicon, {c.id: c for c in chunks})
