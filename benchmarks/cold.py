"""A cold `tutor ask` as a whole process, against importing sentence-transformers."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.corpus import indexed
from benchmarks.result import Result, interleaved, seconds

ROUNDS = 7


def measure(folder: Path) -> list[Result]:
    """Interleaved rounds; one of each beforehand warms the disk cache."""
    home = indexed(folder)
    tutor = [str(Path(sys.executable).with_name("tutor")), "ask", "--engine", "extractive", "What is calibration?"]
    imports = [sys.executable, "-c", "import sentence_transformers"]
    env = {**os.environ, "TUTOR_HOME": str(home)}
    run = partial(subprocess.run, check=True, capture_output=True, env=env)
    for command in (tutor, imports):
        run(command)
    ask, load = interleaved(lambda: seconds(lambda: run(tutor)), lambda: seconds(lambda: run(imports)), ROUNDS)
    detail = f"{ask:.2f} s / {load:.2f} s"
    return [Result("cold ask, extractive / import sentence_transformers", ask / load, 0.45, True, detail)]
