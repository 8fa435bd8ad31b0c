"""What is read of a note on disk, and that no file can stop the rest."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sample_notes import GOOD, ids, only_problem, read, write
from tutor.errors import NoteProblem
from tutor.types import Note


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one good note, whatever else a test puts beside it."""
    root = tmp_path / "notes"
    write(root, "good.md")
    return root


# --- what is read ----------------------------------------------------------------------------------------------------


def test_a_note_carries_its_front_matter(folder: Path) -> None:
    text = (
        "---\nslug: two-tower\ntitle: Two towers\nkind: concept\nsummary: What they are.\naliases: [dual encoder]\n"
        "steps: [evaluation]\ncases: [visual-search]\nconcepts: [ann]\n"
        "sources:\n  - {title: T, authors: Guo et al., year: 2017, venue: ICML}\n---\n\nBody.\n"
    )
    path = write(folder, "c/x.md", text)
    note = read(folder)[0][0]
    assert (note.id, note.slug, note.title, note.kind) == ("c/x", "two-tower", "Two towers", "concept")
    assert (note.summary, note.aliases, note.steps) == ("What they are.", ("dual encoder",), ("evaluation",))
    assert (note.cases, note.concepts, note.sources[0].year) == (("visual-search",), ("ann",), 2017)
    assert note.text[note.body_start :] == "\nBody.\n"
    assert note.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_note_without_front_matter_is_named_by_its_heading_or_its_file(folder: Path) -> None:
    write(folder, "a/My First-note_2.md", "Words.\n\n## Sub\n")
    notes, _ = read(folder)
    assert (notes[0].title, notes[0].slug, notes[0].kind) == ("My First note 2", "a-my-first-note-2", "note")
    assert (notes[1].title, notes[1].slug) == ("Recall", "good")


def test_text_files_have_no_front_matter(folder: Path) -> None:
    write(folder, "a.txt", "---\ntitle: Words\n---\nmore")
    note = read(folder)[0][0]
    assert (note.title, note.body_start) == ("A", 0)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_offsets_are_those_of_the_file_read_as_text(folder: Path, newline: str, bom: str) -> None:
    text = f"{bom}---\ntitle: Füße\n---\nLine one.\nLine “two”.\n"
    write(folder, "a.md", text.replace("\n", newline))
    note = read(folder)[0][0]
    with open(note.path, encoding="utf-8") as file:  # noqa: PTH123 - the promise is about open()
        assert file.read() == note.text
    assert note.title == "Füße"
    assert note.text[note.body_start :] == "Line one.\nLine “two”.\n"


def test_html_is_read_from_its_kept_markdown(folder: Path) -> None:
    source = write(folder, "a.html", "<title>Page</title><h1>Top</h1><p>Words.</p>")
    note = read(folder)[0][0]
    assert (note.id, note.title) == ("a", "Page")
    assert note.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert Path(note.path).read_text(encoding="utf-8") == note.text
    assert note.text[note.body_start :].strip() == "# Top\n\nWords."


def test_a_document_without_a_title_is_named_by_its_file_even_when_its_text_is_shared(folder: Path) -> None:
    write(folder, "first-copy.html", "<p>Words.</p>")
    write(folder, "second-copy.html", "<p>Words.</p>")
    first, _, second = read(folder)[0]
    assert first.path == second.path
    assert (first.title, second.title) == ("First copy", "Second copy")
    assert first.text == second.text


# --- slugs -----------------------------------------------------------------------------------------------------------


def test_a_slug_declared_twice_names_both_files_and_the_line(folder: Path) -> None:
    write(folder, "a.md", "---\ntitle: A\nslug: same\n---\nWords.")
    write(folder, "b.md", "---\nslug: same\n---\nWords.")
    notes, problems = read(folder)
    assert ids(notes) == ["a", "good"]
    assert (Path(problems[0].path).name, problems[0].line) == ("b.md", 2)
    assert "a.md" in problems[0].problem


def test_made_slugs_make_room(folder: Path) -> None:
    write(folder, "a b.md")
    write(folder, "a-b.md")
    write(folder, "x.md", "---\nslug: good\n---\nWords.")
    notes, problems = read(folder)
    assert problems == []
    slugs = {note.id: note.slug for note in notes}
    assert len(set(slugs.values())) == 4
    assert slugs["x"] == "good"
    assert slugs["good"].startswith("good-")
    assert slugs["a b"].startswith("a-b-")


