"""Ctrl-C at any moment: exit code 130, no traceback, and the index as it was."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import RealIndex
from tests.tutor_command import ROOT, TUTOR, Done, assert_no_traceback, environment, tutor

pytestmark = pytest.mark.models

QUESTION = "How would you evaluate visual search?"


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(TUTOR), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(home),
    )


def interrupted(process: subprocess.Popen[str]) -> Done:
    """Press Ctrl-C and wait for the end, which must come soon."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    done = Done(process.returncode, out, err)
    assert_no_traceback(done)
    assert "KeyboardInterrupt" not in done.err
    return done


@pytest.mark.parametrize("seconds", [0.1, 0.7, 1.6])
def test_a_question_can_be_stopped_at_any_moment(real_index: RealIndex, seconds: float) -> None:
    process = start(real_index.home, "ask", "--engine", "llama", QUESTION)
    time.sleep(seconds)  # imports, opening the index, loading the model, writing: wherever it is by now
    ended = process.poll() is not None
    done = interrupted(process)
    assert done.code == (0 if ended else 130) or "Worded by" in done.out, (done.code, done.err)


def test_a_stopped_answer_does_not_end_the_conversation(real_index: RealIndex, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for part in ("index", "encoders", "verified.json"):
        (home / part).symlink_to(real_index.home / part)
    process = start(home, "chat", "--engine", "llama")
    assert process.stdin is not None
    assert process.stdout is not None
    assert "Ask about" in process.stdout.readline()
    process.stdin.write(QUESTION + "\n")
    process.stdin.flush()
    time.sleep(0.6)  # by now the model is being loaded or writes
    process.send_signal(signal.SIGINT)
    out, err = process.communicate("What is data leakage?\n", timeout=120)
    done = Done(process.returncode, out, err)
    assert_no_traceback(done)
    assert done.code == 0
    assert "Stopped. The question is saved" in done.err
    assert "Data leakage" in done.out, "the model answers again"
    assert "tutor chat --resume" in done.out


@pytest.mark.parametrize("seconds", [0.0, 4.0])
def test_an_ingest_can_be_stopped_and_leaves_the_index_alone(
    real_index: RealIndex, tmp_path: Path, seconds: float
) -> None:
    home = tmp_path / "home"
    shutil.copytree(real_index.home / "index", home / "index")
    (home / "encoders").symlink_to(real_index.home / "encoders")
    lock = home / "index" / "ingest.lock"
    lock.unlink(missing_ok=True)
    manifest = (home / "index" / "manifest.json").read_bytes()
    process = start(home, "ingest", "--full")
    while not lock.exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(seconds)
    assert process.poll() is None, "it was stopped in the middle"
    assert interrupted(process).code == 130
    assert (home / "index" / "manifest.json").read_bytes() == manifest
    generations = [p.name for p in (home / "index").iterdir() if p.is_dir()]
    assert len(generations) == 1, "no half generation stays behind"
    found = tutor("search", "--k", "1", "calibration", home=home)
    assert found.code == 0
    assert "Calibration" in found.out
