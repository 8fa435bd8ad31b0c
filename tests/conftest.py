"""What tests of several folders share."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.tutor_command import Done, run


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
