"""The index in Chroma: embedded, one folder per generation, or on a Chroma server, one collection per generation.

A generation is never changed after it is written. Embedded, each has a Chroma database of its own: a PersistentClient
goes stale when another process writes to the same database, and so none ever does. Beside the vectors lies the book
of chunks with the BM25 files. The only module that imports chromadb.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from tutor import chunkbook
from tutor.errors import IndexMismatch, IndexUnreachable, StorageError, storage_error
from tutor.ports import Hit, Index
from tutor.types import STEPS, Chunk, Filter

PREFIX = "notes-"
_REBUILD = "Build it again: tutor ingest --full"


class ChromaIndex(chunkbook.BookIndex):
    """One open generation. Chroma's clients may be used from several threads."""

    def __init__(self, generation: str, book: chunkbook.ChunkBook, client: Any, collection: Any) -> None:
        super().__init__(generation, book)
        self._client = client
        self._collection = collection

    def dense(self, vector: Sequence[float], k: int, where: Filter) -> list[Hit]:
        """See ports.Index."""
        with _translated():
            found = self._collection.query(
                query_embeddings=[list(vector)],
                n_results=min(k, len(self._book.chunks)),
                where=_where(where),
                include=["distances"],
            )
        # cosine distance is 1 - cosine
        pairs = zip(found["ids"][0], found["distances"][0], strict=True)
        return [(chunk_id, 1.0 - float(distance)) for chunk_id, distance in pairs]

    def close(self) -> None:
        """Let go of the database files."""
        self._client.close()


class ChromaStore:
    """Generations under ``folder``; with ``url`` their vectors live on that server instead."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self._folder = folder
        self._url = url

    def write(self, generation: str, chunks: Sequence[Chunk], vectors: npt.NDArray[np.float32]) -> None:
        """See ports.IndexStore."""
        folder = self._folder / generation
        try:
            folder.mkdir(parents=True)
            chunkbook.save(chunkbook.make(chunks), folder)
            self._write_vectors(generation, chunks, vectors)
        except OSError as error:
            raise storage_error(error, "writing the index", folder) from error

    def _write_vectors(self, generation: str, chunks: Sequence[Chunk], vectors: npt.NDArray[np.float32]) -> None:
        client = self._client(generation)
        try:
            with _translated():
                collection = client.create_collection(
                    PREFIX + generation, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
                )
                size = min(1000, client.get_max_batch_size())
                for start in range(0, len(chunks), size):
                    batch = chunks[start : start + size]
                    collection.upsert(
                        ids=[c.id for c in batch],
                        embeddings=vectors[start : start + size],
                        documents=[c.text for c in batch],
                        metadatas=[_metadata(c) for c in batch],
                    )
        finally:
            client.close()

    def open(self, generation: str) -> Index:
        """See ports.IndexStore."""
        folder = self._folder / generation
        try:
            book = chunkbook.load(folder)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IndexMismatch(f"The index is damaged: {error}", _REBUILD) from error
        client = self._client(generation)
        collection = self._collection(client, generation)
        with _translated():
            count = collection.count()
        if count != len(book.chunks):
            client.close()
            raise IndexMismatch(f"The index is damaged: {count} vectors for {len(book.chunks)} chunks.", _REBUILD)
        return ChromaIndex(generation, book, client, collection)

    def vectors(self, generation: str, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """See ports.IndexStore."""
        client = self._client(generation)
        try:
            collection = self._collection(client, generation)
            found: dict[str, Any] = {}
            for start in range(0, len(ids), 1000):
                with _translated():
                    got = collection.get(ids=list(ids[start : start + 1000]), include=["embeddings"])
                found.update(zip(got["ids"], got["embeddings"], strict=True))
        finally:
            client.close()
        return np.asarray([found[i] for i in ids], dtype=np.float32)

    def prune(self, keep: Sequence[str]) -> None:
        """See ports.IndexStore."""
        for folder in self._folder.glob("gen-*"):
            if folder.name in keep:
                continue
            shutil.rmtree(folder, ignore_errors=True)
            if self._url:
                self._drop_remote(folder.name)

    def _drop_remote(self, generation: str) -> None:
        try:
            client = self._client(generation)
            client.delete_collection(PREFIX + generation)
        except Exception:  # noqa: BLE001 - tidying up must never fail an ingest that has succeeded
            return

    def _client(self, generation: str) -> Any:
        import chromadb
        from chromadb.config import Settings

        settings = Settings(anonymized_telemetry=False)
        if not self._url:
            with _translated():
                return chromadb.PersistentClient(str(self._folder / generation / "chroma"), settings=settings)
        parts = urlsplit(self._url if "://" in self._url else f"http://{self._url}")
        with _translated(self._url):
            return chromadb.HttpClient(
                host=parts.hostname or "localhost",
                port=parts.port or (443 if parts.scheme == "https" else 8000),
                ssl=parts.scheme == "https",
                settings=settings,
            )

    def _collection(self, client: Any, generation: str) -> Any:
        from chromadb.errors import NotFoundError

        try:
            with _translated(self._url):
                collection = client.get_collection(PREFIX + generation, embedding_function=None)
        except NotFoundError:
            client.close()
            raise IndexMismatch("The index is damaged: its vectors are gone.", _REBUILD) from None
        space = collection.configuration.get("hnsw", {}).get("space")
        if space != "cosine":
            raise IndexMismatch(f"The index uses {space} distance, this program uses cosine.", _REBUILD)
        return collection


def _metadata(chunk: Chunk) -> dict[str, str | int | bool]:
    # one flag per step: Chroma's filters compare scalars
    flags = {f"step:{step}": True for step in chunk.steps if step in STEPS}
    return {
        "note": chunk.note,
        "slug": chunk.slug,
        "kind": chunk.kind,
        "title": chunk.title,
        "heading": chunk.heading,
        "path": chunk.path,
        "start": chunk.start,
        "end": chunk.end,
        **flags,
    }


def _where(where: Filter) -> dict[str, Any] | None:
    terms: list[dict[str, Any]] = []
    if where.case is not None:
        terms += [{"kind": "case-study"}, {"slug": where.case}]
    if where.note is not None:
        terms.append({"note": where.note})
    if where.step is not None:
        terms.append({f"step:{where.step}": True})
    if not terms:
        return None
    return terms[0] if len(terms) == 1 else {"$and": terms}


@contextmanager
def _translated(url: str = "") -> Iterator[None]:
    """Chroma's and its HTTP client's failures as errors of ours."""
    import httpx
    from chromadb.errors import ChromaError, NotFoundError

    try:
        yield
    except NotFoundError:
        raise
    except (httpx.HTTPError, ConnectionError) as error:
        raise _unreachable(url, error) from error
    except ValueError as error:  # what HttpClient raises when it cannot connect
        if url:
            raise _unreachable(url, error) from error
        raise
    except ChromaError as error:
        if "disk" in str(error).lower() or "readonly" in str(error).lower():
            raise StorageError(
                f"Chroma cannot write the index: {error}", "Free some space, or choose another folder with TUTOR_HOME."
            ) from error
        raise IndexMismatch(f"Chroma cannot read the index: {error}", _REBUILD) from error


def _unreachable(url: str, error: Exception) -> IndexUnreachable:
    return IndexUnreachable(
        f"The Chroma server {url} does not answer: {error}",
        "Start it (chroma run), or unset TUTOR_CHROMA_URL to use the embedded Chroma.",
    )
