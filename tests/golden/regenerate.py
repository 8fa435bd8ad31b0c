"""Writes the golden transcript anew: ``python -m tests.golden.regenerate``. Read the difference before committing."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.golden.transcript import GOLDEN, transcript


def main() -> None:
    """Index, ask and write."""
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(transcript(Path(folder)), encoding="utf-8")
    sys.stdout.write(f"Wrote {GOLDEN}\n")


if __name__ == "__main__":
    main()
