"""The corpus's rules: one sound note of each kind, and each rule broken by one change to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest.lint import SECTIONS, WORDS, lint
from ingest.notes import read_notes
from tests.unit.sample_notes import HASHING, STEP, changed, corpus, line_of, note, pieces, with_words
from tutor.settings import Settings
from tutor.types import STEPS, Kind


def test_sound_notes_have_no_problem() -> None:
    assert corpus() == []


def test_peoples_own_notes_are_free() -> None:
    own = replace(note(HASHING, "concept", "hashing"), kind="note", text="no rules <b>here</b> `1 = 2`", body_start=0)
    assert lint([own], pieces) == []


# --- front matter and sections ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("slug: hashing\n", "", "no slug"),
        ("slug: hashing\n", "slug: hash\n", "not the file's name"),
        ("title: Hashing\n", "", "no title"),
        ("title: Hashing\n", "title: Hash\n", "is not the title"),
        ("summary: One sentence about hashing.\n", "", "no summary"),
        ("hashing one, hashing two, hashing three", "hashing one, hashing two", "2 aliases; at least 3"),
        ("steps: [evaluation]", "steps: []", "no steps"),
        ("year: 2017", "year: 20170", "is said to be of 20170"),
        ("year: 2017", "year: 1017", "is said to be of 1017"),
        ("# Hashing\n", "# Hashes\n", "is not the title"),
        ("# Hashing\n", "Words first.\n\n# Hashing\n", "does not begin with"),
        ("## Definition\n", "# Again\n\n## Definition\n", "second level-1"),
        ("# Hashing\n\n", "", "no level-1"),
        ("## Failure modes", "## Failures", "section 5 must be 'Failure modes', not 'Failures'"),
        ("## Where it appears", "### Where it appears", "'Where it appears' is missing"),
    ],
)
def test_front_matter_and_sections_are_as_the_readme_says(old: str, new: str, said: str) -> None:
    problems = [p for p in corpus(changed(HASHING, old, new)) if p.path.endswith("hashing.md")]
    assert any(said in p.problem for p in problems), problems


def test_a_section_too_many_is_named_with_its_line() -> None:
    text = with_words("## More\n\nWords to read.")
    assert [(p.line, p.problem) for p in corpus(text)] == [
        (line_of(text, "## More"), "'More' is not a section of this kind of note")
    ]


def test_a_note_without_sources_is_named() -> None:
    text = HASHING.replace('sources:\n  - {title: "On It", authors: "Guo et al.", year: 2017, venue: "ICML"}\n', "")
    assert {p.problem for p in corpus(text)} == {
        "the front matter has no sources",
        "(Guo et al., 2017) is not among the sources",
    }


@pytest.mark.parametrize("kind", list(SECTIONS))
def test_length_has_no_tolerance(kind: Kind) -> None:
    least, most = WORDS[kind]
    headings = "\n\n".join(f"## {section}" for section in SECTIONS[kind])
    used = sum(len(section.split()) for section in SECTIONS[kind]) + 1

    def said(words: int) -> bool:
        filling = [f"w{n}" for n in range(words - used)]
        paragraphs = [" ".join(filling[at : at + 30]) for at in range(0, len(filling), 30)]
        text = f"# Hashing\n\n{headings}\n\n" + "\n\n".join(paragraphs)
        text += "\n\n```python\n" + "code " * 500 + "\n```\n"
        found = lint([replace(note(HASHING, kind, "hashing"), text=text, body_start=0)], pieces)
        return any(f"{words:,} words; a {kind} note has" in p.problem for p in found)

    assert [said(least - 1), said(least), said(most), said(most + 1)] == [True, False, False, True]


# --- links -----------------------------------------------------------------------------------------------------------


def test_links_exist_and_go_both_ways() -> None:
    text = changed(HASHING, "cases: [image-search]", "cases: [other-search]")
    found = {(Path(p.path).stem, p.line, p.problem) for p in corpus(text)}
    assert found == {
        ("hashing", 8, "cases names 'other-search', and there is no such note"),
        ("image-search", 9, "concepts names 'hashing', whose cases does not name 'image-search'"),
    }
    text = changed(HASHING, "concepts: [caching]", "concepts: [hashing]")
    assert {p.problem for p in corpus(text)} == {
        "concepts names the note itself",
        "concepts names 'hashing', whose concepts does not name 'caching'",
    }


def test_framework_notes_may_name_concepts_that_do_not_name_them() -> None:
    assert corpus(step=changed(STEP, "concepts: [hashing]", "concepts: [hashing, caching]")) == []
    problems = corpus(step=changed(STEP, "concepts: [hashing]", "concepts: [nothing]"))
    assert [p.problem for p in problems] == ["concepts names 'nothing', and there is no such note"]


def test_links_in_the_text_lead_to_notes() -> None:
    good = (
        "See [the case](../case-studies/image-search.md#features), [caching](caching.md), [web](https://example.org)."
    )
    assert corpus(with_words(good)) == []
    text = with_words("Words.\n\nSee [a](../case-studies/no.md) and `[b](code.md)`.")
    assert [(p.line, p.problem) for p in corpus(text)] == [
        (line_of(text, "See [a]"), "the link to ../case-studies/no.md leads to no note")
    ]


@pytest.mark.parametrize(
    ("alias", "said"),
    [
        ("CACHING two", "belongs to concepts/hashing"),
        ("evaluation", "is the title of framework/evaluation"),
        ("Hashing One", "given twice"),
    ],
)
def test_an_alias_belongs_to_one_note(alias: str, said: str) -> None:
    problems = corpus(changed(HASHING, "hashing three", alias + ", hashing three"))
    assert any(said in p.problem for p in problems), problems


def test_passages_that_repeat_each_other_are_found_across_notes() -> None:
    words = [f"token{n}" for n in range(40)]
    here = "Sentence " + " ".join(words[:20]) + ".\nSentence " + " ".join(words[20:]) + "."
    near = here.replace("token39", "token99")
    far = " ".join(word if n % 6 else "changed" for n, word in enumerate(here.split()))
    text = with_words(here)
    assert [p.problem for p in corpus(text, step=STEP + "\n" + near)] == [
        f"says nearly the same as concepts/hashing, line {line_of(text, 'token0 ')}"
    ]
    assert corpus(text, step=STEP + "\n" + far) == []


# --- everything ------------------------------------------------------------------------------------------------------


def test_our_own_corpus_keeps_its_rules(tmp_path: Path) -> None:
    notes, problems = read_notes(Settings().corpus_roots, Settings(), tmp_path)
    assert problems == []
    assert {n.slug for n in notes if n.kind == "framework"} == set(STEPS)
    assert lint(notes, lambda text: int(len(text.split()) * 1.3)) == []


LINES = [
    "# T",
    "## Definition",
    "- item",
    "| a | b |",
    "|---|---|",
    "```mermaid",
    "```",
    "flowchart LR",
    '  A["x"] --> B',
]
LINES += [
    "It is (Guo et al., 2017) and `1 = 2`.",
    "$$",
    "<b>",
    "[a](b.md)",
    "",
    "Smith et al. (2001)",
    "A[x",
    "((",
    "~~~",
]


@hypothesis_settings(deadline=None)
@given(
    st.one_of(st.text(max_size=300), st.lists(st.sampled_from(LINES), max_size=25).map("\n".join)),
    st.sampled_from(list(SECTIONS)),
)
def test_any_text_is_judged_without_an_exception(text: str, kind: Kind) -> None:
    lines = text.count("\n") + 1
    strange = replace(note(HASHING, kind, "hashing"), text=text, body_start=0)
    found = lint([strange, replace(strange, path="/corpus/other.md")], pieces)
    assert found == sorted(found, key=lambda p: (p.path, p.line, p.problem))
    assert all(0 < p.line <= lines for p in found)
