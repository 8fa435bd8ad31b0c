"""Answers, sources and passages as text, and the terminal that prints them: nothing a note says is obeyed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.sample_corpus import chunk
from tutor.types import Answer, Citation, Passage
from ui import render
from ui.terminal import MAX_WIDTH, Flow


def citation(marker: int, path: str, start: int = 0, heading: str = "Definition", note: str = "concepts/x") -> Citation:
    return Citation(marker, note, heading, path, start, start + 1, "q")


# --- harmless text ---------------------------------------------------------------------------------------------------


def test_control_characters_and_direction_overrides_are_dropped() -> None:
    assert render.safe("a\x1b[31mb\x07\x00\x9bc\u202ed\u2066e\x7f") == "a[31mbcde"


def test_tabs_newlines_and_letters_of_any_script_stay() -> None:
    text = "naïve\t规律\nعربى 🙂 $x_i$ <b>"
    assert render.safe(text) == text


@given(st.text())
def test_no_text_keeps_an_escape(text: str) -> None:
    assert not set(render.safe(text)) & {"\x1b", "\x9b", "\x07", "\x08", "\r", "\u202e"}
    assert render.safe(render.safe(text)) == render.safe(text)


# --- places ----------------------------------------------------------------------------------------------------------


def test_a_path_below_the_folder_one_is_in_is_shortened(tmp_path: Path) -> None:
    assert render.short_path(str(tmp_path / "a" / "b.md"), tmp_path) == "a/b.md"
    assert render.short_path("/elsewhere/b.md", tmp_path) == "/elsewhere/b.md"


def test_a_place_is_a_path_with_the_line_that_editors_open(tmp_path: Path) -> None:
    path = tmp_path / "n.md"
    text = "# Ä\n\nOne.\nTwo.\n"
    path.write_text(text, encoding="utf-8")
    assert render.line_number(str(path), 0) == 1
    assert render.line_number(str(path), text.index("Two")) == 4
    assert render.place(str(path), text.index("One"), tmp_path) == "n.md:3"


def test_a_file_that_is_gone_or_no_text_has_no_line(tmp_path: Path) -> None:
    (tmp_path / "bad.md").write_bytes(b"\xff\xfe")
    assert render.place(str(tmp_path / "gone.md"), 5, tmp_path) == "gone.md"
    assert render.place(str(tmp_path / "bad.md"), 5, tmp_path) == "bad.md"
    assert render.line_number(str(tmp_path), 5) == 0


# --- sources ---------------------------------------------------------------------------------------------------------


def test_citations_of_one_section_share_a_line_in_the_order_of_their_markers(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_text("one\ntwo\nthree\n")
    lines = render.source_lines(
        [
            citation(1, str(path), 8),
            citation(2, str(path), 0, heading="Mechanism"),
            citation(3, str(path), 4),
            citation(4, str(path), 0, heading="X"),
            citation(5, str(path), 0, note="concepts/untitled"),
        ],
        {"concepts/x": "X"},
        tmp_path,
    )
    assert lines == [
        "[1][3] X › Definition (x.md:2)",  # the line of the first of them
        "[2] X › Mechanism (x.md:1)",
        "[4] X (x.md:1)",  # a heading that repeats the title is not said twice
        "[5] concepts/untitled › Definition (x.md:1)",
    ]
    assert render.source_lines([], {}, tmp_path) == []


def test_a_source_cannot_smuggle_escapes(tmp_path: Path) -> None:
    hostile = citation(1, f"{tmp_path}/a\x1b[2J.md", heading="H\x1b]0;title\x07")
    (line,) = render.source_lines([hostile], {"concepts/x": "T\u202e"}, tmp_path)
    assert line == render.safe(line)


def test_titles_come_from_the_passages() -> None:
    found = render.titles_of([Passage(1, chunk("a", note="concepts/x"), 1.0)])
    assert found == {"concepts/x": "X"}


@pytest.mark.parametrize(
    ("engine", "model", "said"), [("llama", "smollm2", "smollm2"), ("extractive", "", "no language model")]
)
def test_it_is_said_who_answered(engine: str, model: str, said: str) -> None:
    assert said in render.engine_line(Answer("q", "q", "a", False, engine, model))


# --- passages --------------------------------------------------------------------------------------------------------


def lines(text: str, full: bool = False) -> list[str]:
    found = chunk("c", text, note="concepts/x", heading="Definition")
    return render.passage_lines(Passage(3, found, 0.01234, 0.5, 1.0), Path("/"), full)


def test_a_passage_names_its_rank_place_and_score() -> None:
    assert lines("Some words.") == ["3. X › Definition  (0.0123)", "   concepts/x.md", "   Some words."]


def test_a_long_passage_is_cut_at_a_word_and_shown_whole_on_request() -> None:
    text = "word " * 100 + "\nlast line"
    short = lines(text)[-1].strip()
    assert len(short) <= 241
    assert short.endswith("word …")
    assert lines(text, full=True)[-1].strip() == "last line"
    assert "…" not in "".join(lines(text, full=True))


def test_the_source_of_a_diagram_is_left_out_unless_it_is_all_there_is() -> None:
    diagram = "```mermaid\nflowchart LR\n  A --> B\n```"
    assert not any("flowchart" in line for line in lines(f"Words before.\n\n{diagram}", full=True))
    assert any("flowchart" in line for line in lines(diagram, full=True))


def test_a_passage_cannot_smuggle_escapes() -> None:
    for line in lines("Red \x1b[31m text\x07.\u202e", full=True):
        assert line == render.safe(line)


# --- the flow of an answer -------------------------------------------------------------------------------------------


def flowed(*texts: str, width: int = 30, terminal: bool = True) -> str:
    file = io.StringIO()
    flow = Flow(Console(file=file, width=width, force_terminal=terminal, color_system=None))
    for text in texts:
        if text:
            flow.add(text)
        else:
            flow.paragraph()
    flow.end()
    return file.getvalue()


def test_on_a_terminal_words_wrap_at_its_width() -> None:
    text = "Recall rises as k grows, and precision falls with it [1][2]."
    printed = flowed(text, width=20)
    assert all(len(line) <= 20 for line in printed.splitlines())
    assert printed.split() == text.split()


def test_a_wide_terminal_is_not_filled_to_the_edge() -> None:
    assert max(len(line) for line in flowed("word " * 200, width=300).splitlines()) <= MAX_WIDTH


def test_a_pipe_gets_one_paragraph_a_line() -> None:
    assert flowed("One two.", "Three.", "", "Four.", width=10, terminal=False) == "One two. Three.\n\nFour.\n"


def test_a_word_longer_than_the_line_is_printed_whole() -> None:
    assert "x" * 50 in flowed("a " + "x" * 50 + " b", width=20, terminal=False)


@given(st.lists(st.text(min_size=1, max_size=40), max_size=5))
def test_markup_and_escapes_in_words_are_printed_as_text(texts: list[str]) -> None:
    printed = flowed("[bold]not bold[/bold]", *texts)
    assert "[bold]not" in printed
    assert "\x1b" not in printed
