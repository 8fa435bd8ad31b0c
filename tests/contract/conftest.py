"""What the contract tests of the index share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.indexed import CHUNKS, VECTORS, Server, start_server
from tutor.adapters.index_chroma import ChromaStore


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Chroma server, started once."""
    running = start_server(tmp_path_factory.mktemp("server"))
    yield running
    running.process.terminate()
    running.process.wait(30)


@pytest.fixture
def on_disk(tmp_path: Path) -> tuple[ChromaStore, Path]:
    """An embedded store with one generation, and that generation's folder."""
    store = ChromaStore(tmp_path / "index")
    store.write("gen-1", CHUNKS, VECTORS)
    return store, tmp_path / "index" / "gen-1"
