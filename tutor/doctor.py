"""Looks at the installation and says what is wrong and how to mend it. Each look is one function that never raises."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from tutor import catalogue, models, wiring
from tutor import manifest as manifests
from tutor.errors import TutorError
from tutor.settings import Settings

Status: TypeAlias = Literal["ok", "warning", "problem"]
MIN_FREE_BYTES = 500_000_000
PACKAGES = (
    "langchain-core",
    "chromadb",
    "sentence-transformers",
    "streamlit",
    "llama-cpp-python",
    "onnxruntime",
    "bm25s",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``fix`` is empty when nothing needs to be done."""

    what: str
    status: Status
    detail: str
    fix: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Everything that can keep the tutor from answering, one finding at a time."""
    yield _python()
    yield from _packages()
    yield _home(settings)
    yield _disk(settings)
    yield from _models(settings)
    yield from _index(settings)
    yield _offline()


def _python() -> Finding:
    return Finding("Python", "ok", ".".join(map(str, sys.version_info[:3])))


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        try:
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "problem", "not installed", "Install the tutor again: pip install -e .")


def _home(settings: Settings) -> Finding:
    home = settings.home
    probe = home
    while not probe.exists() and probe != probe.parent:
        probe = probe.parent
    if os.access(probe, os.W_OK) and probe.is_dir():
        return Finding("Data folder", "ok", str(home))
    return Finding("Data folder", "problem", f"{home} cannot be written to", "Set TUTOR_HOME to a folder of yours.")


def _disk(settings: Settings) -> Finding:
    probe = settings.home
    while not probe.exists() and probe != probe.parent:
        probe = probe.parent
    try:
        free = shutil.disk_usage(probe).free
    except OSError as error:
        return Finding("Disk", "problem", str(error), "Check the disk that holds TUTOR_HOME.")
    detail = f"{free / 1e9:.1f} GB free"
    if free < MIN_FREE_BYTES:
        return Finding("Disk", "warning", detail, "Free some space: an index and a model need about 0.5 GB.")
    return Finding("Disk", "ok", detail)


def _models(settings: Settings) -> Iterator[Finding]:
    embedder = catalogue.DEFAULT_EMBEDDER
    try:
        yield Finding("Embedding model", "ok", f"{embedder}, verified in {models.locate_verified(embedder, settings)}")
    except TutorError as error:
        yield Finding("Embedding model", "problem", error.message, error.hint)
    try:
        value, origin = models.choice(settings)
        if value == models.ENDPOINT:
            yield Finding("Language model", "ok", f"the endpoint {settings.endpoint}, chosen by {origin}")
        else:
            name, path = models.chat_model_path(settings)
            yield Finding("Language model", "ok", f"{name}, chosen by {origin}, verified in {path}")
    except TutorError as error:
        yield Finding("Language model", "problem", error.message, error.hint)


def _index(settings: Settings) -> Iterator[Finding]:
    try:
        manifest = manifests.read(settings.index_dir)
        wiring.published_index(settings)
    except TutorError as error:
        yield Finding("Index", "problem", error.message, error.hint)
        return
    age = datetime.now(UTC) - datetime.fromisoformat(manifest.built_at)
    chunks = sum(entry.chunks for entry in manifest.notes.values())
    days = f"{age.days} days" if age.days else f"{age.seconds // 3600} hours"
    yield Finding("Index", "ok", f"{len(manifest.notes)} notes, {chunks} chunks, built {days} ago")
    stale = [note for note, entry in manifest.notes.items() if _newer(entry.path, manifest.built_at)]
    if stale:
        shown = ", ".join(stale[:3]) + (" …" if len(stale) > 3 else "")
        yield Finding("Notes", "warning", f"{len(stale)} changed since: {shown}", "Index them: tutor ingest")


def _newer(path: str, built_at: str) -> bool:
    try:
        changed = Path(path).stat().st_mtime
    except OSError:
        return True
    return changed > datetime.fromisoformat(built_at).timestamp() + 1


def _offline() -> Finding:
    watched = ("HF_HUB_OFFLINE", "ANONYMIZED_TELEMETRY", "LANGSMITH_TRACING")
    state = ", ".join(f"{name}={os.environ.get(name, 'unset')}" for name in watched)
    return Finding("Network", "ok", f"not used, but by `tutor models pull` and an endpoint you set ({state})")
