"""Builds a new generation of the index from notes and publishes it.

A generation is written beside the old one; the manifest, written last, publishes it. Killed at any moment, the old
index is still the index. One ingest runs at a time; readers never wait. This module knows no Chroma, no model and no
screen: it is given a store, an embedder and somebody to tell of its progress.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ingest.chunk import Counter, Oversize, chunk_note
from ingest.plan import Plan, make_plan
from tutor import manifest as manifests
from tutor.errors import BadInputFile, IndexBusy, IndexMismatch, NoIndex, StorageError, storage_error
from tutor.manifest import Fingerprint, Manifest, NoteEntry
from tutor.ports import Embedder, IndexStore
from tutor.types import Chunk, Note

EMBED_BATCH = 128
"""Chunks per step of the progress bar; a whole number of the embedder's own batches."""

Progress = Callable[[str, int, int], None]
"""Called with the stage ("chunk", "embed", "write"), how much is done and how much there is."""


@dataclass(frozen=True, slots=True)
class Kit:
    """What a build needs. ``embedder`` is called only when something must be embedded: loading a model takes seconds.
    ``export`` makes the query encoder and returns the name of its folder."""

    index_dir: Path
    store: IndexStore
    fingerprint: Fingerprint
    count: Counter
    embedder: Callable[[], Embedder]
    export: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Report:
    """What an ingest did. ``embedded`` counts chunks; ``reason`` says why all notes were embedded, if they were."""

    plan: Plan
    generation: str
    chunks: int = 0
    embedded: int = 0
    reason: str = ""
    oversize: tuple[tuple[str, Oversize], ...] = field(default=())


def previous(index_dir: Path, fingerprint: Fingerprint, full: bool) -> tuple[Manifest | None, str]:
    """The manifest whose vectors can be used again, or None and why not ("" on a first build)."""
    if full:
        return None, "--full was given"
    try:
        old = manifests.read(index_dir)
        manifests.require(old, fingerprint)
    except NoIndex:
        return None, ""
    except IndexMismatch as error:
        return None, error.message[0].lower() + error.message[1:].rstrip(".")
    return old, ""


@contextlib.contextmanager
def lock(index_dir: Path) -> Iterator[None]:
    """Hold the right to write the index. Raises IndexBusy when another process does, StorageError."""
    import filelock

    try:
        index_dir.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(index_dir / "ingest.lock", timeout=0)
        held.acquire()
    except filelock.Timeout:
        raise IndexBusy(
            "Another ingest is running.", "Wait until it has ended, then run yours; questions are answered meanwhile."
        ) from None
    except OSError as error:
        raise storage_error(error, "preparing the index folder", index_dir) from error
    try:
        yield
    finally:
        held.release()


def build(
    notes: Sequence[Note], roots: Sequence[Path], kit: Kit, progress: Progress, full: bool = False, url: str = ""
) -> Report:
    """Bring the index up to ``notes`` and publish it. The caller holds the lock.

    Raises BadInputFile when there are no notes, and what the store and the embedder raise; the published index is then
    what it was.
    """
    if not notes:
        raise BadInputFile(
            "There are no notes in " + ", ".join(str(r) for r in roots) + ".",
            "Give a folder with .md, .txt, .pdf or .html files: tutor ingest PATH",
        )
    old, reason = previous(kit.index_dir, kit.fingerprint, full)
    plan = make_plan(notes, old.notes if old else {})
    if old and plan.nothing_to_do and _usable(kit, old, url):
        return Report(plan, old.generation, chunks=sum(e.chunks for e in old.notes.values()))
    kept = _kept(kit, old, plan, notes) if old else {}
    if old and kept is None:
        old, kept, reason = None, {}, "the old index could not be read"
        plan = make_plan(notes, {})
    chunks, oversize = _chunks(notes, kept or {}, kit, progress)
    vectors, embedded = _vectors(chunks, set(kept or {}), kit, old, progress)
    encoder = kit.export()
    generation = f"gen-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    published = _published(kit.index_dir)
    progress("write", 0, 1)
    try:
        kit.store.write(generation, chunks, vectors)
        manifests.publish(_manifest(generation, notes, chunks, roots, kit, encoder, url), kit.index_dir)
    except BaseException:
        # half a generation may be what filled the disk; but an interrupt may come just after publishing, too
        with contextlib.suppress(StorageError):
            kit.store.prune([*published, *_published(kit.index_dir)])
        raise
    progress("write", 1, 1)
    # the generation before this one stays: a reader may be in the middle of a question over it
    kit.store.prune([generation, *published])
    return Report(plan, generation, len(chunks), embedded, reason, oversize)


