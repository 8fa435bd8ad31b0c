"""Follows the published index: opens it once, and again when a new generation is published.

Safe to call from several threads. Knows the manifest and the store's port, nothing of Chroma.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from tutor import manifest as manifests
from tutor.errors import IndexMismatch
from tutor.manifest import Manifest
from tutor.ports import Index, IndexStore


class LiveIndex:
    """The published generation, at the price of one ``stat`` a question."""

    def __init__(self, index_dir: Path, store: IndexStore, expected: Callable[[Manifest], None]) -> None:
        self._index_dir = index_dir
        self._store = store
        self._expected = expected
        self._lock = threading.Lock()
        self._open: tuple[object, Index] | None = None

    def __call__(self) -> Index:
        """The index to read now. Raises NoIndex, IndexMismatch, IndexUnreachable."""
        with self._lock:
            seen = self._stamp()
            if self._open is not None and seen == self._open[0]:
                return self._open[1]
            try:
                index = self._read()
            except IndexMismatch:
                # a generation can be pruned between reading the manifest and opening it; the manifest then has changed
                if self._stamp() == seen:
                    raise
                index = self._read()
            self._open = (seen, index)
            return index

    def _read(self) -> Index:
        manifest = manifests.read(self._index_dir)
        self._expected(manifest)
        return self._store.open(manifest.generation)

    def _stamp(self) -> object:
        try:
            found = manifests.path_in(self._index_dir).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
