"""The index manifest: what was indexed, by what, and which generation is published.

The manifest is written last and replaced in one step, so whoever reads it sees the old index or the new one. This
module reads and writes that one file and knows nothing of what the generation holds.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tutor.errors import IndexMismatch, NoIndex, storage_error

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
    except ValueError:
        raise IndexMismatch(f"The index manifest is damaged ({path}).", "Build it again: tutor ingest --full") from None
    return _parse(data, path)


def _parse(data: Any, path: Path) -> Manifest:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else None
        raise IndexMismatch(
            f"The index has format {found}, this program reads format {FORMAT}.", "Build it again: tutor ingest --full"
        )
    try:
        return Manifest(
            **{
                **{f.name: data[f.name] for f in fields(Manifest)},
                "roots": tuple(data["roots"]),
                "fingerprint": Fingerprint(**data["fingerprint"]),
                "notes": {note: NoteEntry(**entry) for note, entry in data["notes"].items()},
            }
        )
    except (KeyError, TypeError, AttributeError):
        raise IndexMismatch(f"The index manifest is damaged ({path}).", "Build it again: tutor ingest --full") from None


def publish(manifest: Manifest, index_dir: Path) -> None:
    """Make ``manifest`` the published one, durably and in one step. Raises StorageError."""
    path = path_in(index_dir)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(asdict(manifest), file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_error(error, "publishing the index", path) from error


def require(manifest: Manifest, expected: Fingerprint) -> None:
    """Raise IndexMismatch, naming what differs, unless the index was built by what this program uses."""
    for field in fields(Fingerprint):
        was, now = getattr(manifest.fingerprint, field.name), getattr(expected, field.name)
        if was != now:
            raise IndexMismatch(
                f"The index was built with {field.name.replace('_', ' ')} {str(was)[:16]}, this program uses "
                f"{str(now)[:16]}.",
                "Build it again: tutor ingest --full",
            )
