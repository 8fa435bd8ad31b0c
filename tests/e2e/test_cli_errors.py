"""Whatever is wrong, the command says what, says what to do, ends with the documented code, and breaks nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.answer_schema import assert_valid
from tests.conftest import RealIndex
from tests.tutor_command import ROOT, TUTOR, assert_error, environment, tutor
from tutor import models
from tutor.catalogue import DEFAULT_CHAT
from tutor.settings import Settings

pytestmark = pytest.mark.models

EXTRACTIVE = ("--engine", "extractive")
NOWHERE = "http://127.0.0.1:9"
"""Loopback, where nobody listens."""


@pytest.fixture(scope="module")
def home(real_index: RealIndex) -> Path:
    return real_index.home


def snapshot(home: Path) -> dict[str, str]:
    """Every file of an index by content, but Chroma's own, which it touches when it reads."""
    files = (
        p for p in sorted((home / "index").rglob("*")) if p.is_file() and not {"chroma", "ingest.lock"} & set(p.parts)
    )
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


# --- questions and names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        ([""], "", ("empty", "tutor ask")),
        (["-"], "a" * 100_000, ("100,000 characters", "4,000")),
        ([], "", ("--batch",)),
        (["What?", "--batch", "x.jsonl"], "", ("--batch",)),
        (["--batch", "/nowhere/x.jsonl"], "", ("/nowhere/x.jsonl", "No such file")),
        (["What?", "--case", "visual-serch"], "", ("visual-serch", "Did you mean visual-search")),
        (["What?", "--step", "zzz"], "", ("zzz", "evaluation", "deployment-serving")),
    ],
)
def test_what_cannot_be_asked_is_refused_with_2(home: Path, arguments: list[str], stdin: str, said: list[str]) -> None:
    assert_error(tutor("ask", *EXTRACTIVE, *arguments, home=home, stdin=stdin), 2, *said)


def test_other_commands_refuse_names_they_do_not_know(home: Path, tmp_path: Path) -> None:
    assert_error(tutor("search", "?", home=home), 2, "empty")
    assert_error(tutor("notes", "show", "visual-serch", home=home), 2, "visual-search")
    assert_error(tutor("models", "use", "gpt-9", home=tmp_path), 2, "gpt-9")
    assert_error(tutor("ingest", "/nowhere", home=tmp_path), 2, "/nowhere")
    assert_error(tutor("ingest", str(tmp_path), home=tmp_path / "h"), 2, "no notes", ".md")
    assert_error(tutor("doctor", home=tmp_path, TUTOR_THREADS="many"), 2, "TUTOR_THREADS")
    bad = tmp_path / "cases.jsonl"
    bad.write_text('{"id": "a"}\n')
    assert_error(tutor("eval", "--dataset", str(bad), home=home), 2, f"{bad}:1")


def test_options_that_do_not_exist_are_refused_with_2(tmp_path: Path) -> None:
    done = tutor("ask", "--frobnicate", "What?", home=tmp_path)
    assert done.code == 2
    assert "--frobnicate" in done.err
    assert tutor("ask", "--k", "0", "What?", home=tmp_path).code == 2


# --- the index -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["ask", "What?"], ["search", "What?"], ["notes", "list"], ["chat"]])
def test_without_an_index_it_is_said_how_to_build_one(tmp_path: Path, command: list[str]) -> None:
    assert_error(tutor(*command, home=tmp_path / "new"), 4, "There is no index yet", "tutor ingest")


def test_a_damaged_index_is_an_error_with_its_repair(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    folder.mkdir()
    (folder / "manifest.json").write_text("{")
    assert_error(tutor("ask", "What?", home=tmp_path), 4, "damaged", "tutor ingest --full")
    (folder / "manifest.json").write_text('{"format": 99}')
    assert_error(tutor("ask", "What?", home=tmp_path), 4, "99", "tutor ingest --full")


def test_a_chroma_server_that_is_not_there_is_named(home: Path, tmp_path: Path) -> None:
    assert_error(tutor("ask", "What?", home=home, TUTOR_CHROMA_URL=NOWHERE), 4, NOWHERE, "TUTOR_CHROMA_URL")
    mine = tmp_path / "home"
    mine.mkdir()
    for part in ("index", "encoders"):  # an index there, so that nothing must be embedded first
        (mine / part).symlink_to(home / part)
    before = snapshot(home)
    assert_error(tutor("ingest", home=mine, TUTOR_CHROMA_URL=NOWHERE), 4, NOWHERE, "chroma run")
    assert snapshot(home) == before


# --- folders ---------------------------------------------------------------------------------------------------------


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for home in (Path("/proc/none/home"), file):
        assert_error(tutor("ingest", home=home), 6, str(home))
    assert_error(tutor("chat", "--list", home=file), 6, str(file), "TUTOR_HOME")
    assert_error(tutor("models", "use", DEFAULT_CHAT, home=file), 6, str(file))
    done = tutor("doctor", home=file)
    assert done.code == 1
    assert "TUTOR_HOME" in done.out


def test_a_full_disk_is_named(home: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(TUTOR), "notes", "list"], stdout=full, stderr=subprocess.PIPE, env=environment(home), text=True
        )
    assert done.returncode == 6
    assert done.stderr.startswith("Error: The disk is full")


# --- models ----------------------------------------------------------------------------------------------------------


def damaged(folder: Path) -> Iterator[tuple[Path, str]]:
    """Model files that cannot be used, each with what is said of it."""
    good = models.locate(DEFAULT_CHAT, Settings(home=folder))
    yield folder / "missing.gguf", "no model file"
    empty = folder / "empty.gguf"
    empty.write_bytes(b"")
    yield empty, "not a GGUF file"
    cut = folder / "cut.gguf"
    with good.open("rb") as file:
        cut.write_bytes(file.read(3_000_000))
    yield cut, "cannot be loaded"


