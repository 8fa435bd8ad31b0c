"""Markers: given out for evidence that exists, set before the full stop, and never taken from a model."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.citations import Citer, marked, unmarked
from tutor.types import Citation, Evidence


def evidence(start: int, path: str = "/notes/a.md") -> Evidence:
    return Evidence(1, "c", "a", "Heading", path, start, start + 4, f"q{start}", f"q{start}")


def citation(marker: int) -> Citation:
    return Citation(marker, "a", "H", "/a.md", marker, marker + 1, "q")


def test_markers_count_from_one_in_the_order_of_first_use() -> None:
    citer = Citer()
    assert [c.marker for c in citer.cite([evidence(70)])] == [1]
    assert [c.marker for c in citer.cite([evidence(5), evidence(70)])] == [1, 2]
    assert [c.start for c in citer.citations] == [70, 5]


def test_the_same_evidence_keeps_its_marker() -> None:
    citer = Citer()
    first = citer.cite([evidence(1), evidence(2)])
    assert citer.cite([evidence(1), evidence(1), evidence(2)]) == first
    assert len(citer.citations) == 2


def test_the_same_offsets_in_another_file_are_other_evidence() -> None:
    citer = Citer()
    citer.cite([evidence(1), evidence(1, "/notes/b.md")])
    assert [c.path for c in citer.citations] == ["/notes/a.md", "/notes/b.md"]


def test_a_citation_carries_all_of_its_evidence() -> None:
    (only,) = Citer().cite([evidence(9)])
    assert only == Citation(1, "a", "Heading", "/notes/a.md", 9, 13, "q9")


@given(st.lists(st.lists(st.integers(0, 6), max_size=4), max_size=8))
def test_no_marker_can_point_at_nothing(sentences: list[list[int]]) -> None:
    citer = Citer()
    given_out = [c for starts in sentences for c in citer.cite([evidence(s) for s in starts])]
    assert [c.marker for c in citer.citations] == list(range(1, len(citer.citations) + 1))
    assert {c.start for c in citer.citations} == {s for starts in sentences for s in starts}
    for c in given_out:
        assert citer.citations[c.marker - 1] == c


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Calibrate last.", "Calibrate last [1][2]."),
        ("Calibrate last", "Calibrate last [1][2]"),
        ("Why not?!", "Why not [1][2]?!"),
        ('It says "calibrate last."', 'It says "calibrate last [1][2]."'),
        ("(Calibrate last.)", "(Calibrate last [1][2].)"),
        ("Use e.g. Platt scaling… ", "Use e.g. Platt scaling [1][2]…"),
        ("See Eq. (3)", "See Eq. (3) [1][2]"),
    ],
)
def test_markers_stand_before_the_full_stop(text: str, shown: str) -> None:
    assert marked(text, [citation(1), citation(2)]) == shown


def test_a_sentence_without_citations_is_left_alone() -> None:
    assert marked("Calibrate last.", []) == "Calibrate last."


@pytest.mark.parametrize(
    ("drafted", "clean"),
    [
        ("Calibrate last [1].", "Calibrate last."),
        ("Calibrate [1][2] last [3, 4].", "Calibrate last."),
        ("Calibrate last [9] [ 12 ].", "Calibrate last."),
        ("Calibrate last [1-3].", "Calibrate last."),
        ("Calibrate last [1–3; 5].", "Calibrate last."),
        ("Calibrate last (fact 2).", "Calibrate last."),
        ("Calibrate last (Facts 2 and 3).", "Calibrate last."),
        ("Calibrate last (source 1).", "Calibrate last."),
        ("Keep the list [a, b] and (all 3).", "Keep the list [a, b] and (all 3)."),
    ],
)
def test_a_model_s_own_markers_are_taken_out(drafted: str, clean: str) -> None:
    assert unmarked(drafted) == clean


@given(st.lists(st.sampled_from(["Recall ", "rises", " [1]", "[99]", "[2, 7]", " (fact 3)", ".", " "]), max_size=12))
def test_no_number_in_brackets_survives(parts: list[str]) -> None:
    assert not re.search(r"\[\s*\d", unmarked("".join(parts)))
