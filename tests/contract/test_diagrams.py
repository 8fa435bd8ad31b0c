"""Diagrams are parsed by the mermaid that draws them in the page."""

from __future__ import annotations

import pytest

from ingest.diagrams import can_parse, parse_errors


def test_this_machine_can_parse_diagrams() -> None:
    assert can_parse(), "Node is missing: Playwright, a development requirement, brings one"


@pytest.mark.parametrize(
    "source",
    [
        'flowchart LR\n  A["Query (text)"] -->|"top k"| B[("Index")]\n  B --> C{{"Rank"}}',
        "flowchart TD\n  subgraph one\n    A --> B\n  end",
        "sequenceDiagram\n  A->>B: hello",
    ],
)
def test_sound_diagrams_have_no_error(source: str) -> None:
    assert parse_errors([source]) == [None]


def test_each_broken_diagram_is_told_apart_from_the_sound_ones() -> None:
    sources = ["flowchart LR\n  A[open --> B", "flowchart LR\n  A --> B", "flowchart LR\n  A(a (b)) --> C", "x"]
    unclosed, sound, nested, unknown = parse_errors(sources)
    assert sound is None
    assert nested is not None
    assert str(unclosed).startswith("Parse error on line")
    assert "\n" not in str(unclosed)
    assert "No diagram type" in str(unknown)


def test_text_in_a_diagram_is_never_run() -> None:
    assert parse_errors(['flowchart LR\n  A["`${process.exit(9)}`"] --> B["\'); process.exit(9); (\'"]']) == [None]