def test_a_model_file_that_cannot_be_used_is_named_with_5(home: Path, tmp_path: Path) -> None:
    for path, said in damaged(tmp_path):
        done = tutor("ask", "--model", str(path), "What is calibration?", home=home)
        assert_error(done, 5, path.name, said)


def test_without_a_model_asked_for_by_name_the_notes_answer_and_it_is_said(home: Path, tmp_path: Path) -> None:
    done = tutor("ask", "--json", "What is calibration?", home=home, TUTOR_MODEL=str(tmp_path / "missing.gguf"))
    assert done.code == 0
    assert_valid(done.json)
    assert done.json["engine"] == "extractive"
    assert any("missing.gguf" in notice for notice in done.json["notices"])


def test_an_endpoint_that_is_not_there_is_named(home: Path) -> None:
    url = f"{NOWHERE}/v1"
    asked = tutor("ask", "--model", "endpoint", "What is calibration?", home=home, TUTOR_ENDPOINT=url)
    assert_error(asked, 5, url, "TUTOR_ENDPOINT")
    unset = tutor("ask", "--model", "endpoint", "What is calibration?", home=home)
    assert_error(unset, 2, "endpoint", "TUTOR_ENDPOINT")


class _Silly(BaseHTTPRequestHandler):
    """An endpoint that answers every question with an invention."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        piece = {"delta": {"content": "Whales calibrate 97 boosted trees at night [9]. "}, "index": 0}
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [piece]}
        body = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


def test_an_endpoint_that_invents_is_not_heard(home: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Silly)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/v1"
        done = tutor(*("ask", "--json", "--model", "endpoint", "What is calibration?"), home=home, TUTOR_ENDPOINT=url)
    finally:
        server.shutdown()
        server.server_close()
    assert done.code == 0, done.err
    assert "hale" not in done.out
    assert done.json["engine"] == "extractive"
    assert done.json["notices"]


# --- notes -----------------------------------------------------------------------------------------------------------


def bad_notes(folder: Path) -> dict[str, tuple[int, str]]:
    """Notes with every fault that can be thought of: file name to its line (0 for the whole file) and what is said."""
    good = "---\nslug: {}\ntitle: A note\n---\n\nWords of a note that is well.\n"
    (folder / "good.md").write_text(good.format("good"))
    (folder / "front.md").write_text("---\ntitle: [unclosed\nkind: concept\n---\n\nWords.\n")
    (folder / "latin.md").write_bytes(b"# Title\n\nna\xefve\n")
    (folder / "binary.md").write_bytes(b"# Title\n\n\x00\x01\x02" * 50)
    (folder / "empty.md").write_text("")
    (folder / "twice-a.md").write_text(good.format("twice"))
    (folder / "twice-b.md").write_text(good.format("twice"))
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    (folder / "bomb.md").write_text(f"---\ntitle: Bomb\n{bomb}---\n\nWords.\n")
    (folder / "huge.md").write_bytes(b"")
    os.truncate(folder / "huge.md", 50_000_000)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "self.md").symlink_to(folder / "self.md")
    return {
        "front.md": (1, ""),
        "latin.md": (3, "not UTF-8"),
        "binary.md": (3, "binary"),
        "empty.md": (0, "empty"),
        "twice-b.md": (2, "twice"),
        "bomb.md": (1, ""),
        "huge.md": (0, "50"),
        "self.md": (0, ""),
    }


def test_every_bad_note_is_named_and_the_index_stays_as_it_was(home: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    expected = bad_notes(notes)
    before = snapshot(home)
    done = tutor("ingest", str(notes), home=home)
    assert_error(done, 3, "--skip-bad", "index was not changed")
    for name, (line, said) in expected.items():
        named = re.search(rf"{re.escape(name)}(?::(\d+))?: (.+)", done.err)
        assert named, (name, done.err)
        assert said in named.group(2)
        assert bool(named.group(1)) == bool(line), named.group()
        assert not line or int(named.group(1)) >= line
    assert "good.md" not in done.err
    assert snapshot(home) == before
    assert tutor("search", "calibration", home=home).code == 0


def test_bad_notes_can_be_passed_over(home: Path, tmp_path: Path) -> None:
    """The good notes are those that are indexed already, so nothing is embedded."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "latin.md").write_bytes(b"na\xefve")
    before = snapshot(home)
    done = tutor("ingest", str(ROOT / "corpus"), str(notes), "--skip-bad", "--json", home=home)
    assert done.code == 0, done.err
    assert "Skipped" in done.err
    assert done.json["embedded"] == 0
    assert [problem["path"].endswith("latin.md") for problem in done.json["skipped"]] == [True]
    assert snapshot(home) == before


def test_lint_names_broken_rules_with_3(tmp_path: Path) -> None:
    notes = tmp_path / "concepts"
    notes.mkdir()
    (notes / "thin.md").write_text("---\nslug: thin\ntitle: Thin\nkind: concept\n---\n\n# Thin\n\nToo thin by far.\n")
    done = tutor("notes", "lint", str(tmp_path), home=tmp_path / "home")
    assert_error(done, 3, "thin.md", "corpus/README.md")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(home: Path, tmp_path: Path) -> None:
    (tmp_path / "new.md").write_text("# New\n\nWords of a new note.\n")
    before = snapshot(home)
    done = tutor("ingest", str(tmp_path), "--dry-run", home=home)
    assert done.code == 0
    assert "+ new" in done.out
    indexed = sum(1 for _ in (ROOT / "corpus").glob("*/*.md"))
    assert f"1 notes to embed, {indexed} to remove" in done.out
    assert snapshot(home) == before
