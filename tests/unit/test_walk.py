"""Which files of a folder are notes: suffixes, hidden files, ``.tutorignore``, roots and links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ingest.notes import discover
from tests.unit.sample_notes import GOOD, ids, only_problem, read, write
from tutor.errors import BadInputFile
from tutor.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one good note, whatever else a test puts beside it."""
    root = tmp_path / "notes"
    write(root, "good.md")
    return root


# --- what is found ---------------------------------------------------------------------------------------------------


def test_finds_every_kind_of_note_in_a_fixed_order(folder: Path) -> None:
    for name in ("b/two.markdown", "a.txt", "b/One.MD", "b-c.html", "page.HTM"):
        write(folder, name, "<p>words</p>" if "htm" in name.lower() else GOOD)
    write(folder, "image.png", b"\x89PNG")
    write(folder, "data.csv")
    notes, problems = read(folder)
    assert problems == []
    assert ids(notes) == ["a", "b/One", "b/two", "b-c", "good", "page"]


def test_hidden_files_and_folders_are_left_out(folder: Path) -> None:
    write(folder, ".draft.md")
    write(folder, ".obsidian/config.md")
    write(folder, "a/.trash/old.md")
    assert ids(read(folder)[0]) == ["good"]


def test_a_root_may_itself_be_hidden(tmp_path: Path) -> None:
    write(tmp_path, ".notes/a.md")
    assert ids(read(tmp_path / ".notes")[0]) == ["a"]


def test_tutorignore_follows_gitignore(folder: Path) -> None:
    for name in ("README.md", "a/README.md", "drafts/x.md", "a/drafts/y.md", "skip.txt", "keep.txt"):
        write(folder, name)
    write(folder, ".tutorignore", "# beside the notes\n/README.md\ndrafts/\n*.txt\n!keep.txt\n")
    assert ids(read(folder)[0]) == ["a/README", "good", "keep"]


def test_a_broken_pattern_is_named_and_the_others_hold(folder: Path) -> None:
    write(folder, "skip.md")
    write(folder, ".tutorignore", "skip.md\n!\n")
    problem = only_problem(folder)
    assert (Path(problem.path).name, problem.line) == (".tutorignore", 2)


def test_our_own_corpus_ignores_what_is_not_a_note() -> None:
    found, problems = discover(Settings().corpus_roots, Settings())
    assert problems == []
    assert len(found) >= 20
    assert {file.id.split("/")[0] for file in found} == {"framework", "case-studies", "concepts"}


def test_a_root_may_be_a_single_file(folder: Path) -> None:
    notes, problems = read(folder / "good.md")
    assert (ids(notes), problems) == (["good"], [])


@pytest.mark.parametrize("name", ["nowhere", "good.docx", "pipe", "nul\0"])
def test_a_root_that_cannot_be_a_note_is_an_error_of_usage(folder: Path, name: str) -> None:
    write(folder, "good.docx")
    os.mkfifo(folder / "pipe")
    with pytest.raises(BadInputFile) as caught:
        read(folder / name)
    assert name.strip("\0") in caught.value.message
    assert caught.value.hint


def test_a_file_reached_from_two_roots_is_read_once(folder: Path) -> None:
    write(folder, "sub/x.md")
    notes, problems = read(folder, folder / "sub", folder / "good.md", folder)
    assert (ids(notes), problems) == (["good", "sub/x"], [])


def test_two_roots_with_one_id_name_both_files(tmp_path: Path) -> None:
    first, second = write(tmp_path, "a/x.md"), write(tmp_path, "b/x.md")
    notes, problems = read(tmp_path / "a", tmp_path / "b")
    assert [note.path for note in notes] == [str(first)]
    assert problems[0].path == str(second)
    assert str(first) in problems[0].problem


def test_two_suffixes_with_one_id_name_both_files(folder: Path) -> None:
    write(folder, "good.txt")
    problem = only_problem(folder)
    assert problem.path.endswith("good.txt")
    assert "good.md" in problem.problem


def test_more_files_than_the_guard_allows_are_a_problem(folder: Path) -> None:
    for number in range(10):
        write(folder, f"{number}/n.md")
    found, problems = discover([folder], Settings(), max_files=5)
    assert len(found) == 5
    assert "above 5" in problems[0].problem
    assert discover([folder], Settings(), max_files=11)[1] == []


def test_folders_may_be_nested_beyond_the_recursion_limit(tmp_path: Path) -> None:
    path = tmp_path / "n"
    path.mkdir()
    made = [path]
    for _ in range(1100):
        path = path / "d"
        path.mkdir()
        made.append(path)
    note = write(path, "x.md")
    try:
        assert len(read(tmp_path / "n")[0]) == 1
    finally:  # pytest removes its folders recursively
        note.unlink()
        for folder in reversed(made):
            folder.rmdir()


# --- links -----------------------------------------------------------------------------------------------------------


def test_a_link_to_a_note_of_the_root_adds_nothing(folder: Path) -> None:
    write(folder, "sub/x.md")
    (folder / "a.md").symlink_to("good.md")
    (folder / "again").symlink_to("sub")
    notes, problems = read(folder)
    assert (ids(notes), problems) == (["good", "sub/x"], [])


def test_a_link_to_what_is_hidden_in_the_root_is_read(folder: Path) -> None:
    write(folder, ".store/1.md")
    write(folder, ".store/more/2.md")
    (folder / "one.md").symlink_to(".store/1.md")
    (folder / "more").symlink_to(".store/more")
    notes, problems = read(folder)
    assert (ids(notes), problems) == (["good", "more/2", "one"], [])


@pytest.mark.parametrize(
    ("link", "target", "said"),
    [
        ("a.md", "a.md", "loop"),
        ("sub/up", "..", "loop"),
        ("sub/self", "../sub", "loop"),
        ("gone.md", "nothing.md", "link to nothing"),
        ("gone", "nothing", "link to nothing"),
        ("out.md", "../outside/x.md", "outside"),
        ("out", "../outside", "outside"),
        ("zero.md", "/dev/zero", "outside"),
    ],
)
def test_a_link_that_leads_nowhere_good_is_named(folder: Path, link: str, target: str, said: str) -> None:
    write(folder.parent, "outside/x.md")
    (folder / link).parent.mkdir(exist_ok=True)
    (folder / link).symlink_to(target)
    problem = only_problem(folder)
    assert problem.path == str(folder / link)
    assert said in problem.problem


def test_links_that_are_no_notes_are_nobodys_business(folder: Path) -> None:
    write(folder.parent, "outside/picture.png", b"\x89PNG")
    (folder / "picture.png").symlink_to("../outside/picture.png")
    (folder / "lost.png").symlink_to("nothing.png")
    assert read(folder)[1] == []


def test_links_that_fan_out_do_not_multiply(folder: Path) -> None:
    for level in range(30):
        (folder / f".d{level}").mkdir()
        for name in ("a", "b"):
            (folder / f".d{level}" / name).symlink_to(f"../.d{level + 1}")
    write(folder, ".d30/end.md")
    (folder / "start").symlink_to(".d0")
    notes, problems = read(folder)
    assert len(notes) == 2
    assert problems == []
