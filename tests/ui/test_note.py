"""Notes are shown with their structure and without HTML, links or images, and what is cited is highlighted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

from tutor.markdown import blocks, prose_sentences
from ui.web.note import HIGHLIGHT, MAX_SECTION, Highlight, note_markdown, section

CORPUS = Path(__file__).parents[2] / "corpus"
NOTES = sorted(p for p in CORPUS.glob("*/*.md"))
PARSER = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, allow_space=False, double_inline=False)


def tokens(markdown: str) -> list[Token]:
    """Every token of ``markdown``, inline ones too."""
    return [t for block in PARSER.parse(markdown) for t in (block, *(block.children or []))]


def lit(text: str, part: str, marker: int = 1) -> str:
    """``text`` as shown with its ``part`` highlighted."""
    start = text.index(part)
    shown, drawn = note_markdown(text, [Highlight(start, start + len(part), marker)])
    assert drawn == {marker}
    return shown


def test_a_cited_sentence_is_highlighted_and_carries_its_marker() -> None:
    shown = lit("One is first. Two is second. Three.", "Two is second.", marker=7)
    assert shown == f"One is first\\. :{HIGHLIGHT}[Two is second\\.]\xa0:primary-badge[7] Three\\."


def test_several_sentences_are_highlighted_each_with_its_own_marker() -> None:
    text = "One. Two. Three."
    shown, drawn = note_markdown(text, [Highlight(10, 16, 4), Highlight(0, 4, 2)])
    assert drawn == {2, 4}
    assert shown.index("[One\\.]\xa0:primary-badge[2]") < shown.index("[Three\\.]\xa0:primary-badge[4]")
    assert "[Two" not in shown


def test_a_highlight_that_begins_inside_emphasis_does_not_break_it() -> None:
    shown = lit("A *One. Two.* Three.", "Two.* Three.")
    assert shown.startswith(f"A *One\\. :{HIGHLIGHT}[Two\\.]*:{HIGHLIGHT}[ Three\\.]")


def test_a_highlight_holds_code_formulas_and_emphasis() -> None:
    text = "Use `a[0]` with $x_{[i]}$ and **much** care. Then stop."
    shown = lit(text, "Use `a[0]` with $x_{[i]}$ and **much** care.")
    assert f":{HIGHLIGHT}[Use `a[0]` with $x_{{[i]}}$ and **much** care\\.]" in shown


def test_brackets_that_do_not_pair_cannot_end_a_highlight_early() -> None:
    shown = lit("Read `a]` in $[0, 1)$ now. More.", "Read `a]` in $[0, 1)$ now.")
    assert f":{HIGHLIGHT}[Read a\\] in $\\lbrack 0, 1)$ now\\.]" in shown


def test_a_list_item_can_be_highlighted() -> None:
    assert f"- :{HIGHLIGHT}[Two\\.]" in lit("- One.\n- Two.\n- Three.", "Two.")


def test_a_highlight_out_of_range_or_over_another_is_not_drawn() -> None:
    text = "One. Two."
    spans = [Highlight(0, 4, 1), Highlight(2, 6, 2), Highlight(5, 99, 3), Highlight(5, 5, 4)]
    assert note_markdown(text, spans)[1] == {1}


def test_structure_is_kept() -> None:
    text = (
        "## Head\n\nText with *em*, **strong**, `code` and $x^2$.\n\n- one\n  - two\n\n1. first\n2. second\n\n"
        "> quote\n\n| a | b |\n|---|---|\n| `x\\|y` | 2 |\n\n```python\nx = 1\n\ny = 2\n```\n\n$$\na + b\n$$\n\n---\n"
    )
    kinds = {t.type for t in tokens(note_markdown(text)[0])}
    assert {
        "heading_open",
        "em_open",
        "strong_open",
        "code_inline",
        "math_inline",
        "bullet_list_open",
        "ordered_list_open",
        "blockquote_open",
        "table_open",
        "fence",
        "math_block",
        "hr",
    } <= kinds
    fence = next(t for t in tokens(note_markdown(text)[0]) if t.type == "fence")
    assert (fence.info, fence.content) == ("python", "x = 1\n\ny = 2\n")
    assert [t.content for t in tokens(note_markdown(text)[0]) if t.type == "code_inline"] == ["code", "x|y"]


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("<img src=x onerror=alert(1)> text", "<img src=x onerror=alert(1)>"),
        ("<script>\nalert(1)\n</script>", "<script> alert(1) </script>"),
        ("![a cat](http://evil.example/p.png)", "(image: a cat)"),
        ("[words](../concepts/other.md) and", "words and"),
        ("<https://evil.example/x>", "https://evil.example/x"),
        ("[words][ref]\n\n[ref]: https://evil.example/y", "words (https://evil.example/y)"),
        ("[click](javascript:alert(1))", "[click](javascript:alert(1))"),
        (":red[x] :material/home:", ":red[x] :material/home:"),
        ("$\\href{https://evil.example}{x}$", "$\\href{https://evil.example}{x}$"),
    ],
)
def test_html_links_and_images_become_text(source: str, seen: str) -> None:
    found = tokens(note_markdown(source)[0])
    assert "".join(t.content for t in found if t.type in ("text", "code_inline")).replace("\u2060", "") == seen + (
        " text" if source.endswith("text") else ""
    )


UNSAFE = {"html_block", "html_inline", "link_open", "image"}
PIECES = st.sampled_from(
    "* ** _ ` `` [a](http://e.x) ![b](c) <b> </div> # | $x$ $ :red[ ] word Two. \\ &amp; http://e.x =".split()
    + " |\n|\n\n|- |1. |> |$$\n|```\n|~~~\n|    |=\n".split("|")
)


@given(st.lists(PIECES, max_size=25).map("".join), st.integers(0, 40), st.integers(1, 30))
@example("$$x$<b>$x$", 0, 1)
@example("``x`<b>`", 0, 1)
@example("$ x$<b>$x$", 0, 1)
@example("word`</div>:red[`` > ![b](c)`http://e.x", 39, 7)
@example("- $~~~\n</div>**$x$**", 10, 7)
@example("$x\\$<b>$x$", 0, 3)
@settings(max_examples=300)
def test_whatever_a_note_holds_nothing_unsafe_is_shown(text: str, start: int, length: int) -> None:
    shown, _ = note_markdown(text, [Highlight(start, min(len(text), start + length), 1)])
    assert not UNSAFE & {t.type for t in tokens(shown)}


@pytest.mark.parametrize(
    "source",
    [
        '%%{init: {"themeCSS": "x"}}%%\nflowchart LR\n  A --> B',
        "---\nconfig:\n  look: handDrawn\n---\nflowchart LR\n  A --> B",
        'flowchart LR\n  A@{ img: "//evil.example/p.png" }',
        'flowchart LR\n  A["<img src=x>"] --> B',
        "flowchart LR\n  A --> B\n  style A fill:url(//evil.example/p.svg)",
        'flowchart LR\n  click A "https://evil.example"',
    ],
)
def test_a_diagram_that_could_load_something_is_shown_as_code(source: str) -> None:
    (fence,) = [t for t in tokens(note_markdown(f"```mermaid\n{source}\n```")[0]) if t.type == "fence"]
    assert fence.info == "text"
    assert fence.content.strip() == source


# --- our own notes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", NOTES, ids=lambda p: p.stem)
def test_every_sentence_of_our_notes_can_be_highlighted(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    body = text.index("\n# ")
    spans = [(body + a, body + b) for a, b in prose_sentences(text[body:])]
    assert len(spans) > 20
    start = 0
    while start < len(spans):
        part = section(text, *spans[start])
        inside = [(a, b) for a, b in spans if part.start <= a and b <= part.end]
        lights = [Highlight(a - part.start, b - part.start, n) for n, (a, b) in enumerate(inside, start=1)]
        shown, drawn = note_markdown(text[part.start : part.end], lights)
        assert drawn == {light.marker for light in lights}, text[part.start : part.end]
        assert not UNSAFE & {t.type for t in tokens(shown)}
        start += len(inside)


@pytest.mark.parametrize("path", NOTES, ids=lambda p: p.stem)
def test_our_diagrams_formulas_and_tables_are_shown(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    body = text[text.index("\n# ") :]
    shown = note_markdown(body)[0]
    before, after = ([b.kind for b in blocks(t)] for t in (body, shown))
    for kind in ("diagram", "formula", "table", "code", "heading"):
        assert after.count(kind) == before.count(kind)


# --- sections --------------------------------------------------------------------------------------------------------

NOTE = "---\nslug: a\ntitle: A\n---\n\nIntro one.\n\n# A\n\n## First\n\nOne. Two.\n\n## Second\n\nThree.\n"


def part(sentence: str, text: str = NOTE) -> str:
    start = text.index(sentence)
    found = section(text, start, start + len(sentence))
    assert not found.cut
    return text[found.start : found.end].strip()


def test_a_section_runs_from_its_heading_to_the_next() -> None:
    assert part("Two.") == "## First\n\nOne. Two."
    assert part("Three.") == "## Second\n\nThree."


def test_what_stands_before_the_first_heading_comes_without_the_front_matter() -> None:
    assert part("Intro one.") == "Intro one."


def test_a_heading_inside_code_does_not_end_a_section() -> None:
    text = "# A\n\nOne.\n\n```\n# not a heading\n```\n\nTwo.\n"
    assert part("One.", text) == text.strip()


def test_sentences_of_two_sections_are_shown_together() -> None:
    found = section(NOTE, NOTE.index("One."), NOTE.index("Three.") + 6)
    assert NOTE[found.start : found.end].strip() == NOTE[NOTE.index("## First") :].strip()


def test_of_a_long_section_the_lines_around_the_sentence_are_shown() -> None:
    lines = [f"Sentence number {n} of many that are here.\n\n" for n in range(2000)]
    text = "# A\n\n" + "".join(lines)
    start = text.index(lines[1000])
    found = section(text, start, start + 10)
    assert found.cut
    assert found.start < start < found.end
    assert found.end - found.start <= MAX_SECTION + 100
    assert text[found.start : found.end].startswith("Sentence number")


def test_a_note_of_megabytes_is_cut_quickly_and_holds_the_sentence() -> None:
    text = "word " * 600_000
    found = section(text, 1_500_000, 1_500_010)
    assert found.cut
    assert found.start <= 1_500_000
    assert found.end >= 1_500_010