def _published(index_dir: Path) -> list[str]:
    """The generation that readers use now: one name, or none on a first build."""
    try:
        return [manifests.read(index_dir).generation]
    except (NoIndex, IndexMismatch):
        return []


def _usable(kit: Kit, old: Manifest, url: str) -> bool:
    """True when the published generation can be opened, so that doing nothing is right."""
    if old.chroma_url != url:
        return False
    with contextlib.suppress(IndexMismatch):
        kit.store.open(old.generation)
        return kit.export() == old.encoder
    return False


def _kept(kit: Kit, old: Manifest, plan: Plan, notes: Sequence[Note]) -> dict[str, list[Chunk]] | None:
    """The chunks of unchanged and moved notes, by note, from the old generation; None when it cannot be read.

    The same bytes may be read otherwise than before: a note renamed from .txt to .md gets front matter, and a slug made
    from a path makes room for another note's. Chunks that no longer are what the note says are not kept.
    """
    try:
        index = kit.store.open(old.generation)
    except IndexMismatch:
        return None
    same = set(plan.unchanged + plan.moved)
    found = {note.id: note for note in notes if note.id in same}
    kept: dict[str, list[Chunk]] = {note: [] for note in found}
    for chunk in index.chunks():
        note = found.get(chunk.note)
        if note is None:
            continue
        if chunk.title != note.title or chunk.text != note.text[chunk.start : chunk.end]:
            kept.pop(note.id, None)
        elif note.id in kept:
            kept[note.id].append(replace(chunk, path=note.path, slug=note.slug))
    return kept


def _chunks(
    notes: Sequence[Note], kept: Mapping[str, list[Chunk]], kit: Kit, progress: Progress
) -> tuple[list[Chunk], tuple[tuple[str, Oversize], ...]]:
    chunks: list[Chunk] = []
    oversize: list[tuple[str, Oversize]] = []
    fresh = sum(note.id not in kept for note in notes)
    done = 0
    for note in sorted(notes, key=lambda n: n.id):
        if note.id in kept:
            chunks += kept[note.id]
            continue
        cut, large = chunk_note(note, kit.count, kit.fingerprint.limit)
        chunks += cut
        oversize += [(note.path, block) for block in large]
        done += 1
        progress("chunk", done, fresh)
    return chunks, tuple(oversize)


def _vectors(
    chunks: Sequence[Chunk], kept: set[str], kit: Kit, old: Manifest | None, progress: Progress
) -> tuple[npt.NDArray[np.float32], int]:
    """Vectors of all chunks, shape (len(chunks), dims), and how many were embedded now."""
    vectors = np.empty((len(chunks), kit.fingerprint.dims), dtype=np.float32)
    again = [i for i, c in enumerate(chunks) if c.note in kept]
    if again and old:
        vectors[again] = kit.store.vectors(old.generation, [chunks[i].id for i in again])
    fresh = [i for i, c in enumerate(chunks) if c.note not in kept]
    if not fresh:
        return vectors, 0
    progress("embed", 0, len(fresh))
    embedder = kit.embedder()
    fresh.sort(key=lambda i: -len(chunks[i].embed_text))  # like lengths together: little padding
    for start in range(0, len(fresh), EMBED_BATCH):
        batch = fresh[start : start + EMBED_BATCH]
        vectors[batch] = embedder.embed_documents([chunks[i].embed_text for i in batch])
        progress("embed", start + len(batch), len(fresh))
    return vectors, len(fresh)


def _manifest(
    generation: str,
    notes: Sequence[Note],
    chunks: Sequence[Chunk],
    roots: Sequence[Path],
    kit: Kit,
    encoder: str,
    url: str,
) -> Manifest:
    counts = dict.fromkeys((note.id for note in notes), 0)
    for chunk in chunks:
        counts[chunk.note] += 1
    return Manifest(
        generation=generation,
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        roots=tuple(os.fsencode(os.path.abspath(r)).decode("utf-8", "replace") for r in roots),
        fingerprint=kit.fingerprint,
        notes={note.id: NoteEntry(note.path, note.sha256, counts[note.id]) for note in notes},
        collection=generation,
        encoder=encoder,
        chroma_url=url,
    )
