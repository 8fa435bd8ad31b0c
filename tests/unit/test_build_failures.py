"""Building the index when something fails, is stopped or is already at work: the index that was there stays.

What Chroma and a kill make of it is shown in `tests/e2e/test_crash.py`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ingest import build as build_module
from ingest.build import build, lock
from tests.hash_kit import (
    count_words,
    quiet,
    read,
    write_notes,
)
from tests.unit.build_world import CHANGED, TEXTS, Recording, World
from tutor import manifest as manifests
from tutor.adapters.fake_embed import HashEmbedder
from tutor.errors import BadInputFile, IndexBusy, ModelFailed, StorageError
from tutor.settings import PROJECT_ROOT
from tutor.types import Chunk


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# --- what fails ------------------------------------------------------------------------------------------------------


def test_no_notes_is_an_error_that_names_the_folders(world: World) -> None:
    world.build(TEXTS)
    before = world.state()
    with pytest.raises(BadInputFile, match="nowhere") as caught:
        build([], [Path("/nowhere")], world.kit(), quiet)
    assert "tutor ingest PATH" in caught.value.hint
    assert world.state() == before


class Failing(HashEmbedder):
    """Embeds one batch and then fails."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if self.embedded:
            raise ModelFailed("The model stopped.", "Try again.")
        return super().embed_documents(texts)


def test_a_failing_embedder_leaves_the_old_index(world: World) -> None:
    world.build(TEXTS)
    before = world.state()
    many = {**TEXTS, "long": "\n\n".join(f"# H{i}\n\nWords {i}." for i in range(build_module.EMBED_BATCH + 1))}
    with pytest.raises(ModelFailed):
        world.build(many, embedder=Failing)
    assert world.state() == before
    assert world.build(many).embedded == build_module.EMBED_BATCH + 1
    world.check(many)


class FullDisk(Recording):
    """Writes a generation and then finds that it did not."""

    full = False

    def write(self, generation: str, chunks: Sequence[Chunk], vectors: npt.NDArray[np.float32]) -> None:
        super().write(generation, chunks, vectors)
        if self.full:
            raise StorageError("The disk is full.", "Free some space.")


def test_a_full_disk_leaves_the_old_index_and_no_half_of_a_new_one(tmp_path: Path) -> None:
    store = FullDisk()
    world = World(tmp_path, store)
    first = world.build(TEXTS)
    before = world.state()
    store.full = True
    with pytest.raises(StorageError):
        world.build(CHANGED)
    assert world.state() == before
    assert store.kept == [first.generation]


def test_a_first_build_that_fails_leaves_no_index(tmp_path: Path) -> None:
    store = FullDisk()
    store.full = True
    world = World(tmp_path, store)
    with pytest.raises(StorageError):
        world.build(TEXTS)
    assert store.kept == []
    assert not manifests.path_in(world.index_dir).exists()


def test_a_manifest_that_cannot_be_written_leaves_the_old_index(world: World) -> None:
    first = world.build(TEXTS)
    before = world.state()
    manifests.path_in(world.index_dir).with_suffix(".tmp").mkdir()  # stands in for a disk that refuses
    with pytest.raises(StorageError):
        world.build(CHANGED)
    assert world.state() == before
    assert world.store.kept == [first.generation]


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


def interrupted_at(moment: int, work: Callable[[], object]) -> bool:
    """Do the work as if Ctrl-C came at the n-th moment in build.py or manifest.py; False if it ended first.

    A moment is a line, and within `build` and `publish`, where the old index gives way to the new, an instruction.
    """
    files = {build_module.__file__, manifests.__file__}
    left = [moment]

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        closely = frame.f_code in (build.__code__, manifests.publish.__code__)
        frame.f_trace_opcodes = closely
        if event == ("opcode" if closely else "line"):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a `with` left before its exit ran
def test_an_interrupt_at_any_moment_leaves_the_old_index_or_the_new(memory_folder: Path) -> None:
    """Every moment of a whole build in turn, so also those just before and just after the manifest is replaced."""
    world = World(memory_folder)
    wholes = {}
    for name, texts in (("new", CHANGED), ("old", TEXTS)):
        world.build(texts)
        wholes[name] = world.contents()
    write_notes(world.notes_dir, CHANGED)
    notes, outcomes = read(world.notes_dir), set()
    for moment in count(1):
        work = partial(build, notes, [world.notes_dir], world.kit(), quiet)
        if not interrupted_at(moment, work):
            break
        (outcome,) = [name for name, whole in wholes.items() if world.contents() == whole]
        outcomes.add(outcome)
        if outcome == "new":
            world.build(TEXTS)
            write_notes(world.notes_dir, CHANGED)
    assert moment > 300
    assert outcomes == {"old", "new"}
    assert world.contents() == wholes["new"]


@pytest.mark.parametrize("at", ["chunk", "embed", "write"])
def test_an_interrupt_from_the_progress_bar_lets_the_next_ingest_in(world: World, at: str) -> None:
    world.build(TEXTS)
    before = world.state()

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == at:
            raise KeyboardInterrupt

    write_notes(world.notes_dir, CHANGED)
    with pytest.raises(KeyboardInterrupt), lock(world.index_dir):
        build(read(world.notes_dir), [world.notes_dir], world.kit(), interrupt)
    assert world.state() == before
    with lock(world.index_dir):
        world.build(CHANGED)
    world.check(CHANGED)


# --- the lock --------------------------------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from ingest.build import lock

with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_while_another_process_ingests_ours_is_told_to_wait(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "index")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for _ in range(2):
            with pytest.raises(IndexBusy) as caught, lock(tmp_path / "index"):
                pass
        assert caught.value.hint
        holder.kill()  # the lock dies with its holder
    with lock(tmp_path / "index"):
        pass


def test_the_lock_is_free_after_each_use_and_busy_inside(tmp_path: Path) -> None:
    for _ in range(2):
        with lock(tmp_path / "new" / "index"), pytest.raises(IndexBusy), lock(tmp_path / "new" / "index"):
            pass


def test_an_index_folder_that_cannot_be_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "index"):
        with pytest.raises(StorageError), lock(folder):
            pass


def test_words_stand_for_word_pieces() -> None:
    """The counter of these tests counts as the embedder's does: more text is never fewer pieces."""
    assert count_words("") == 2
    assert count_words("a b") == 4
