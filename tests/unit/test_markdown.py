"""Markdown as blocks, sentences and plain words: where each begins and ends, and that no text is too strange."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tutor.markdown import BlockKind, blocks, plain, prose_sentences, sentences, without_diagrams

DOCUMENT = """# Two *towers*

A paragraph of
two lines.

- first item
  goes on
- second

  | a | b |
  |---|---|
  | 1 | 2 |

1. numbered

## `Code` and $a_i$

```python
# not a heading

x = 1
```

~~~mermaid
flowchart LR
~~~

$$
a_i = \\sum_j b_j
$$

| x | y |
|---|---|
| 1 | 2 |

<div>
html
</div>

> quoted words
> ## quoted heading

    indented code

---

[ref]: https://example.org

Setext
------
"""


def kinds_and_texts(text: str) -> list[tuple[BlockKind, str]]:
    return [(b.kind, text[b.start : b.end]) for b in blocks(text)]


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


# --- blocks ----------------------------------------------------------------------------------------------------------


def test_every_kind_of_block_is_found_with_its_own_lines() -> None:
    assert kinds_and_texts(DOCUMENT) == [
        ("heading", "# Two *towers*"),
        ("paragraph", "A paragraph of\ntwo lines."),
        ("item", "- first item\n  goes on"),
        ("item", "- second"),
        ("table", "| a | b |\n  |---|---|\n  | 1 | 2 |"),
        ("item", "1. numbered"),
        ("heading", "## `Code` and $a_i$"),
        ("code", "```python\n# not a heading\n\nx = 1\n```"),
        ("diagram", "~~~mermaid\nflowchart LR\n~~~"),
        ("formula", "$$\na_i = \\sum_j b_j\n$$"),
        ("table", "| x | y |\n|---|---|\n| 1 | 2 |"),
        ("html", "<div>\nhtml\n</div>"),
        ("paragraph", "> quoted words"),
        ("heading", "> ## quoted heading"),
        ("code", "indented code"),
        ("heading", "Setext\n------"),
    ]


def test_headings_have_their_level_and_plain_words() -> None:
    headings = [(b.level, b.title) for b in blocks(DOCUMENT) if b.kind == "heading"]
    assert headings == [(1, "Two towers"), (2, "Code and $a_i$"), (0, "quoted heading"), (2, "Setext")]


def test_a_heading_may_use_the_links_of_its_document() -> None:
    assert blocks("## About [recall][r]\n\n[r]: https://example.org\n")[0].title == "About recall"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_offsets_hold_for_every_kind_of_newline(newline: str) -> None:
    text = "# A\n\nwords\nmore\n\n- item\n".replace("\n", newline)
    assert [t for _, t in kinds_and_texts(text)] == ["# A", f"words{newline}more", "- item"]


def test_only_a_mermaid_fence_is_a_diagram() -> None:
    fences = ["```mermaid\nA\n```", "``` Mermaid\nA\n```", "```\nmermaid\n```", "```python mermaid\nA\n```"]
    assert [blocks(fence)[0].kind for fence in fences] == ["diagram", "diagram", "code", "code"]


def test_diagrams_can_be_left_out() -> None:
    assert without_diagrams("Before.\n\n```mermaid\nA\n```\n\nAfter.") == "Before.\n\n\n\nAfter."
    assert without_diagrams("```mermaid\nA\n```") == ""
    assert without_diagrams("  Words. ") == "Words."


# --- sentences -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expected",
    [
        ["One.", "Two!", "Three?", "Four…", "Five."],
        ["Is it?", "Yes."],
        ["(See the note.)", "“Quoted.”", "Then (a whole one.)", "Then *stressed.*", "End."],
        ["It costs 3.5 ms, i.e. less.", "It is fine."],
        ["Losses (e.g. cross-entropy. Or hinge.) differ.", "Next."],
        ["Call `model.fit(x). Then` again.", "Next."],
        ["Call ``a ` b. C`` again.", "Next."],
        ["With $a_i. B$ in it.", "Next."],
        ["J. Dean et al. Wrote it.", "Next."],
        ["See [the note. It is long](https://a.b/c.md) for more.", "Next."],
        ["It is (unclosed.", "Next."],
        ["A stray ` tick.", "Next."],
        ["Prices: $5.", "Then $6."],
        ["What we want is what I.", "Next."],
        ["No full stop at the end"],
        ["Two lines\nof one.", "Next line\nof two."],
        ["规律。and more.", "Next."],
    ],
)
def test_sentences_end_where_a_reader_would_end_them(expected: list[str]) -> None:
    assert split(" ".join(expected)) == expected


def test_a_full_stop_before_a_small_letter_ends_nothing() -> None:
    assert split("It was approx. ten. and more. Next.") == ["It was approx. ten. and more.", "Next."]


@pytest.mark.parametrize("marker", ["- ", "* ", "12. ", "3) ", "> ", "> - ", "- 1. "])
def test_a_bullet_belongs_to_no_sentence(marker: str) -> None:
    assert split(f"{marker}One here. Two here.") == ["One here.", "Two here."]


def test_only_prose_has_sentences() -> None:
    found = [DOCUMENT[start:end] for start, end in prose_sentences(DOCUMENT)]
    assert found == [
        "A paragraph of\ntwo lines.",
        "first item\n  goes on",
        "second",
        "numbered",
        "quoted words",
    ]


# --- plain words -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markdown", "words"),
    [
        ("- **Bold** and *thin* and `code`", "Bold and thin and code"),
        ("> See [the note](a.md#b) now", "See the note now"),
        ("With $a_i * b_i$ and $c$", "With $a_i * b_i$ and $c$"),
        ("one\n  two\\\nthree", "one two three"),
        ("![a chart](x.png)", "a chart"),
        ("2 \\* 3 &lt; 7", "2 * 3 < 7"),
        ("<b>tags</b> go", "tags go"),
        ("1986. was a year", "was a year"),
        ("", ""),
        ("- ", ""),
    ],
)
def test_plain_words_are_what_a_reader_sees(markdown: str, words: str) -> None:
    assert plain(markdown) == words


# --- anything --------------------------------------------------------------------------------------------------------

MARKS = st.text("ab Z.!?…`*_$#>|-+~[]()\"'”\\:<&1\n\r\t\u00a0\u2028\x00é規", max_size=80)
TEXTS = st.one_of(
    MARKS, st.text(max_size=80), st.lists(st.sampled_from(DOCUMENT.split("\n")), max_size=12).map("\n".join)
)


@settings(deadline=None, max_examples=300)
@given(TEXTS)
@example("\r")
@example("a\rb\r\rc")
def test_blocks_are_ordered_disjoint_and_inside_any_text(text: str) -> None:
    at = 0
    for block in blocks(text):
        assert at <= block.start < block.end <= len(text)
        assert text[block.start : block.end].strip() == text[block.start : block.end]
        assert (block.level > 0) <= (block.kind == "heading")
        at = block.end
    without_diagrams(text)
    list(prose_sentences(text))


@settings(deadline=None, max_examples=300)
@given(TEXTS)
def test_sentences_are_ordered_disjoint_and_cover_any_text(text: str) -> None:
    spans = sentences(text)
    at = 0
    for start, end in spans:
        assert at <= start < end <= len(text)
        at = end
    if spans:
        assert not any(char.isalpha() for char in text[: spans[0][0]])  # no more than a bullet
        gaps = [text[end:start] for (_, end), (start, _) in pairwise(spans)]
        assert not "".join([*gaps, text[spans[-1][1] :]]).strip()
    else:
        assert not any(char.isalpha() for char in text)


@settings(deadline=None, max_examples=300)
@given(TEXTS)
def test_plain_words_of_any_text_are_on_one_line(text: str) -> None:
    words = plain(text)
    assert words == " ".join(words.split())


@pytest.mark.parametrize(
    "text",
    [
        "a" * 20_000 + ". B" * 2000,
        "Word and word. " * 4000,
        "(" * 20_000 + ")" * 20_000,
        "[" * 40_000,
        "`" * 20_000 + " a" * 10_000,
        " ".join("`" * length for length in range(1, 280)),
        "> " * 20_000,
        "- " * 20_000,
        "." * 40_000,
        "$a " * 15_000,
        "!" + "*" * 40_000,
        " \t" * 20_000 + "a",
    ],
    ids=lambda text: text[:3],
)
def test_a_large_strange_text_takes_no_time(text: str) -> None:
    """Each of these took from seconds to hours when the time grew with the square of the length."""
    began = time.perf_counter()
    sentences(text)
    blocks(text)
    assert time.perf_counter() - began < 2
