"""Nothing leaves this machine: ingest and questions run with every way out forbidden and watched."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RealIndex
from tests.tutor_command import ROOT, TUTOR, Done, run

pytestmark = pytest.mark.models

SILENT = {
    "ANONYMIZED_TELEMETRY": "False",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "TRANSFORMERS_OFFLINE": "1",
}
LOUD = {
    "ANONYMIZED_TELEMETRY": "True",
    "HF_HUB_OFFLINE": "0",
    "LANGCHAIN_TRACING": "true",
    "LANGCHAIN_TRACING_V2": "true",
    "LANGSMITH_TRACING": "true",
    "LANGSMITH_API_KEY": "lsv2_not_a_key",
    "LANGSMITH_ENDPOINT": "http://192.0.2.1",
}
"""An environment that asks for telemetry and tracing. 192.0.2.0/24 is reserved for examples: nobody is there."""


def watched(tmp_path: Path, home: Path, *arguments: str, **more: str) -> tuple[Done, dict[str, Any]]:
    """Run the command with the network forbidden; how it ended and what it tried."""
    record = tmp_path / "record.json"
    done = run([sys.executable, "-m", "tests.no_network", str(record), *arguments], home, "", ROOT, **more)
    return done, json.loads(record.read_text())


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
        "import socket; socket.getaddrinfo('example.com', 80)",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "import urllib.request; urllib.request.urlopen('http://example.com')",
        "import httpx; httpx.get('http://192.0.2.1')",
        "import asyncio; asyncio.run(asyncio.open_connection('192.0.2.1', 80))",
    ],
)
def test_the_watch_catches_whoever_tries(tmp_path: Path, attempt: str) -> None:
    record = tmp_path / "record.json"
    code = f"from tests.no_network import forbid; from pathlib import Path; forbid(Path({str(record)!r}))\n{attempt}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "the network is forbidden" in done.stderr
    assert json.loads(record.read_text())["attempts"]


def test_an_ingest_reaches_nobody_and_starts_nothing(real_index: RealIndex) -> None:
    assert real_index.record["attempts"] == []
    assert real_index.record["started"] == []
    assert SILENT.items() <= real_index.record["environment"].items()


@pytest.mark.parametrize("engine", ["extractive", "llama"])
def test_a_question_reaches_nobody_even_when_the_environment_asks_for_it(
    real_index: RealIndex, tmp_path: Path, engine: str
) -> None:
    arguments = ("ask", "--engine", engine, "--json", "What is calibration?")
    done, record = watched(tmp_path, real_index.home, *arguments, **LOUD)
    assert done.code == 0, done.err
    assert not done.json["abstained"]
    assert record["attempts"] == []
    assert record["started"] == []
    assert SILENT.items() <= record["environment"].items()
    assert "LANGCHAIN_TRACING" not in record["environment"]


def test_a_question_is_answered_where_there_is_no_network_at_all(real_index: RealIndex) -> None:
    """A network namespace of its own, in which native code finds nothing either."""
    unshare = shutil.which("unshare")
    enter = [str(unshare), "--net", "--map-root-user"]
    if unshare is None or subprocess.run([*enter, "true"], capture_output=True).returncode:
        pytest.skip("this system gives out no network namespaces")
    command = [*enter, str(TUTOR), "ask", "--engine", "extractive", "--json", "What is calibration?"]
    done = run(command, real_index.home)
    assert done.code == 0, done.err
    assert not done.json["abstained"]
