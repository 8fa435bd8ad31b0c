"""Real processes that ingest and read, for `test_crash.py`: one that has everything imported and forks the others.

Each line on standard input is a job as JSON; its process id is printed. A job leaves its result in the file ``result``.
The notes are of a version: some change from one version to the next, one comes and one goes, so that an index can be
told to be wholly of one version. Vectors are hashed, so that an ingest takes a tenth of a second.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import bm25s  # noqa: F401 - this and the next three are imported before the fork, once
import chromadb  # noqa: F401
import filelock  # noqa: F401
import numpy as np
import Stemmer  # noqa: F401

from ingest import build as build_module
from ingest.build import Progress, build, lock
from tests import hash_kit
from tutor import chunkbook
from tutor import manifest as manifests
from tutor.adapters import index_chroma
from tutor.adapters.index_chroma import ChromaStore
from tutor.errors import IndexBusy, TutorError
from tutor.live import LiveIndex
from tutor.ports import Index
from tutor.types import Chunk, Filter

TRACED = {module.__file__ for module in (build_module, manifests, chunkbook, index_chroma)}
ONLY = "only"


def texts(version: int) -> dict[str, str]:
    """The notes of a version: a third of the six changes with each, and one is of this version alone."""
    found = {}
    for n in range(6):
        mark = f"note{n} revision{(version + n) // 3}"
        parts = "\n\n".join(f"## Part {p}\n\n" + f"Words of {mark} in part{p}, and some more. " * 3 for p in range(2))
        found[f"note-{n}"] = f"# Note {n}\n\nHere is {mark}.\n\n{parts}\n"
    found[f"{ONLY}-{version}"] = f"# Only\n\nThis is version{version} and no other.\n"
    return found


def expected(version: int) -> list[Chunk]:
    """The chunks of a version."""
    notes = [
        hash_kit.note(text, name, "note", "Only" if name.startswith(ONLY) else f"Note {name[-1]}")
        for name, text in texts(version).items()
    ]
    return hash_kit.chunks_of(notes)


def check(index: Index) -> int:
    """The version that all of an index is of, in its chunks, its words and its vectors."""
    chunks = index.chunks()
    (version,) = {int(chunk.note.removeprefix(f"{ONLY}-")) for chunk in chunks if chunk.note.startswith(ONLY)}
    wanted = expected(version)
    assert [(c.id, c.note, c.text) for c in chunks] == [(c.id, c.note, c.text) for c in wanted], "a mix of versions"
    for chunk, vector in zip(wanted[::3], hash_kit.vectors_of(wanted)[::3], strict=True):
        hits = index.dense(vector, len(wanted), Filter())
        assert {i for i, _ in hits} == {c.id for c in wanted}
        assert dict(hits)[chunk.id] > 1 - 1e-4, "the vector of another version"
    ((found, _),) = index.lexical(f"version{version}", 5, Filter())
    assert index.get([found])[0].note == f"{ONLY}-{version}"
    return version


def check_vectors(home: Path) -> None:
    """Every stored vector is that of its chunk."""
    name = manifests.read(home / "index").generation
    store = ChromaStore(home / "index")
    wanted = expected(check(store.open(name)))
    assert np.allclose(store.vectors(name, [c.id for c in wanted]), hash_kit.vectors_of(wanted), atol=1e-6)


def ingest(home: Path, version: int, progress: Progress = hash_kit.quiet) -> None:
    """Write the notes of a version and bring the index up to them. Raises IndexBusy."""
    with lock(home / "index"):
        hash_kit.write_notes(home / "notes", texts(version))
        notes = hash_kit.read(home / "notes")
        build(notes, [home / "notes"], hash_kit.kit(home / "index", ChromaStore(home / "index")), progress)


def live(home: Path) -> LiveIndex:
    """The published index of a home."""
    return LiveIndex(home / "index", ChromaStore(home / "index"), lambda m: manifests.require(m, hash_kit.FINGERPRINT))


# --- jobs, each in a process of its own ------------------------------------------------------------------------------


def run(job: dict[str, Any]) -> object:
    """What a job's process does; its result can be written as JSON."""
    home = Path(job["home"])
    if job["what"] == "read":
        return watch(home, job)
    lines = [0]
    if "lines" in job:
        sys.settrace(counting(lines, job["lines"]))
    try:
        ingest(home, job["version"], staged(job))
    except IndexBusy:
        return "busy"
    finally:
        sys.settrace(None)
    return lines[0]


def counting(lines: list[int], last: int) -> Any:
    """A tracer that counts the lines that our code runs, and kills the process before a given one."""

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line":
            lines[0] += 1
            if lines[0] == last:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def staged(job: dict[str, Any]) -> Progress:
    """Progress that kills the process at a stage, or says that the stage has come and waits there."""

    def progress(stage: str, done: int, total: int) -> None:
        if [stage, done] == job.get("die_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        if [stage, done] == job.get("tell_at"):
            Path(job["told"]).touch()
            while job.get("wait_for") and not Path(job["wait_for"]).exists():
                time.sleep(0.002)

    return progress


def watch(home: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Read the live index until told to stop; the versions seen, in order, and what went wrong."""
    index, versions, reads = live(home), list[int](), 0
    while not Path(job["stop"]).exists():
        try:
            version = check(index())
        except (TutorError, AssertionError, ValueError) as error:
            return {"versions": versions, "reads": reads, "error": f"{type(error).__name__}: {error}"}
        reads += 1
        with Path(job["reads"]).open("ab") as file:
            file.write(b".")  # one for each read that has ended
        if versions[-1:] != [version]:
            versions.append(version)
    return {"versions": versions, "reads": reads, "error": ""}


def main(lines: Sequence[str] | Any) -> None:
    """Fork a process for every job."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that those who have died vanish
    for line in lines:
        job = json.loads(line)
        pid = os.fork()
        if pid:
            sys.stdout.write(f"{pid}\n")
            sys.stdout.flush()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            result: object = run(job)
        except BaseException as error:  # noqa: BLE001 - the test wants to know, whatever it was
            result = f"{type(error).__name__}: {error}"
        path = Path(job["result"])
        path.with_suffix(".half").write_text(json.dumps(result))
        path.with_suffix(".half").replace(path)
        os._exit(0)


if __name__ == "__main__":
    main(sys.stdin)
