"""An ingest without a model: real notes, chunks and manifests, hashed vectors, words in place of word pieces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ingest.build import Kit
from ingest.chunk import chunk_note
from ingest.notes import read_notes
from tutor import manifest as manifests
from tutor.adapters import fake_embed
from tutor.adapters.fake_embed import HashEmbedder
from tutor.manifest import Fingerprint, Manifest
from tutor.ports import Embedder, IndexStore
from tutor.settings import Settings
from tutor.types import Chunk, Kind, Note

LIMIT = 40
FINGERPRINT = Fingerprint("hash", "0" * 64, fake_embed.DIMS, manifests.CHUNKER, LIMIT)
ENCODER = "hash-encoder"


def count_words(text: str) -> int:
    """Stands in for the embedder's tokenizer: one word piece for each word, and the two special ones."""
    return len(text.split()) + 2


def quiet(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def kit(
    index_dir: Path,
    store: IndexStore,
    embedder: Callable[[], Embedder] = HashEmbedder,
    fingerprint: Fingerprint = FINGERPRINT,
    export: Callable[[], str] = lambda: ENCODER,
) -> Kit:
    """What a build needs, with hashed vectors."""
    return Kit(index_dir, store, fingerprint, count_words, embedder, export)


def write_notes(folder: Path, texts: Mapping[str, str]) -> None:
    """Make the files of ``folder`` these and no others. A name without a suffix is a Markdown file."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {name if "." in name else f"{name}.md": text for name, text in texts.items()}
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()
    for name, text in names.items():
        (folder / name).write_text(text, encoding="utf-8")


def read(*folders: Path) -> list[Note]:
    """The notes in these folders, all of which can be read."""
    notes, problems = read_notes(folders, Settings(), folders[0].parent / "extracted")
    assert not problems, problems
    return notes


def note(
    text: str,
    id: str = "concepts/x",
    kind: Kind = "concept",
    title: str = "X",
    steps: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    body_start: int = 0,
) -> Note:
    """A note that was never on a disk."""
    slug = id.rpartition("/")[2]
    return Note(id, slug, title, kind, f"/{id}.md", text, "", body_start, aliases=aliases, steps=steps)


def chunks_of(notes: Sequence[Note], limit: int = LIMIT) -> list[Chunk]:
    """Their chunks, in the order of the index."""
    return [chunk for n in sorted(notes, key=lambda n: n.id) for chunk in chunk_note(n, count_words, limit)[0]]


def vectors_of(chunks: Sequence[Chunk]) -> npt.NDArray[np.float32]:
    """Their hashed vectors, shape (len(chunks), dims)."""
    rows = HashEmbedder().embed_documents([c.embed_text for c in chunks])
    return np.asarray(rows, dtype=np.float32).reshape(len(chunks), fake_embed.DIMS)


def vector(text: str) -> list[float]:
    """The hashed vector of a question."""
    return HashEmbedder().embed_query(text)


def as_kept(chunk: Chunk) -> Chunk:
    """A chunk as an index gives it back: what was embedded is not kept."""
    return replace(chunk, embed_text="")


def manifest(generation: str, url: str = "", fingerprint: Fingerprint = FINGERPRINT) -> Manifest:
    """A manifest of no notes."""
    return Manifest(generation, "2026-01-01T00:00:00+00:00", ("/notes",), fingerprint, {}, generation, ENCODER, url)
