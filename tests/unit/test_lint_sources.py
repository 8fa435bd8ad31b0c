"""The corpus's rules for sources, and the list of them."""

from __future__ import annotations

import pytest

from ingest.lint_sources import listing
from tests.unit.sample_notes import CASE, HASHING, changed, corpus, note

ENTRY = '  - {title: "On It", authors: "Guo et al.", year: 2017, venue: "ICML"}\n'
SECOND = '  - {title: "On That", authors: "Ng and Ito", year: 2003, venue: "KDD"}\n'


def said(text: str) -> list[str]:
    return [p.problem for p in corpus(text) if p.path.endswith("hashing.md")]


def test_a_work_that_is_listed_must_be_cited() -> None:
    assert said(changed(HASHING, ENTRY, ENTRY + SECOND)) == ["the text never cites Ng and Ito, 2003"]
    assert said(changed(HASHING, ENTRY, ENTRY + SECOND) + "\nNg and Ito (2003) say so in words.\n") == []


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (ENTRY + ENTRY, "the source 'On It' is given twice"),
        (ENTRY.replace('"ICML"', '"2017"'), "'2017' cannot be the venue of a source"),
        (ENTRY.replace('"Guo et al."', '"?"'), "'?' cannot be the authors of a source"),
    ],
)
def test_sources_are_well_formed(entry: str, problem: str) -> None:
    assert problem in said(changed(HASHING, ENTRY, entry))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("year: 2017", "year: 2016", "the year is 2017 here and 2016 in case-studies/image-search"),
        ('venue: "ICML"', 'venue: "arXiv"', "the venue is 'ICML' here and 'arXiv' in case-studies/image-search"),
    ],
)
def test_notes_must_agree_on_a_work(old: str, new: str, problem: str) -> None:
    case = changed(CASE, old, new).replace(
        "(Guo et al., 2017)", "(Guo et al., 2016)" if "2016" in new else "(Guo et al., 2017)"
    )
    assert f"'On It': {problem}" in {p.problem for p in corpus(case=case)}


def test_the_list_names_each_work_once_with_the_notes_that_cite_it() -> None:
    hashing = note(changed(HASHING, ENTRY, SECOND + ENTRY), "concept", "hashing")
    made = listing([hashing, note(CASE, "case-study", "image-search")])
    assert [line for line in made.splitlines() if line.startswith("- ")] == [
        "- Guo et al. (2017). *On It*. ICML. In: [image-search](case-studies/image-search.md), "
        "[hashing](concepts/hashing.md).",
        "- Ng and Ito (2003). *On That*. KDD. In: [hashing](concepts/hashing.md).",
    ]
