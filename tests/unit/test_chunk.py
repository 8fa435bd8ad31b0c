"""Chunking: what every chunk of any note promises, with words in place of word pieces and with the real tokenizer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.chunk import Counter, Oversize, chunk_note
from ingest.notes import read_notes
from tests.hash_kit import count_words, note
from tutor.markdown import ATOMIC, blocks, without_diagrams
from tutor.settings import PROJECT_ROOT, Settings
from tutor.steps import CASE_SECTIONS
from tutor.types import STEPS, Chunk, Kind, Note

# --- notes of every shape --------------------------------------------------------------------------------------------

WORD = st.sampled_from(
    """recall metric the a of 3.5 e.g. `x = 1` $a_i$ **bold** [link](u.md) naïve 规律 two-tower etc. (see it.) 🙂 A/B ..
    supercalifragilistic""".split()
)
SENTENCE = st.builds(
    lambda words, end: " ".join(words).capitalize() + end,
    st.lists(WORD, min_size=1, max_size=12),
    st.sampled_from(".?!:"),
)
PROSE = st.lists(SENTENCE, min_size=1, max_size=8).map(" ".join)
LONG_WORD = st.integers(1, 400).map("x".__mul__)
LONG_SENTENCE = st.lists(WORD, min_size=30, max_size=120).map(" ".join)
LIST = st.lists(PROSE, min_size=1, max_size=4).map(lambda items: "\n".join(f"- {item}\n  - inner" for item in items))
QUOTE = PROSE.map(lambda text: f"> {text}\n> more")
ROWS = st.integers(1, 30)
TABLE = ROWS.map(lambda n: "| a | b |\n|---|---|\n" + "\n".join(f"| row {i} | `v{i}` |" for i in range(n)))
CODE = ROWS.map(lambda n: "```python\n# not a heading\n\n" + "\n".join(f"x{i} = {i}. Then" for i in range(n)) + "\n```")
FORMULA = ROWS.map(lambda n: "$$\n" + " + \n".join(f"a_{i}" for i in range(n)) + "\n$$")
DIAGRAM = ROWS.map(
    lambda n: "```mermaid\nflowchart LR\n" + "\n".join(f'  A{i}["One. Two"] --> B' for i in range(n)) + "\n```"
)
HEADING = st.builds(
    lambda level, words: "#" * level + " " + " ".join(words), st.integers(1, 4), st.lists(WORD, min_size=1, max_size=6)
)
ODD = st.sampled_from(
    ["---", "[r]: https://example.org 'T'", "<div>\nhtml\n</div>", "-", "#", "> ## quoted", "  \t", "* * *"]
)
WHOLE = st.one_of(TABLE, CODE, FORMULA, DIAGRAM)
TAME = st.one_of(PROSE, LONG_WORD, LONG_SENTENCE, LIST, QUOTE, WHOLE, HEADING, ODD)
NOISE = st.text("ab .\n#`$|-*>[](){}:<~=1\t", max_size=60)
BODY = st.lists(st.one_of(TAME, TAME, TAME, NOISE), max_size=10).map("\n\n".join)
FRONT = "---\ntitle: T\n---\n"
LIMITS = st.integers(10, 80)


def made(body: str, title: str = "A short title") -> Note:
    return note(FRONT + body, title=title, body_start=len(FRONT))


def check_promises(n: Note, count: Counter, limit: int) -> list[Chunk]:
    """Everything that the chunks of any note must be."""
    chunks, oversize = chunk_note(n, count, limit)
    at = n.body_start
    for chunk in chunks:
        assert chunk.text == n.text[chunk.start : chunk.end]
        assert chunk.text == chunk.text.strip() != ""
        assert at <= chunk.start < chunk.end <= len(n.text)
        at = chunk.end
        assert count(chunk.embed_text) <= limit
    assert len({chunk.id for chunk in chunks}) == len(chunks)

    found = [replace(b, start=b.start + n.body_start, end=b.end + n.body_start) for b in blocks(n.text[n.body_start :])]
    covered = bytearray(len(n.text))
    for start, end in [(c.start, c.end) for c in chunks] + [(b.start, b.end) for b in found if b.level]:
        covered[start:end] = b"\1" * (end - start)
    missing = [n.text[i] for i in range(n.body_start, len(n.text)) if not covered[i] and n.text[i].isalnum()]
    assert missing == []

    for block in found:
        holders = [chunk for chunk in chunks if chunk.start < block.end and block.start < chunk.end]
        if block.kind in ATOMIC:
            assert len(holders) == 1, "a block was cut"
            assert holders[0].start <= block.start < block.end <= holders[0].end
        if block.level:
            assert holders == [], "a chunk crosses a heading"
    check_nothing_is_cut_silently(n, chunks, oversize)
    return chunks


def check_nothing_is_cut_silently(n: Note, chunks: list[Chunk], oversize: list[Oversize]) -> None:
    """What is embedded ends with the whole chunk, unless the chunk is named as too large."""
    named = {block.line for block in oversize}
    for chunk in chunks:
        words = without_diagrams(chunk.text).split()
        whole = not words or chunk.embed_text.split()[-len(words) :] == words
        assert whole or n.text.count("\n", 0, chunk.start) + 1 in named


@settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(BODY, LIMITS)
def test_any_note(body: str, limit: int) -> None:
    check_promises(made(body), count_words, limit)


@settings(deadline=None, max_examples=60)
@given(BODY, st.lists(WORD, min_size=1, max_size=60).map(" ".join), LIMITS)
def test_any_title(body: str, title: str, limit: int) -> None:
    check_promises(made(body, title), count_words, limit)


@dataclass(frozen=True)
class Part:
    """One block of a structured note: a heading, or a paragraph with a mark that occurs nowhere else."""

    level: int
    name: str


PARTS = st.lists(st.integers(0, 4), min_size=1, max_size=16).map(
    lambda levels: [Part(level, f"{'Part' if level else 'mark'}{at}") for at, level in enumerate(levels)]
)


@settings(deadline=None, max_examples=80)
@given(PARTS, LIMITS)
def test_a_chunk_knows_the_headings_above_it(parts: list[Part], limit: int) -> None:
    body = "\n\n".join("#" * p.level + f" {p.name}" if p.level else f"Here is {p.name}, at last." for p in parts)
    chunks = check_promises(made("# A Short Title\n\n" + body), count_words, limit)
    path: list[Part] = []
    for part in parts:
        if part.level:
            path = [p for p in path if p.level < part.level] + [part]
            continue
        (chunk,) = [c for c in chunks if re.search(rf"\b{part.name}\b", c.text)]
        assert chunk.heading == (" > ".join(p.name for p in path) or "A short title")
        if limit > 40:
            assert chunk.embed_text.startswith(" > ".join(["A short title", *(p.name for p in path)]) + "\n")


# --- examples --------------------------------------------------------------------------------------------------------


def texts(body: str, limit: int = 20) -> list[str]:
    return [c.text for c in check_promises(made(body), count_words, limit)]


def test_short_paragraphs_of_one_section_are_packed() -> None:
    assert texts("## H\n\nOne two.\n\n- three\n- four\n\nFive six.\n\n## I\n\nSeven.") == [
        "One two.\n\n- three\n- four\n\nFive six.",
        "Seven.",
    ]


def test_a_long_paragraph_is_cut_at_sentences() -> None:
    first, second, third = (" ".join([f"{name}{i}" for i in range(9)]) + "." for name in ("Ab", "Cd", "Ef"))
    assert texts(f"{first} {second} {third}") == [first, second, third]


def test_a_long_sentence_is_cut_at_words() -> None:
    sentence = " ".join(f"word{i}" for i in range(70)) + "."
    cut = texts(sentence)
    assert " ".join(cut) == sentence
    assert all(len(text.split()) == 15 for text in cut[:-1])  # as many as fit beside title and special pieces


def test_a_word_without_an_end_is_cut_anywhere() -> None:
    def letters(text: str) -> int:
        return len(text)

    word = "规" * 100 + "x" * 200
    chunks = chunk_note(made(f"{word}"), letters, 64)[0]
    assert "".join(c.text for c in chunks) == word
    assert all(len(c.embed_text) <= 64 for c in chunks)


@pytest.mark.parametrize("kind", ["table", "code", "formula"])
def test_a_block_that_does_not_fit_is_whole_and_named(kind: str) -> None:
    block = {
        "table": "| a | b |\n|---|---|\n" + "\n".join(f"| {i} | v{i} |" for i in range(30)),
        "code": "```\n" + "\n".join(f"x{i} = {i}" for i in range(30)) + "\n```",
        "formula": "$$\n" + " + \n".join(f"a_{i}" for i in range(30)) + "\n$$",
    }[kind]
    n = made(f"## H\n\nBefore.\n\n{block}\n\nAfter.")
    chunks, oversize = chunk_note(n, count_words, 20)
    assert [c.text for c in chunks] == ["Before.", block, "After."]
    ((line, pieces, found),) = [(o.line, o.pieces, o.kind) for o in oversize]
    assert n.text.splitlines()[line - 1] == block.splitlines()[0]
    assert (pieces > 20, found) == (True, kind)
    assert count_words(chunks[1].embed_text) == 20
    check_promises(n, count_words, 20)


def test_a_diagram_is_kept_and_not_embedded() -> None:
    diagram = "```mermaid\nflowchart LR\n" + "  A --> B\n" * 50 + "```"
    n = made(f"## H\n\nBefore it.\n\n{diagram}\n\nAfter it.")
    chunks, oversize = chunk_note(n, count_words, 20)
    assert ([diagram in c.text for c in chunks], oversize) == ([True], [])
    assert chunks[0].embed_text.split() == "A short title > H Before it. After it.".split()


def test_link_definitions_and_deep_nesting_are_in_a_chunk() -> None:
    deep = "> " * 30 + "far below"
    cut = texts(f"Words [here][r].\n\n[r]: https://example.org\n\n{deep}")
    assert any("https://example.org" in text for text in cut)
    assert any("far below" in text for text in cut)


def test_a_heading_inside_a_quote_or_a_list_opens_no_section() -> None:
    n = made("## Real\n\n> ## Quoted\n> words\n\n- # Listed\n\nAfter.")
    assert {c.heading for c in check_promises(n, count_words, 40)} == {"Real"}


@pytest.mark.parametrize("body", ["", "\n\n", "# A short title", "## Only\n\n### Headings", "---"])
def test_a_note_without_words_of_its_own_has_no_chunk(body: str) -> None:
    assert [c for c in chunk_note(made(body), count_words, 20)[0] if any(x.isalnum() for x in c.text)] == []


def test_chunks_carry_their_note() -> None:
    n = replace(made("Words."), aliases=("x", "y"), kind="case-study", path="/p.md", slug="s", id="case-studies/s")
    (chunk,) = chunk_note(n, count_words, 20)[0]
    assert (chunk.note, chunk.slug, chunk.kind, chunk.path) == ("case-studies/s", "s", "case-study", "/p.md")
    assert (chunk.title, chunk.heading, chunk.aliases) == ("A short title", "A short title", ("x", "y"))


def test_ids_depend_on_the_note_the_place_and_the_words_alone() -> None:
    def ids(n: Note) -> list[str]:
        return [c.id for c in chunk_note(n, count_words, 20)[0]]

    n = made("## H\n\nSame words.\n\n## I\n\nSame words.")
    assert ids(n) == ids(replace(n, path="/elsewhere.md", title="Other"))
    assert len(set(ids(n) + ids(replace(n, id="concepts/y")))) == 4


# --- framework steps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("section", "step"), CASE_SECTIONS.items())
def test_a_section_of_a_case_study_teaches_its_step(section: str, step: str) -> None:
    body = (
        f"# A short title\n\nOpening words.\n\n## {section.capitalize()}\n\nWords.\n\n### Latency and drift\n\nInner."
    )
    n = replace(made(body), kind="case-study", steps=("evaluation",))
    opening, words, inner = chunk_note(n, count_words, 40)[0]
    assert (opening.steps, words.steps, inner.steps) == ((), (step,), (step,))


@pytest.mark.parametrize(
    ("kind", "slug", "declared", "found"),
    [
        ("framework", "evaluation", ("data-preparation",), ("evaluation",)),
        ("framework", "overview", ("data-preparation",), ("data-preparation",)),
        ("concept", "evaluation", ("data-preparation", "evaluation"), ("data-preparation", "evaluation")),
        ("concept", "x", (), ()),
        ("note", "x", ("data-preparation",), ("monitoring-infrastructure",)),
    ],
)
def test_other_notes_teach_what_they_declare_or_what_their_headings_say(
    kind: Kind, slug: str, declared: tuple[str, ...], found: tuple[str, ...]
) -> None:
    n = replace(made("## Monitoring and drift\n\nWords."), kind=kind, slug=slug, steps=declared)
    assert [c.steps for c in chunk_note(n, count_words, 40)[0]] == [found]
    assert set(found) <= set(STEPS)


# --- size ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    ["word " * 40_000, "Word and word. " * 10_000, "(word " * 20_000, "a\n\n" * 10_000, "- a\n" * 20_000],
    ids=["one sentence", "sentences", "brackets", "paragraphs", "items"],
)
def test_a_large_note_is_cut_in_a_time_that_grows_with_its_size(body: str) -> None:
    began = time.perf_counter()
    assert chunk_note(made(body), count_words, 256)[0]
    assert time.perf_counter() - began < 8


# --- the real tokenizer ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pieces() -> Callable[[str], int]:
    from tutor import wiring

    return wiring.counter(Settings())


@pytest.mark.models
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(body=BODY, limit=st.sampled_from([48, 96, 256]))
def test_any_note_with_the_embedders_own_word_pieces(pieces: Callable[[str], int], body: str, limit: int) -> None:
    check_promises(made(body), pieces, limit)


@pytest.mark.models
def test_our_own_notes_with_the_embedders_own_word_pieces(pieces: Callable[[str], int], tmp_path: Path) -> None:
    notes, problems = read_notes([PROJECT_ROOT / "corpus"], Settings(), tmp_path)
    assert (len(notes) >= 20, problems) == (True, [])
    for n in notes:
        assert len(check_promises(n, pieces, 256)) > 1, n.id
