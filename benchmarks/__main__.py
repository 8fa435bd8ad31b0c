"""`make bench`: runs every measurement and prints a table of value, target and verdict. Exit code 1 when one is missed.

`python -m benchmarks NAME…` runs only the named ones: cold, ingest, retrieval, llama.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import cold, ingest_rate, llama, retrieval
from benchmarks.result import Result
from tutor import wiring

_ALL: dict[str, Callable[[Path], list[Result]]] = {
    "cold": cold.measure,
    "ingest": ingest_rate.measure,
    "retrieval": retrieval.measure,
    "llama": llama.measure,
}


def main() -> int:
    """Run and print; the exit code."""
    wiring.go_offline()
    names = sys.argv[1:] or list(_ALL)
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for result in _ALL[name](Path(folder)):
                missed |= not result.met
                print(result.line(), flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
