"""Front matter: what is read, and the line of what is refused."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.frontmatter import MAX_BYTES, FrontMatter, FrontMatterError, parse

FULL = """---
slug: two-tower
title: Two-tower models
kind: concept
summary: One sentence.
aliases: [dual encoder, "bi-encoder", DSSM]
steps: [frame-ml-problem, model-development]
cases: []
concepts:
  - negative-sampling
sources:
  - {title: "Learning Deep Structured Semantic Models", authors: "Huang et al.", year: 2013, venue: "CIKM"}
---
# Two-tower models
"""


def outcome(text: str) -> tuple[int, FrontMatterError | None]:
    """Where the body begins, or the error."""
    try:
        return parse(text)[1], None
    except FrontMatterError as error:
        return 0, error


def refusal(text: str) -> FrontMatterError:
    with pytest.raises(FrontMatterError) as caught:
        parse(text)
    return caught.value


def test_reads_every_field_and_where_the_body_begins() -> None:
    front, start = parse(FULL)
    assert (front.slug, front.title, front.kind) == ("two-tower", "Two-tower models", "concept")
    assert front.aliases == ("dual encoder", "bi-encoder", "DSSM")
    assert front.steps == ("frame-ml-problem", "model-development")
    assert front.cases == ()
    assert front.concepts == ("negative-sampling",)
    assert (front.sources[0].authors, front.sources[0].year) == ("Huang et al.", 2013)
    assert FULL[start:] == "# Two-tower models\n"


def test_a_text_without_front_matter_is_all_body() -> None:
    assert parse("# Title\n\nWords\n---\nmore\n---\n") == (FrontMatter(), 0)


def test_a_byte_order_mark_stays_out_of_the_body() -> None:
    assert parse("\ufeffWords")[1] == 1
    front, start = parse("\ufeff---\ntitle: Marked\n---\nWords")
    assert (front.title, start) == ("Marked", 23)


def test_knows_the_line_of_each_key_and_entry() -> None:
    front, _ = parse(FULL)
    assert front.line_of("slug") == 2
    assert front.line_of("concepts", 0) == 10
    assert front.line_of("sources", 0, "year") == 12
    assert front.line_of("nothing") == 1


def test_scalars_are_taken_as_written() -> None:
    front, _ = parse("---\ntitle: 2024-02-31\naliases: [1e3, yes, 0x10]\n---\n")
    assert front.title == "2024-02-31"
    assert front.aliases == ("1e3", "yes", "0x10")


def test_keys_of_other_tools_and_empty_values_are_ignored() -> None:
    front, _ = parse("---\nlayout: post\ndate: 2024-13-45\ntags:\n  - a\naliases:\ncssclass: {a: [1, 2]}\n---\n")
    assert not front.model_dump(exclude_defaults=True)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("---\ntitle: open\n", 1, "never closed"),
        ("---\ntitle: A: B\n---\n", 2, "colon"),
        ("---\n\n\ttitle: x\n---\n", 3, "broken"),
        ("---\n- a\n---\n", 2, "key: value"),
        ("---\n\njust words\n---\n", 3, "key: value"),
        ("---\ntitle: a\n\ntitle: b\n---\n", 4, "given twice"),
        ("---\nother: {a: 1,\n  a: 2}\n---\n", 3, "given twice"),
        ("---\nslug: Two Tower\n---\n", 2, "lower-case words"),
        ("---\nslug: two--tower\n---\n", 2, "lower-case words"),
        ("---\nkind: daily\n---\n", 2, "'framework', 'case-study', 'concept' or 'note'"),
        ("---\naliases: one\n---\n", 2, "list"),
        ("---\naliases:\n  - fine\n  - [nested]\n---\n", 4, "text"),
        ("---\ntitle: [a]\n---\n", 2, "text"),
        ('---\ntitle: ""\n---\n', 2, "empty"),
        ("---\nsteps:\n  - evaluation\n  - evaluating\n---\n", 4, "not a framework step"),
        ("---\nsources:\n  - {title: T, authors: A, venue: V}\n---\n", 3, "year: is missing"),
        ("---\nsources:\n  - title: T\n    authors: A\n    year: soon\n    venue: V\n---\n", 5, "whole number"),
        ("---\nsources: [https://example.org]\n---\n", 2, "pairs"),
        ('---\ntitle: "bell\\x07"\n---\n', 2, "control character"),
        ('---\ntitle: "\\ud800"\n---\n', 2, "control character"),
        ("---\na: b\ntitle: \x01\n---\n", 3, "U+0001"),
        ("---\n? [a]\n: b\n---\n", 2, "key must be a word"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, said: str) -> None:
    error = refusal(text)
    assert error.line == line
    assert said in error.problem


def test_aliases_that_explode_are_refused_before_anything_is_built() -> None:
    levels = "\n".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]" for n in range(9))
    error = refusal(f"---\ntitle: Laughs\na: &a [ha, ha, ha]\n{levels}\n---\n")
    assert (error.line, "anchors are not allowed" in error.problem) == (3, True)
    assert "aliases are not allowed" in refusal("---\ntitle: *x\n---\n").problem


def test_tags_are_refused() -> None:
    error = refusal("---\ntitle: x\nrun: !!python/object/apply:os.system [ls]\n---\n")
    assert (error.line, "tags are not allowed" in error.problem) == (3, True)


@pytest.mark.parametrize(
    "nest", ["[" * 30_000, "{a: " * 15_000, "- " * 30_000, "\n".join(" " * n + "a:" for n in range(300))]
)
def test_deep_nesting_is_refused_quickly(nest: str) -> None:
    begun = time.monotonic()
    assert "nested" in refusal(f"---\na:\n {nest}\n---\n").problem
    assert time.monotonic() - begun < 5


def test_front_matter_of_64_kb_is_the_most() -> None:
    room = MAX_BYTES - len("title: \n")
    front, _ = parse(f"---\nother: {'x' * (room)}\n---\n")
    assert not front.model_dump(exclude_defaults=True)
    assert "64 KB" in refusal(f"---\nother: {'x' * (room + 1)}\n---\n").problem
    assert "64 KB" in refusal(f"---\nother: {'ü' * (room // 2 + 1)}\n---\n").problem


def test_a_problem_never_quotes_a_whole_note() -> None:
    assert len(refusal(f"---\nslug: {'Z' * 5000}\n---\n").problem) <= 300


YAML_LIKE = st.text(alphabet=st.sampled_from("ab: -[]{},\"'#&*!|>?%@`\n\t\\x0u\u2028\x85ü"), max_size=80)


@settings(deadline=None)
@given(st.one_of(st.text(max_size=200), YAML_LIKE))
def test_raises_nothing_but_its_own_error(text: str) -> None:
    for whole in (text, f"---\n{text}\n---\nbody"):
        start, error = outcome(whole)
        assert 0 <= start <= len(whole)
        assert error is None or 1 <= error.line <= whole.count("\n") + 1


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["slug", "title", "kind", "aliases", "steps", "sources"]), YAML_LIKE))
def test_known_keys_with_any_value_raise_nothing_else(values: dict[str, str]) -> None:
    text = "---\n" + "\n".join(f"{key}: {value}" for key, value in values.items()) + "\n---\n"
    start, error = outcome(text)
    assert start <= len(text)
    assert error is None or 1 <= error.line <= text.count("\n") + 1
