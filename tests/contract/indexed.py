"""Five notes with their chunks and vectors, for the tests of every index, and how to start a Chroma server for them."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from tests.hash_kit import chunks_of, note, vector, vectors_of
from tutor.adapters.index_chroma import ChromaStore
from tutor.types import Filter

CASE = """# Visual search

Visual search embeds images.

## Evaluation

Recall@k on judged pairs is the offline metric.

## Serving architecture

The index is kept in memory on 16 shards.
"""
NOTES = [
    replace(note(CASE, "case-studies/visual-search", "case-study", "Visual search"), aliases=("image search",)),
    note("## Evaluation\n\nNormalised entropy is the metric.\n", "case-studies/ads", "case-study", "Ads"),
    note("Choose the metric first.\n", "framework/evaluation", "framework", "Evaluation"),
    note(
        "## Definition\n\nCalibration compares scores with frequencies.\n\n## Repair\n\nPlatt scaling repairs it.\n",
        "concepts/calibration",
        title="Calibration",
        steps=("evaluation", "model-development"),
        aliases=("Platt scaling", "ECE"),
    ),
    note("Words about ads, visual search and much else.\n", "mine/visual-search", "note", "My note"),
]
CHUNKS = chunks_of(NOTES)
VECTORS = vectors_of(CHUNKS)


def use(store: ChromaStore) -> None:
    """Read the generation gen-1 in every way."""
    opened = store.open("gen-1")
    opened.dense(vector("metric"), 3, Filter())
    opened.lexical("metric", 3, Filter())


@dataclass
class Server:
    """A running Chroma server."""

    url: str
    process: subprocess.Popen[bytes]


def start_server(folder: Path) -> Server:
    """Start `chroma run` on a free port; skips when it does not come up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "chroma"
    if not program.exists():
        pytest.skip("the chroma command is not installed")
    command = [str(program), "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/api/v2/heartbeat", timeout=5).status_code == 200:
                return Server(url, process)
        except httpx.HTTPError:
            time.sleep(0.05)
    process.kill()
    process.wait()
    pytest.skip("a Chroma server did not start on the loopback")
