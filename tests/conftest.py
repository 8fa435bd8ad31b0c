"""What tests of several folders share."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.tutor_command import Done, run

# A shell without job control starts background jobs with Ctrl-C ignored, and what we start would inherit that; tests
# of Ctrl-C must hold there too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class RealIndex:
    """Our corpus, indexed once for all tests by the real command with the real models and the network forbidden.

    Nobody may change ``home``: copy it. ``record`` says what the ingest tried to reach (see ``tests.no_network``).
    """

    home: Path
    done: Done
    record: dict[str, Any]


@pytest.fixture(scope="session")
def real_index(tmp_path_factory: pytest.TempPathFactory) -> RealIndex:
    """The real index; building it takes most of a minute."""
    folder = tmp_path_factory.mktemp("real")
    home, record = folder / "home", folder / "record.json"
    done = run([sys.executable, "-m", "tests.no_network", str(record), "ingest", "--json"], home)
    assert done.code == 0, done.err
    return RealIndex(home, done, json.loads(record.read_text()))


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is such a place, else on disk, for tests that write many small files durably."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="tutor-test-", dir=memory if os.access(memory, os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def onnx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The query encoder, exported once for all tests from the real model; it takes some ten seconds."""
    from tutor import catalogue, models
    from tutor.adapters.embed_export import export
    from tutor.settings import Settings

    folder = tmp_path_factory.mktemp("encoders") / "encoder"
    export(models.locate_verified(catalogue.DEFAULT_EMBEDDER, Settings()), folder, threads=2)
    return folder
