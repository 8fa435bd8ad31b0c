"""The doors to the outside: embedder, generator, index and its store, grounding checker.

Embedder is langchain_core's ``Embeddings`` and Generator its ``BaseChatModel``, so that any LangChain model fits.
Only ``adapters/`` implements these; nothing here imports an adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from langchain_core.embeddings import Embeddings

from tutor.types import Check, Chunk, Filter, Topic

if TYPE_CHECKING:  # these cost start-up time, and only type checkers need the names
    import numpy as np
    import numpy.typing as npt
    from langchain_core.language_models import BaseChatModel

    Generator: TypeAlias = BaseChatModel

Embedder: TypeAlias = Embeddings

Hit: TypeAlias = tuple[str, float]
"""A chunk id and its score, higher is better."""


class Index(Protocol):
    """A published generation of the index, read-only. Implementations are safe to call from several threads."""

    @property
    def generation(self) -> str:
        """Name of the published generation being read."""
        ...

    def dense(self, vector: Sequence[float], k: int, where: Filter) -> list[Hit]:
        """The ``k`` nearest chunks that the filter admits, by cosine similarity in [-1, 1], best first."""
        ...

    def lexical(self, text: str, k: int, where: Filter) -> list[Hit]:
        """At most ``k`` admitted chunks with a positive BM25 score, best first."""
        ...

    def get(self, ids: Sequence[str]) -> list[Chunk]:
        """The chunks with these ids, in the order given. Raises KeyError for an id that is not there."""
        ...

    def chunks(self) -> Sequence[Chunk]:
        """All chunks, ordered by note and offset."""
        ...

    def topics(self) -> Sequence[tuple[Topic, tuple[str, ...]]]:
        """Each note as a topic, with every name it goes by (title, slug words, aliases), lower-cased."""
        ...

    def idf(self, word: str) -> float:
        """Inverse document frequency of a word over the chunks, in nats; the maximum for a word never seen."""
        ...

    def knows(self, word: str) -> bool:
        """True when the word (lower case), or another form of it, occurs in the notes."""
        ...

    def vocabulary(self) -> Sequence[str]:
        """Every surface word of the chunks, titles and aliases, lower-cased."""
        ...


class IndexStore(Protocol):
    """Where generations of the index are kept. A generation is written once and never changed."""

    def write(self, generation: str, chunks: Sequence[Chunk], vectors: npt.NDArray[np.float32]) -> None:
        """Store a new generation; ``vectors`` has shape (len(chunks), dims). Raises StorageError, IndexUnreachable."""
        ...

    def open(self, generation: str) -> Index:
        """Open a generation for reading. Raises IndexMismatch when its data is gone, IndexUnreachable."""
        ...

    def vectors(self, generation: str, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """The stored vectors of these chunks, shape (len(ids), dims). Raises KeyError for an unknown id."""
        ...

    def prune(self, keep: Sequence[str]) -> None:
        """Remove every generation but these, the half-written too. Never raises for what cannot be removed."""
        ...


class GroundingChecker(Protocol):
    """Judges whether evidence supports a claim."""

    def check(self, claim: str, evidence: Sequence[str]) -> Check:
        """Judge one claim against evidence sentences. An empty evidence list supports nothing."""
        ...
