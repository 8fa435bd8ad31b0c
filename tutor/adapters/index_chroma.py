"""The index in Chroma: embedded, one folder per generation, or on a Chroma server, one collection per generation.

A generation is never changed after it is written. Embedded, each has a Chroma database of its own: a PersistentClient
goes stale when another process writes to the same database, and so none ever does. Beside the vectors lies the book
of chunks with the BM25 files. The only module that imports chromadb.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from tutor import chunkbook
from tutor.errors import (
    IndexMismatch,
    IndexUnreachable,
    SettingsError,
    StorageError,
    TutorError,
    storage_error,
)
from tutor.ports import Hit, Index
from tutor.types import STEPS, Chunk, Filter

PREFIX = "notes-"
SIZES = "sizes.json"
"""The file of a generation that is written last: the sizes of the files that Chroma maps into memory unchecked."""

_REBUILD = "Build it again: tutor ingest --full"
_clients = threading.RLock()  # Chroma shares one database per folder and counts its clients without a lock of its own


class ChromaIndex(chunkbook.BookIndex):
    """One open generation. Chroma's clients may be used from several threads; the database is let go of with the last
    reference, since a question may still be at work over a generation that has been replaced."""

    def __init__(self, generation: str, book: chunkbook.ChunkBook, client: Any, collection: Any, url: str = "") -> None:
        super().__init__(generation, book)
        self._collection = collection
        self._url = url
        weakref.finalize(self, _close, client).atexit = False

    def dense(self, vector: Sequence[float], k: int, where: Filter) -> list[Hit]:
        """See ports.Index."""
        k = min(k, len(self._book.chunks))
        if k < 1:
            return []
        with _translated(self._url):
            found = self._collection.query(
                query_embeddings=[np.asarray(vector, dtype=np.float32)],
                n_results=k,
                where=_where(where),
                include=["distances"],
            )
        # cosine distance is 1 - cosine, a little below 0 at times for rounding
        pairs = zip(found["ids"][0], found["distances"][0], strict=True)
        return [(chunk_id, max(-1.0, min(1.0, 1.0 - float(distance)))) for chunk_id, distance in pairs]


class ChromaStore:
    """Generations under ``folder``; with ``url`` their vectors live on that server instead, which has ``patience_s``
    seconds to answer when it is first called."""

    def __init__(self, folder: Path, url: str = "", patience_s: float = 5.0) -> None:
        self._folder = folder
        self._url = url
        self._patience_s = patience_s

    def write(self, generation: str, chunks: Sequence[Chunk], vectors: npt.NDArray[np.float32]) -> None:
        """See ports.IndexStore."""
        folder = self._folder / generation
        try:
            folder.mkdir(parents=True)
            chunkbook.save(chunkbook.make(chunks), folder)
            self._write_vectors(generation, chunks, vectors)
            _seal(folder)
        except OSError as error:
            raise storage_error(error, "writing the index", folder) from error

    def _write_vectors(self, generation: str, chunks: Sequence[Chunk], vectors: npt.NDArray[np.float32]) -> None:
        client = self._client(generation)
        try:
            with _translated(self._url):
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
            _close(client)

    def open(self, generation: str) -> Index:
        """See ports.IndexStore."""
        folder = self._folder / generation
        try:
            book = chunkbook.load(folder)
            _check_seal(folder)
        except Exception as error:  # whatever the readers of damaged files raise
            raise IndexMismatch(f"The index is damaged: {error}", _REBUILD) from error
        client = self._client(generation)
        try:
            collection = self._collection(client, generation)
            with _translated(self._url):
                count = collection.count()
            if count != len(book.chunks):
                raise IndexMismatch(f"The index is damaged: {count} vectors for {len(book.chunks)} chunks.", _REBUILD)
        except BaseException:
            _close(client)
            raise
        return ChromaIndex(generation, book, client, collection, self._url)

    def vectors(self, generation: str, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """See ports.IndexStore."""
        client = self._client(generation)
        try:
            collection = self._collection(client, generation)
            found: dict[str, Any] = {}
            asked = list(dict.fromkeys(ids))  # Chroma refuses an id that is given twice
            for start in range(0, len(asked), 1000):
                with _translated(self._url):
                    got = collection.get(ids=asked[start : start + 1000], include=["embeddings"])
                found.update(zip(got["ids"], got["embeddings"], strict=True))
        finally:
            _close(client)
        return np.asarray([found[i] for i in ids], dtype=np.float32)

    def prune(self, keep: Sequence[str]) -> None:
        """See ports.IndexStore."""
        rubbish = [folder for folder in self._folder.glob("gen-*") if folder.name not in keep]
        if rubbish and self._url:
            rubbish = self._dropped(rubbish)
        for folder in rubbish:
            shutil.rmtree(folder, ignore_errors=True)

    def _dropped(self, rubbish: Sequence[Path]) -> list[Path]:
        """Drops the collections of these generations, and names those whose folders may go too: a folder that stays is
        what the next prune knows a collection by."""
        gone: list[Path] = []
        try:
            client = self._client("")
        except TutorError:
            return gone
        from chromadb.errors import NotFoundError

        try:
            for folder in rubbish:
                with suppress(NotFoundError):
                    client.delete_collection(PREFIX + folder.name)
                gone.append(folder)
        except Exception:  # noqa: BLE001 - tidying up must never fail an ingest that has succeeded
            return gone
        finally:
            _close(client)
        return gone

    def _client(self, generation: str) -> Any:
        chromadb = _chromadb()
        import httpx
        from chromadb.config import Settings

        if not self._url:
            with _clients, _translated():
                # made without a look at the environment and the .env of the working folder, which are not about us
                settings = Settings.model_construct(anonymized_telemetry=False)
                return chromadb.PersistentClient(str(self._folder / generation / "chroma"), settings=settings)
        parts = urlsplit(self._url if "://" in self._url else f"http://{self._url}")
        with _translated(self._url):
            secure, host = parts.scheme == "https", parts.hostname or "localhost"
            port = parts.port or (443 if secure else 8000)
            # Chroma's own client waits for ever on a server that accepts and says nothing
            address = f"{'https' if secure else 'http'}://{host}:{port}/api/v2/heartbeat"
            answer = httpx.get(address, timeout=self._patience_s)
            if "heartbeat" not in answer.text:
                raise ConnectionError(f"it is no Chroma server (status {answer.status_code})")
            # how to log in may be in the environment
            settings = Settings(anonymized_telemetry=False, _env_file=None)  # type: ignore[call-arg]
            return chromadb.HttpClient(host=host, port=port, ssl=secure, settings=settings)

    def _collection(self, client: Any, generation: str) -> Any:
        with _translated(self._url):
            collection = client.get_collection(PREFIX + generation, embedding_function=None)
        space = collection.configuration_json.get("hnsw", {}).get("space")
        if space != "cosine":
            raise IndexMismatch(f"The index uses {space} distance, this program uses cosine.", _REBUILD)
        return collection


def _chromadb() -> Any:
    """The library. Raises SettingsError: at its import it reads settings from the environment and from ``.env``."""
    try:
        import chromadb
    except ValueError as error:  # as pydantic's and the decoder's are
        raise SettingsError(
            f"Chroma cannot use its settings, from the environment or the file .env in this folder: "
            f"{' '.join(str(error).split())[:300]}",
            "Correct them, or run the command from another folder.",
        ) from error
    return chromadb


def _close(client: Any) -> None:
    # an HttpClient leaves its connections open, and those of the client for administration that it makes beside itself
    for owner in (client, getattr(client, "_admin_client", None)):
        if (connections := getattr(getattr(owner, "_server", None), "_session", None)) is not None:
            connections.close()
    with _clients:
        client.close()


def _seal(folder: Path) -> None:
    """Bring all of a generation to the disk before anyone may call it published, and note what size its files have."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as written:
                os.fsync(written.fileno())
    sizes = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for finished in folder.glob("chroma/*/index_metadata.pickle")  # without it Chroma rewrites the others anyway
        for path in finished.parent.iterdir()
    }
    with (folder / SIZES).open("w", encoding="utf-8") as file:
        json.dump(sizes, file)
        file.flush()
        os.fsync(file.fileno())


