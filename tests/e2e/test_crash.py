"""Ingests that are killed at any moment, that meet each other, and that run under a reader's feet: real processes, a
real Chroma. Whatever happens, the published index is the old one or the new one and never a mix."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.crash_driver import check, check_vectors, ingest, live
from tutor import manifest as manifests
from tutor.settings import PROJECT_ROOT

MOMENTS = 24
"""How many lines of an ingest it is killed before, spread over all that run."""

DELAYS = 10
"""How many times it is killed while Chroma writes, where no line of ours runs."""


@dataclass
class Driver:
    """The process that forks the others, and a folder for what they tell."""

    process: subprocess.Popen[str]
    folder: Path
    names: Iterator[int] = field(default_factory=count)

    def start(self, **job: Any) -> Job:
        """Start a job in a process of its own."""
        result = self.folder / f"{next(self.names)}.json"
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({**job, "result": str(result)}, default=str) + "\n")
        self.process.stdin.flush()
        return Job(int(self.process.stdout.readline()), result)

    def path(self) -> Path:
        """A path where nothing is."""
        return self.folder / f"{next(self.names)}.mark"


@dataclass
class Job:
    """A process at work."""

    pid: int
    result: Path

    def signal(self, number: int) -> None:
        """Send a signal; the process may have ended."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return

    def wait(self) -> Any:
        """Wait for its end; its result, or None when it was killed."""
        wait_until(lambda: not alive(self.pid))
        return json.loads(self.result.read_text()) if self.result.exists() else None


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def wait_until(happened: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.crash_driver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT_ROOT,
    ) as process:
        yield Driver(process, tmp_path_factory.mktemp("driver"))


@pytest.fixture
def home(memory_folder: Path) -> Path:
    """A home in memory, since a kill, unlike a power cut, does not depend on the disk."""
    return memory_folder


def check_tidy(home: Path) -> None:
    """Nothing lies in the index folder but the manifest, the lock, and at most two generations."""
    names = {path.name for path in (home / "index").iterdir()}
    generations = {name for name in names if name.startswith("gen-")}
    assert names - generations == {"manifest.json", "ingest.lock"}
    assert manifests.read(home / "index").generation in generations
    assert len(generations) <= 2


def check_killed(home: Path, before: int, after: int) -> int:
    """After a kill: the index is whole and is the old or the new, and the next ingest succeeds and tidies up."""
    version = check(live(home)())
    assert version in (before, after)
    ingest(home, after + 1)
    assert check(live(home)()) == after + 1
    check_vectors(home)
    check_tidy(home)
    return version


