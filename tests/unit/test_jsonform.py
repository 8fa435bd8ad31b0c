"""The JSON of answers and passages: as documented, field by field."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.answer_schema import DOCS, SCHEMA, assert_quotes, assert_valid, problems
from tests.sample_corpus import Corpus, chunk, open_corpus, scripted
from tutor.answer import Request, ask
from tutor.jsonform import answer_json, line_of, passages_json

DEFINITION = "Calibration is the agreement between predicted probabilities and observed frequencies."


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(tmp_path_factory.mktemp("jsonform"))


@pytest.fixture(scope="module")
def answered(corpus: Corpus) -> dict[str, Any]:
    return answer_json(ask(Request("What is calibration?"), corpus.parts()))


def answers(corpus: Corpus) -> list[dict[str, Any]]:
    drafts = [DEFINITION, "Kaggle winners love 97 trees.", ""]
    return [
        *(answer_json(ask(Request("What is calibration?", id="7"), corpus.parts(scripted(d)))) for d in drafts),
        answer_json(ask(Request("How would you evaluate it?", ("Design visual search",)), corpus.parts())),
        answer_json(ask(Request("How do whales sleep?"), corpus.parts())),
        answer_json(ask(Request("How do whales sleep?"), corpus.parts(scripted("Whales sleep in the deep sea.")))),
    ]


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_kind_of_answer_is_of_the_documented_shape(corpus: Corpus) -> None:
    found = answers(corpus)
    for answer in found:
        assert_valid(json.loads(json.dumps(answer, allow_nan=False)))
        assert_valid(answer, "batch_line")
        assert_quotes(answer)
    assert {a["abstained"] for a in found} == {True, False}
    assert {a["engine"] for a in found} == {"llama", "extractive"}
    assert any(a["notices"] for a in found)
    assert any(a["nearest"] for a in found)


def test_the_id_is_there_only_when_the_question_had_one(corpus: Corpus) -> None:
    found = answers(corpus)
    assert found[0]["id"] == "7"
    assert "id" not in found[3]


def test_fields_hold_what_their_names_say(corpus: Corpus) -> None:
    request = Request("And how is it served?", ("How would you design visual search?",), k=3)
    answer = ask(request, corpus.parts())
    found = answer_json(answer)
    assert found["question"] == "And how is it served?"
    assert "visual search" in found["standalone_question"].lower()
    assert [p["rank"] for p in found["passages"]] == [1, 2, 3]
    assert [c["marker"] for c in found["citations"]] == list(range(1, len(answer.citations) + 1))
    assert [c["text"] for c in found["claims"]] == [c.text for c in answer.claims]
    assert {m for c in found["claims"] for m in c["citations"]} == {c["marker"] for c in found["citations"]}
    assert found["passages"][0]["note"] == "case-studies/visual-search"
    assert "rejected" not in found, "drafts that nobody may see"


def without(field: str) -> Callable[[dict[str, Any]], None]:
    def remove(answer: dict[str, Any]) -> None:
        del answer[field]

    return remove


def with_(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    *parents, last = path.split(".")

    def put(answer: dict[str, Any]) -> None:
        at: Any = answer
        for name in parents:
            at = at[int(name)] if name.isdigit() else at[name]
        at[last] = value

    return put


@pytest.mark.parametrize(
    "change",
    [
        *(without(field) for field in SCHEMA["$defs"]["answer"]["required"]),
        with_("surprise", 1),
        with_("id", 7),
        with_("answer", ""),
        with_("engine", "gpt"),
        with_("abstained", "no"),
        with_("abstained", True),  # but there are claims
        with_("claims", []),  # but it does not abstain
        with_("claims.0.verdict", "probably"),
        with_("claims.0.score", 1.5),
        with_("claims.0.citations", ["1"]),
        with_("citations.0.marker", 0),
        with_("citations.0.start", -1),
        with_("citations.0.quote", ""),
        with_("citations.0.url", "x"),
        with_("passages.0.score", None),
        with_("passages.0.bm25", 1.0),
        with_("timings_ms", {}),
        with_("timings_ms.total", -1),
        with_("notices", [""]),
    ],
)
def test_the_schema_refuses_what_is_not_documented(
    answered: dict[str, Any], change: Callable[[dict[str, Any]], None]
) -> None:
    assert problems(answered) == []
    changed = copy.deepcopy(answered)
    change(changed)
    assert problems(changed)


def test_a_batch_error_is_no_answer_and_an_answer_no_error(answered: dict[str, Any]) -> None:
    error = {"id": "a", "line": 3, "error": {"message": "The question is empty.", "hint": "Ask in words."}}
    assert_valid(error, "batch_error")
    assert_valid(error, "batch_line")
    assert problems(error)
    assert problems(answered, "batch_error")
    assert problems({"line": 3, "error": {"message": "x"}}, "batch_line")


def test_search_results_are_the_answer_s_passages(corpus: Corpus, answered: dict[str, Any]) -> None:
    passages = passages_json(ask(Request("What is calibration?"), corpus.parts()).passages)
    assert passages == answered["passages"]
    assert_valid({"question": "q", "standalone_question": "q", "passages": passages}, "search")
    assert_valid({"question": "q", "standalone_question": "q", "passages": []}, "search")


def test_a_place_is_named_by_title_and_heading_but_not_twice() -> None:
    assert line_of(chunk("c", note="concepts/recall", heading="Definition")) == "Recall › Definition"
    assert line_of(chunk("c", note="concepts/recall", heading="Recall")) == "Recall"


# --- the document ----------------------------------------------------------------------------------------------------


def documented(section: str) -> set[str]:
    """The fields in the table under a heading of docs/json.md."""
    text = (DOCS / "json.md").read_text(encoding="utf-8")
    body = re.split(r"^#{2,3} ", text[text.index(section) + len(section) :], maxsplit=1, flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| (`[^|]+) \|", body, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize(
    ("section", "shape"),
    [
        ("## `tutor ask --json", "answer"),
        ("### A citation", "citation"),
        ("### A claim", "claim"),
        ("### A passage", "passage"),
        ("### A topic", "topic"),
        ("## `tutor search --json", "search"),
    ],
)
def test_the_document_names_exactly_the_fields_of_the_schema(section: str, shape: str) -> None:
    assert documented(section) == set(SCHEMA["$defs"][shape]["properties"])


def test_the_document_names_the_fields_of_a_batch() -> None:
    error = set(SCHEMA["$defs"]["batch_error"]["properties"])
    assert documented("## `tutor ask --batch") == error | {"question", "history"}
