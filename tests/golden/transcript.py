"""A session at the terminal over the small corpus in this folder, as text."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.tutor_command import tutor

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "transcript.txt"

SESSION = (
    'ask --engine extractive "What is calibration?"',
    'ask --engine extractive --case visual-search "How is the index of images served, and how fast?"',
    'ask --engine extractive --show-passages --k 1 "quantisaton awre training?"',
    'ask --engine extractive "How do I cook an onion soup for eight people?"',
)


def transcript(home: Path) -> str:
    """Index the corpus into ``home`` and hold the session. The folder of the corpus is the current one, so paths are
    short and the same everywhere."""
    parts = []
    for line in ("ingest corpus", *SESSION):
        done = tutor(*shlex.split(line), home=home, cwd=HERE)
        ended = f"(exit code {done.code})\n" if done.code else ""
        parts.append(f"$ tutor {line}\n{done.out}{done.err}{ended}")
    return "\n".join(parts)