def _check_seal(folder: Path) -> None:
    """Raise OSError or ValueError unless the files are as long as they were: Chroma would crash on a shorter one."""
    for name, size in json.loads((folder / SIZES).read_text(encoding="utf-8")).items():
        found = (folder / name).stat().st_size
        if found != size:
            raise ValueError(f"{name} has {found} bytes, not {size}")


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
    except NotFoundError as error:
        raise IndexMismatch("The index is damaged: its vectors are gone.", _REBUILD) from error
    except (httpx.HTTPError, ConnectionError) as error:
        raise _unreachable(url, error) from error
    except (ValueError, AttributeError) as error:  # what its clients raise when they cannot connect, or not open a file
        if url:
            raise _unreachable(url, error) from error
        raise IndexMismatch(f"Chroma cannot read the index: {error}", _REBUILD) from error
    except ChromaError as error:
        if any(words in str(error).lower() for words in _UNWRITABLE):
            raise StorageError(
                f"Chroma cannot write the index: {error}", "Free some space, or choose another folder with TUTOR_HOME."
            ) from error
        raise IndexMismatch(f"Chroma cannot read the index: {error}", _REBUILD) from error


_UNWRITABLE = ("disk is full", "disk i/o error", "no space left", "readonly", "read-only")
"""What SQLite says when it cannot write; "disk image is malformed" is not among them."""


def _unreachable(url: str, error: Exception) -> IndexUnreachable:
    return IndexUnreachable(
        f"The Chroma server {url} does not answer: {str(error)[:300]}",
        "Start it (chroma run), or unset TUTOR_CHROMA_URL to use the embedded Chroma.",
    )
