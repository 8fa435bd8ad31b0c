"""Runs the real `tutor` command in a process of its own, in a clean environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TUTOR = Path(sys.executable).with_name("tutor")
"""The console script of the environment that runs the tests."""

_COLOURS = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON: all of it, so nothing else may stand there."""
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        """Standard output as one JSON value a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def environment(home: Path, **more: str) -> dict[str, str]:
    """Our environment without settings of the tutor and colours, with its data in ``home``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TUTOR_") and k not in _COLOURS}
    return {**kept, "TUTOR_HOME": str(home), "TERM": "xterm-256color", **more}


def run(command: list[str], home: Path, stdin: str | bytes = "", cwd: Path = ROOT, **more: str) -> Done:
    """Run a command to its end. A traceback is a failure whatever was tested."""
    given = stdin.encode("utf-8", errors="surrogateescape") if isinstance(stdin, str) else stdin
    ran = subprocess.run(command, input=given, capture_output=True, cwd=cwd, env=environment(home, **more), timeout=300)
    done = Done(ran.returncode, ran.stdout.decode("utf-8", "replace"), ran.stderr.decode("utf-8", "replace"))
    assert_no_traceback(done)
    return done


def tutor(*arguments: str, home: Path, stdin: str | bytes = "", cwd: Path = ROOT, **more: str) -> Done:
    """Run `tutor` with these arguments to its end."""
    return run([str(TUTOR), *arguments], home, stdin, cwd, **more)


def assert_no_traceback(done: Done) -> None:
    """No reader ever sees one, nor the words for a bug."""
    for text in (done.out, done.err):
        assert "Traceback (most recent call last)" not in text, text
        assert "Exception ignored" not in text, text
        assert "Unexpected " not in text, text


def assert_error(done: Done, code: int, *said: str) -> None:
    """The command ended with this code, said what was wrong on standard error, and what to do on the next line."""
    assert done.code == code, (done.code, done.out, done.err)
    assert done.out == ""
    lines = done.err.splitlines()
    at = next((n for n, line in enumerate(lines) if line.startswith("Error: ")), None)
    assert at is not None, done.err
    assert lines[-1].startswith("  "), "a hint"
    assert lines[-1].strip()
    for part in said:
        assert part in done.err, (part, done.err)