# --- what is wrong with a file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"---\ntitle: a\ntitle: b\n---\nWords", 3, "given twice"),
        (b"---\ntitle: a\n", 1, "never closed"),
        (b"one\r\ntwo\r\ncaf\xe9", 3, "offset 13"),
        (b"one\rtwo\xff", 2, "0xff"),
        (b"\xff\xfeW\x00o\x00", 1, "UTF-16"),
        (b"", 0, "empty"),
        (b" \n\t\n", 0, "empty"),
        (b"---\ntitle: a\n---\n\n***\n", 0, "empty"),
        (b"\xef\xbb\xbf", 0, "empty"),
        (b"one\ntwo\x00", 2, "binary"),
        (b"\x7fELF\x02\x01\x01" + bytes(200), 1, "binary"),
        (bytes(range(1, 9)) * 20, 1, "binary"),
        (b"one\ntwo\x1b[31m and so on", 2, "U+001B"),
        ("words\x85and words".encode(), 1, "U+0085"),
    ],
)
def test_a_bad_note_is_named_with_its_line_and_the_rest_is_read(
    folder: Path, content: bytes, line: int, said: str
) -> None:
    path = write(folder, "bad.md", content)
    problem = only_problem(folder)
    assert (problem.path, problem.line) == (str(path), line)
    assert said in problem.problem


def test_bad_documents_are_named(folder: Path) -> None:
    write(folder, "a.pdf", b"%PDF-1.4")
    write(folder, "b.html", b"<p></p>")
    notes, problems = read(folder)
    assert ids(notes) == ["good"]
    assert ["damaged" in problems[0].problem, "no text" in problems[1].problem] == [True, True]


def test_a_large_note_is_refused_unread(folder: Path) -> None:
    huge = write(folder, "huge.md")
    os.truncate(huge, 50_000_000)  # sparse
    problem = only_problem(folder)
    assert "50.0 MB" in problem.problem
    assert "TUTOR_MAX_NOTE_MB" in problem.problem


def test_the_limit_itself_is_allowed(folder: Path) -> None:
    write(folder, "a.md", b"w" * 1000)
    assert len(read(folder, max_mb=0.001)[0]) == 2
    write(folder, "a.md", b"w" * 1001)
    assert "over the limit" in only_problem(folder, max_mb=0.001).problem


def test_a_fifo_or_socket_named_like_a_note_is_never_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe.md")
    here = os.open(folder, os.O_RDONLY)
    before = Path.cwd()
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            os.fchdir(here)  # socket paths have 108 characters at most
            listener.bind("door.txt")
        finally:
            os.chdir(before)
            os.close(here)
        results: list[tuple[list[Note], list[NoteProblem]]] = []
        reader = threading.Thread(target=lambda: results.append(read(folder)), daemon=True)
        reader.start()
        reader.join(10)
    assert results, "reading hangs"
    assert [p.problem for p in results[0][1]] == ["is a socket, not a file", "is a FIFO, not a file"]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that stat allows and read refuses")
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "mem.md").symlink_to("/proc/self/mem")
    notes, problems = read(tmp_path / "mem.md")
    assert notes == []
    assert "cannot be read" in problems[0].problem


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_is_needed(folder: Path) -> None:
    write(folder, "locked.md").chmod(0)
    problem = only_problem(folder)
    assert "Permission denied" in problem.problem


def test_names_that_cannot_be_printed_are_refused(folder: Path) -> None:
    try:
        (folder / os.fsdecode(b"caf\xe9.md")).write_text(GOOD)
    except OSError:
        pytest.skip("the file system takes only UTF-8 names")
    write(folder, "bell\x07.md")
    notes, problems = read(folder)
    assert ids(notes) == ["good"]
    assert [p.path.rpartition("/")[2] for p in problems] == ["bell\\x07.md", "caf\\xe9.md"]
    assert "control character" in problems[0].problem
    assert "UTF-8" in problems[1].problem
    for problem in problems:
        str(problem).encode()


# --- anything --------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)), st.sampled_from([".md", ".txt"]))
def test_any_bytes_are_a_note_or_a_problem(tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = write(folder, f"x{suffix}", data)
    notes, problems = read(folder)
    assert len(notes) + len(problems) == 1
    for note in notes:
        with open(note.path, encoding="utf-8") as file:  # noqa: PTH123 - the promise is about open()
            assert file.read() == note.text
    assert all(problem.path == str(path) for problem in problems)
