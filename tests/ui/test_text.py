"""Untrusted text stays text, formulas stay formulas, and an answer keeps its paragraphs and markers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ui.web.text import (
    UNSEEN,
    Shown,
    answer_markdown,
    escape,
    escape_lines,
    escape_prose,
    harmless_formula,
    laid_out,
    marks,
)

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
JOINER = "\u2060"


def inline(markdown: str) -> list[Token]:
    """What is in the only paragraph of ``markdown``; fails when it holds any other block."""
    blocks = PARSER.parse(markdown)
    assert [token.type for token in blocks] in ([], ["paragraph_open", "inline", "paragraph_close"]), markdown
    return [child for token in blocks for child in token.children or []]


def shown(markdown: str) -> str:
    """The characters a reader sees; fails when any of them is more than text or an address in a code span."""
    children = inline(markdown)
    assert {child.type for child in children} <= {"text", "code_inline"}, markdown
    return "".join(child.content for child in children).replace(JOINER, "")


HOSTILE = [
    "a * b * c",
    "**bold** __bold__ ~~gone~~ `code`",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "![pixel](http://evil.example/p.png)",
    "[click](javascript:alert(1)) and <https://evil.example>",
    "[ref]: http://evil.example",
    "# heading",
    "- item",
    "1. item",
    "> quote",
    "| a | b |",
    "```mermaid",
    "    indented code",
    "&lt;b&gt; &amp; &#x1F4A9;",
    ":red[coloured] :material/home: :streamlit: :smile:",
    "price $5 and $10, then $6",
    r"a \* b \\ c",
    "---",
    "see www.evil.example or mail me@evil.example",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("write", [escape, escape_lines, escape_prose])
def test_hostile_text_is_shown_as_its_own_characters(text: str, write: object) -> None:
    assert callable(write)
    assert shown(write(text)) == " ".join(text.split())


@given(st.text(alphabet=st.sampled_from("aZ0 \t\n*_`~[]()!<>#-+=|\\:$&;/.@'\"{}^1") | st.characters(), max_size=60))
def test_any_text_is_shown_as_its_own_characters(text: str) -> None:
    seen = " ".join(re.sub(r"\s+", " ", UNSEEN.sub("", text)).split())
    assert " ".join(shown(escape(text)).split()) == seen


@pytest.mark.parametrize(
    "address", ["https://evil.example/a?b=c", "HTTP://evil.example", "www.evil.example", "me@evil.example.org"]
)
def test_an_address_becomes_code_because_plain_ones_are_linked(address: str) -> None:
    (code,) = [child for child in inline(escape(f"at {address} now")) if child.type == "code_inline"]
    assert code.content == address


@pytest.mark.parametrize("name", [":smile:", ":material_home:", ":streamlit:"])
def test_a_shortcode_is_parted_so_that_no_icon_replaces_it(name: str) -> None:
    (text,) = inline(escape(name))
    assert name not in text.content
    assert text.content.replace(JOINER, "") == name


def test_a_time_of_day_is_no_shortcode() -> None:
    assert JOINER not in escape("from 12:30:45 on")


def test_what_nobody_sees_is_dropped() -> None:
    assert escape("pay\u202egnp.exe\u202c \x00\x1bnow\u2066") == "paygnp\\.exe now"


def test_line_breaks_of_a_question_stay() -> None:
    kinds = [child.type for child in inline(escape_lines("one\n\ntwo"))]
    assert kinds.count("hardbreak") == 2


def test_formulas_stay_and_the_text_around_them_is_escaped() -> None:
    assert escape_prose("the *loss* $-\\log p_i$ of *i*") == "the \\*loss\\* $-\\log p_i$ of \\*i\\*"


@pytest.mark.parametrize("money", ["from $5 to $10", "$5/$6", "a $ b $ c", "US$5 and 6$"])
def test_money_is_no_formula(money: str) -> None:
    assert shown(escape_prose(money)) == money


@pytest.mark.parametrize(
    "source",
    [
        r"\href{javascript:alert(1)}{x}",
        r"\includegraphics{http://evil.example/p.png}",
        r"\htmlId{a}{b}",
        "![p](//evil.example/p.png)",
        "x]( javascript:alert(1)",
        "a`b",
        "https://evil.example",
    ],
)
def test_a_formula_that_could_load_or_link_is_shown_as_text(source: str) -> None:
    assert not harmless_formula(source)
    assert shown(escape_prose(f"a ${source}$ b")) == f"a ${source}$ b"


def test_markers_follow_their_sentence_and_paragraphs_are_kept() -> None:
    sentences = [Shown("One.", (1,)), Shown("Two.", (2, 3)), Shown("Three.", (1,), paragraph=True)]
    one, two, three = marks((1,)), marks((2, 3)), marks((1,))
    assert answer_markdown(sentences) == f"One\\.{one} Two\\.{two}\n\nThree\\.{three}"
    assert re.fullmatch(r"(?:\xa0:primary-badge\[\d\]){2}", two)


def test_a_stored_answer_gets_its_paragraphs_back() -> None:
    answer = "One is one [1]. Two is two [2].\n\nThree is three [1]."
    claims = [("One is one.", [1]), ("Two is two.", [2]), ("Three is three.", [1])]
    assert [(s.text, s.markers, s.paragraph) for s in laid_out(answer, claims)] == [
        ("One is one.", (1,), False),
        ("Two is two.", (2,), False),
        ("Three is three.", (1,), True),
    ]


def test_a_claim_that_the_answer_does_not_hold_is_still_shown() -> None:
    assert [s.text for s in laid_out("Something else.", [("One.", [1]), ("Two.", [])])] == ["One.", "Two."]
