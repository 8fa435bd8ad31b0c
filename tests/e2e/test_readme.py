"""The README's transcript is what the program prints, on the real corpus. To write it anew:
`python -m tests.e2e.test_readme`."""

from __future__ import annotations

import re
import shlex
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import RealIndex
from tests.docs import filled
from tests.tutor_command import tutor
from tutor.settings import PROJECT_ROOT

README = PROJECT_ROOT / "README.md"
SESSION = (
    'ask --engine extractive "shadow vs canary deployment"',
    'ask --engine extractive "How do I treat the cold start of a diesel engine?"',
)


def session(home: Path) -> str:
    """The README's questions and what the program answers, as a fenced block."""
    parts = [f"$ tutor {line}\n{tutor(*shlex.split(line), home=home, cwd=PROJECT_ROOT).out}" for line in SESSION]
    return "```console\n" + "\n".join(parts).rstrip() + "\n```"


@pytest.mark.models
def test_the_transcript_is_what_the_program_prints(real_index: RealIndex) -> None:
    text = README.read_text(encoding="utf-8")
    assert text == filled(text, "transcript", session(real_index.home)), "run: python -m tests.e2e.test_readme"


def test_every_command_in_the_readme_exists() -> None:
    from tests.docs import command_names

    known = {" ".join(words) for words in command_names()}
    for command in re.findall(r"`tutor ([a-z]+)", README.read_text(encoding="utf-8")):
        assert command in known or any(name.startswith(f"{command} ") for name in known)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        assert tutor("ingest", home=Path(folder)).code == 0
        README.write_text(
            filled(README.read_text(encoding="utf-8"), "transcript", session(Path(folder))), encoding="utf-8"
        )
    sys.exit(0)
