"""The index manifest: what was indexed, by what, and which generation is published.

The manifest is written last and replaced in one step, so whoever reads it sees the old index or the new one. This
module reads and writes that one file and knows nothing of what the generation holds.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter

from tutor.errors import IndexMismatch, NoIndex, storage_error

_REBUILD = "Build it again: tutor ingest --full"
FORMAT = 1
CHUNKER = "1"
"""Raise whenever the same note would be cut or embedded differently."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the vectors depend on. ``dims`` is the vector length, ``limit`` the word pieces per chunk."""

    embedder: str
    embedder_sha256: str
    dims: int
    chunker: str
    limit: int


@dataclass(frozen=True, slots=True)
class NoteEntry:
    """One indexed note: the path and hash of its source file and how many chunks it gave."""

    path: str
    sha256: str
    chunks: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A published generation. ``built_at`` is ISO 8601 in UTC; ``chroma_url`` is empty for an embedded Chroma."""

    generation: str
    built_at: str
    roots: tuple[str, ...]
    fingerprint: Fingerprint
    notes: dict[str, NoteEntry]
    collection: str
    encoder: str
    chroma_url: str = ""
    format: int = FORMAT


def path_in(index_dir: Path) -> Path:
    """Where the manifest of an index lives."""
    return index_dir / "manifest.json"


def read(index_dir: Path) -> Manifest:
    """Read the manifest. Raises NoIndex when there is none, IndexMismatch when it is damaged or of another format."""
    path = path_in(index_dir)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NoIndex("There is no index yet.", "Build it with: tutor ingest") from None
    except OSError as error:
        raise storage_error(error, "reading the index manifest", path) from error
    except (ValueError, RecursionError):
        raise _damaged(path) from None
    if not isinstance(data, dict):
        raise _damaged(path)
    if data.get("format") != FORMAT:
        raise IndexMismatch(f"The index has format {data.get('format')}, this program reads format {FORMAT}.", _REBUILD)
    try:
        return _form().validate_python(data)
    except ValueError:
        raise _damaged(path) from None


def _damaged(path: Path) -> IndexMismatch:
    return IndexMismatch(f"The index manifest is damaged ({path}).", _REBUILD)


@lru_cache(maxsize=1)
def _form() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)


def publish(manifest: Manifest, index_dir: Path) -> None:
    """Make ``manifest`` the published one, durably and in one step. Raises StorageError."""
    path = path_in(index_dir)
    temporary = path.with_suffix(
        ".tmp"
    )  # one name: only who holds the lock publishes, and what a kill left is replaced
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(asdict(manifest), file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise storage_error(error, "publishing the index", path) from error


def require(manifest: Manifest, expected: Fingerprint) -> None:
    """Raise IndexMismatch, naming what differs, unless the index was built by what this program uses."""
    for field in fields(Fingerprint):
        was, now = getattr(manifest.fingerprint, field.name), getattr(expected, field.name)
        if was != now:
            raise IndexMismatch(
                f"The index was built with {field.name.replace('_', ' ')} {str(was)[:16]}, this program uses "
                f"{str(now)[:16]}.",
                _REBUILD,
            )