def test_a_kill_before_any_line_leaves_the_old_index_or_the_new(driver: Driver, home: Path) -> None:
    ingest(home, 0)
    total = driver.start(what="ingest", home=home, version=1, lines=0).wait()
    assert total > 200
    version, outcomes = 1, set()
    for n in range(MOMENTS):
        before, after = version, version + 1
        job = driver.start(what="ingest", home=home, version=after, lines=1 + n * (total - 1) // (MOMENTS - 1))
        outcome = job.wait()
        if outcome is not None:  # a few lines less may run than did before
            assert n == MOMENTS - 1, outcome
        outcomes.add(check_killed(home, before, after) == after)
        version = after + 1
    assert outcomes == {True, False}  # killed before publishing, and after


@pytest.mark.parametrize(
    "stage", [["chunk", 1], ["embed", 0], ["write", 0], ["write", 1]], ids=lambda stage: "-".join(map(str, stage))
)
def test_a_kill_at_a_stage_leaves_the_old_index_or_the_new(driver: Driver, home: Path, stage: list[object]) -> None:
    ingest(home, 0)
    assert driver.start(what="ingest", home=home, version=1, die_at=stage).wait() is None
    assert check_killed(home, 0, 1) == (1 if stage == ["write", 1] else 0)


def test_a_kill_while_chroma_writes_leaves_the_old_index_or_the_new(driver: Driver, home: Path) -> None:
    ingest(home, 0)
    told, began = driver.path(), time.monotonic()
    job = driver.start(what="ingest", home=home, version=1, tell_at=["write", 0], told=told)
    wait_until(told.exists)
    began = time.monotonic()
    assert isinstance(job.wait(), int)
    takes = time.monotonic() - began
    version = 1
    for n in range(DELAYS):
        told = driver.path()
        job = driver.start(what="ingest", home=home, version=version + 1, tell_at=["write", 0], told=told)
        wait_until(told.exists)
        time.sleep(takes * n / DELAYS)
        job.signal(signal.SIGKILL)
        job.wait()
        check_killed(home, version, version + 1)
        version += 2


def test_a_first_ingest_that_is_killed_leaves_no_index_and_the_next_one_works(driver: Driver, home: Path) -> None:
    for stage in (["chunk", 1], ["write", 0]):
        driver.start(what="ingest", home=home, version=0, die_at=stage).wait()
        assert not manifests.path_in(home / "index").exists()
    ingest(home, 0)
    assert check(live(home)()) == 0
    check_tidy(home)


def test_ctrl_c_while_chroma_writes_leaves_no_half_of_an_index(driver: Driver, home: Path) -> None:
    ingest(home, 0)
    for version, delay in enumerate((0.0, 0.01, 0.02, 0.04), 1):
        told = driver.path()
        job = driver.start(what="ingest", home=home, version=version, tell_at=["write", 0], told=told)
        wait_until(told.exists)
        time.sleep(delay)
        job.signal(signal.SIGINT)
        outcome = job.wait()
        assert isinstance(outcome, int) or outcome.startswith("KeyboardInterrupt"), outcome
        assert check(live(home)()) <= version
        check_tidy(home)


def test_of_two_ingests_at_once_one_wins_and_the_other_is_told(driver: Driver, home: Path) -> None:
    ingest(home, 0)
    told, go = driver.path(), driver.path()
    first = driver.start(what="ingest", home=home, version=1, tell_at=["write", 0], told=told, wait_for=go)
    wait_until(told.exists)
    assert driver.start(what="ingest", home=home, version=2).wait() == "busy"
    assert check(live(home)()) == 0
    go.touch()
    assert isinstance(first.wait(), int)
    assert check(live(home)()) == 1
    check_vectors(home)
    check_tidy(home)


def test_many_ingests_in_a_rush_leave_one_whole_index(driver: Driver, home: Path) -> None:
    ingest(home, 0)
    for _ in range(2):
        jobs = [driver.start(what="ingest", home=home, version=version) for version in range(1, 6)]
        outcomes = [job.wait() for job in jobs]
        assert any(isinstance(outcome, int) for outcome in outcomes)
        assert all(isinstance(outcome, int) or outcome == "busy" for outcome in outcomes), outcomes
        assert check(live(home)()) in {v for v, outcome in enumerate(outcomes, 1) if isinstance(outcome, int)}
        check_vectors(home)
        check_tidy(home)


def test_a_running_reader_sees_every_index_in_its_turn_and_each_whole(driver: Driver, home: Path) -> None:
    """Readers never pause. The next index but one waits for the reads that were begun before this one: what they read
    is kept that long and no longer."""
    ingest(home, 0)
    stop, counters = driver.path(), [driver.path() for _ in range(2)]
    readers = [driver.start(what="read", home=home, stop=stop, reads=counter) for counter in counters]

    def wait_for_a_whole_read() -> None:
        before = [size(counter) for counter in counters]
        wait_until(lambda: all(size(c) >= then + 2 for c, then in zip(counters, before, strict=True)))

    for version in range(1, 13):
        wait_for_a_whole_read()
        ingest(home, version)
    wait_for_a_whole_read()
    stop.touch()
    for reader in readers:
        seen = reader.wait()
        assert seen["error"] == ""
        assert seen["versions"] == list(range(13))
