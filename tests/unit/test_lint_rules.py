"""The corpus's rules for what one note says: prose, tables, numbers, citations, diagrams; each broken by one change."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ingest.lint import lint
from tests.unit.sample_notes import CASE, DIAGRAM, HASHING, STEP, changed, corpus, line_of, note, pieces, with_words

# --- prose -----------------------------------------------------------------------------------------------------------


def test_long_sentences_and_paragraphs_are_named_with_their_line() -> None:
    fits = " ".join(["Word", *["word"] * 39]) + "."
    assert corpus(with_words(fits)) == []
    problems = corpus(with_words("Short one.\n" + "More " + fits.lower()))
    assert [(p.line, p.problem[:31]) for p in problems] == [
        (line_of(with_words("Short one."), "Short one.") + 1, "a sentence of 41 words; at most")
    ]
    assert [
        p.problem for p in corpus(with_words(" ".join(["Ten words stand in this one sentence right here now."] * 13)))
    ] == ["a paragraph of 130 words; at most 120"]


def test_code_and_formulas_count_as_one_word_of_a_sentence() -> None:
    span = "`" + " + ".join(["1"] * 30) + " = 30`"
    assert corpus(with_words("The sum " + "is long " * 15 + span + ".")) == []


@pytest.mark.parametrize(
    "opening",
    [
        "It is fast.",
        "They fail.",
        "This shifts the score.",
        "This often means more.",
        "These are few.",
        "Those need care.",
    ],
)
def test_a_section_does_not_open_without_its_subject(opening: str) -> None:
    text = with_words(f"### Why hashing fails\n\nHashing is fast. {opening}\n\nLater paragraphs are free. It is so.")
    assert [p.problem for p in corpus(text)] == [f'a sentence opens without its subject: "{opening}"']
    assert [p.line for p in corpus(text)] == [line_of(text, "Hashing is fast.")]


@pytest.mark.parametrize(
    "opening",
    [
        "This loss is small.",
        "This analysis holds.",
        "These models fail.",
        "Items fail.",
        "This table compares.",
        "IT is ours.",
    ],
)
def test_a_pronoun_with_its_noun_may_open(opening: str) -> None:
    assert corpus(with_words(f"### Why hashing fails\n\n{opening}")) == []


# --- tables, HTML, numbers, citations --------------------------------------------------------------------------------


def test_tables_have_six_rows_at_most() -> None:
    table = "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 6
    assert corpus(with_words(table)) == []
    assert [p.problem for p in corpus(with_words(table + "| 1 | 2 |"))] == ["a table of 7 rows; at most 6"]


@pytest.mark.parametrize("html", ["<b>bold</b>", "a line<br/>", "<!-- hidden -->", "<div>\nblock\n</div>"])
def test_raw_html_is_named(html: str) -> None:
    assert any("raw HTML" in p.problem for p in corpus(with_words(f"Words here.\n\n{html}")))


def test_what_only_looks_like_html_is_fine() -> None:
    assert corpus(with_words("A size a < b and c > d, `<b>` in code, $a<b>c$ and <https://example.org>.")) == []


def test_arithmetic_is_evaluated() -> None:
    text = with_words("The size is `2 * 3 = 6`.\n\nThe cost is `2 * 3 = 7`.")
    problems = corpus(text)
    assert [p.line for p in problems] == [line_of(text, "The cost")]
    assert "comes to 6" in problems[0].problem


@pytest.mark.parametrize(
    "citation",
    [
        "(Guo et al., 2017)",
        "(see Guo et al., 2017)",
        "(Niculescu-Mizil and Caruana, 2005; Guo et al., 2017)",
        "(van den Goorbergh et al., 2022)",
        "(Järvelin\nand Kekäläinen, 2002)",
        "(Platt, 1999)",
        "by Guo et al. (2017)",
        "In Niculescu-Mizil and Caruana (2005)",
        "(Jayaram Subramanya et al., 2019)",
        "(in the year 2016)",
        "(from May 2018 to June 2019)",
        "[a link](https://example.org/Smith,2001)",
        "`(Smith, 2001)`",
    ],
)
def test_citations_with_a_source_are_fine(citation: str) -> None:
    names = [
        ("Niculescu-Mizil and Caruana", 2005),
        ("van den Goorbergh et al.", 2022),
        ("Järvelin and Kekäläinen", 2002),
        ("John Platt", 1999),
        ("Jayaram Subramanya et al.", 2019),
    ]
    more = "".join(
        f'  - {{title: "T of {name}", authors: "{name}", year: {year}, venue: "V"}}\n' for name, year in names
    )
    text = changed(HASHING, "sources:\n", "sources:\n" + more)
    problems = [p for p in corpus(text + f"\nHashing is known {citation}.\n") if "never cites" not in p.problem]
    assert problems == []


@pytest.mark.parametrize(
    ("citation", "named"),
    [
        ("(Guo et al., 2018)", "(Guo et al., 2018)"),
        ("(Guu et al., 2017)", "(Guu et al., 2017)"),
        ("(Guo et al., 2017; Smith and Jones, 2001)", "(Smith and Jones, 2001)"),
        ("(Smith, 2001b)", "(Smith, 2001)"),
        ("as Smith et al. (2001) show", "(Smith et al., 2001)"),
        ("as Smith and Jones (2001) show", "(Smith and Jones, 2001)"),
        ("(*de Souza et al.*, 2001)", "(de Souza et al., 2001)"),
    ],
)
def test_citations_without_a_source_are_named(citation: str, named: str) -> None:
    text = with_words(f"Hashing is known {citation}.")
    assert [(p.line, p.problem) for p in corpus(text)] == [
        (line_of(text, "Hashing is known"), f"{named} is not among the sources")
    ]


# --- diagrams and chunks ---------------------------------------------------------------------------------------------


def test_case_studies_and_framework_notes_have_diagrams() -> None:
    assert [p.problem for p in corpus(case=changed(CASE, DIAGRAM, ""))] == ["1 diagrams; at least 2"]
    assert [p.problem for p in corpus(step=STEP.replace(DIAGRAM, ""))] == ["0 diagrams; at least 1"]
    assert corpus(hashing=HASHING.replace(DIAGRAM, "")) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("flowchart LR", "graph LR", "must begin with"),
        ("flowchart LR", "flowchart RL", "must begin with"),
        ('A["Query"]', "A[Query]", "without quotes"),
        ('A["Query"]', 'A["Query<br/>text"]', "HTML in a diagram"),
        ('A["Query"]', "A(Query)", "without quotes"),
        ("  B -->", "  style A fill:#fff\n  B -->", "styling"),
        ("  B -->", "  A:::big\n  B -->", "styling"),
        ("  B -->", "  D --> E & F & G\n  H --> I --> J --> K --> L --> M -.-> N ==> O\n  B -->", "15 nodes"),
    ],
)
def test_a_diagram_is_held_to_its_rules(old: str, new: str, said: str) -> None:
    problems = corpus(changed(HASHING, old, new))
    assert len(problems) == 1
    assert said in problems[0].problem
    assert problems[0].line >= line_of(HASHING, "flowchart")


def test_nodes_are_counted_once_and_subgraphs_not_at_all() -> None:
    inner = "\n".join(f'  N{at}["n"] --> N{at + 1}["n"]' for at in range(10))
    text = changed(
        HASHING, "  B -->", f'  subgraph G["group one"]\n  direction LR\n{inner}\n  end\n  %% a note\n  B -->'
    )
    assert corpus(text) == []


def test_a_fence_that_is_never_closed_is_named() -> None:
    text = with_words("```python\nx")
    assert [(p.line, p.problem) for p in corpus(text)] == [
        (line_of(text, "```python"), "a fenced block is never closed")
    ]


def test_blocks_that_do_not_fit_the_embedder_are_named() -> None:
    cells = "| " + "· " * 290 + " | b |\n"
    text = with_words(f"| a | b |\n|---|---|\n{cells}")
    problems = corpus(text)
    assert [p.line for p in problems] == [line_of(text, "| a | b |")]
    assert problems[0].problem.startswith("a table of ")
    assert problems[0].problem.endswith("at most 256")


# --- reading level, and mermaid --------------------------------------------------------------------------------------


def test_a_note_of_long_words_is_hard_to_read() -> None:
    long = " ".join(["Internationalisation characteristically necessitates organisational transformations."] * 12)
    assert any("reads like school grade" in p.problem for p in corpus(with_words("\n\n".join([long] * 12))))


def test_what_mermaid_says_is_given_with_the_diagrams_line() -> None:
    text = with_words('```mermaid\nflowchart LR\n  A["one"] --> B["two"]\n```')
    seen: list[str] = []

    def parse(sources: Sequence[str]) -> list[str | None]:
        seen.extend(sources)
        return ["no such arrow" if "two" in source else None for source in sources]

    problems = lint([note(text, "concept", "hashing")], pieces, diagram_errors=parse)
    assert (line_of(text, '```mermaid\nflowchart LR\n  A["one"]'), "mermaid cannot draw this: no such arrow") in {
        (p.line, p.problem) for p in problems
    }
    assert 'flowchart LR\n  A["one"] --> B["two"]' in seen
