"""The interview bank: files become values, what cannot be used is named with its line, and each rule can be broken."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from ingest.lint_bank import lint_bank
from tests.unit.sample_bank import as_yaml, bank, case_note
from tutor.errors import BankProblem, UnknownName
from tutor.interview.bank import Section, cases, load, parse
from tutor.interview.terms import holds
from tutor.types import STEPS

Form = dict[str, Any]
FIRST = "clarify-requirements"


def problems(form: Form, path: str = "/x/image-search.yaml") -> list[str]:
    return [p.problem for p in lint_bank([parse(as_yaml(form), path)], [case_note()])]


def test_a_file_becomes_an_interview_in_the_order_of_the_framework() -> None:
    form = bank()
    form["steps"] = dict(reversed(form["steps"].items()))
    read = parse(as_yaml(form), "image-search.yaml")
    assert [step.step for step in read.steps] == list(STEPS)
    first = read.step(FIRST).criteria[0]
    assert first.section == Section("case-studies/image-search", "Evaluation")
    assert (first.step, first.level, first.weight) == (FIRST, "mid", 3)
    assert read.relations[0].inputs[1].value == 128


def test_a_sound_bank_breaks_no_rule() -> None:
    assert problems(bank()) == []


@pytest.mark.parametrize(
    ("change", "line_holds", "said"),
    [
        (lambda f: f.pop("opening"), None, "opening"),
        (lambda f: f["steps"].pop("evaluation"), "steps", "the step evaluation is missing"),
        (lambda f: f["steps"].update(extra=deepcopy(f["steps"][FIRST])), "steps", "'extra' is not a framework step"),
        (lambda f: f["steps"][FIRST]["criteria"][1].update(weight=9), "weight: 9", "less than or equal to 5"),
        (
            lambda f: f["steps"][FIRST]["criteria"][1].update(level="boss"),
            "level: boss",
            "must be 'mid',",
        ),
        (lambda f: f["steps"][FIRST]["criteria"][1].update(colour="red"), "colour", "is not a key that is known"),
        (
            lambda f: f["steps"][FIRST]["criteria"][1].update(section="Evaluation"),
            "section: Evaluation",
            "must be a note",
        ),
        (lambda f: f["facts"][2].update(answer="  "), "answer", "is empty"),
        (lambda f: f["capacity"][0]["inputs"]["width"].update(value=-1), "value: -1", "greater than 0"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(
    change: Callable[[Form], object], line_holds: str | None, said: str
) -> None:
    form = bank()
    change(form)
    text = as_yaml(form)
    with pytest.raises(BankProblem) as caught:
        parse(text, "image-search.yaml")
    assert said in caught.value.message
    if line_holds is not None:
        assert line_holds in text.splitlines()[caught.value.line - 1]


def test_broken_yaml_and_yaml_that_explodes_are_refused() -> None:
    for text in ("case: [", "a: &a [1]\nb: *a", "- 1"):
        with pytest.raises(BankProblem):
            parse(text, "x.yaml")


def test_an_unknown_case_names_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "interviews").mkdir()
    (tmp_path / "interviews" / "image-search.yaml").write_text(as_yaml(bank()), encoding="utf-8")
    assert list(cases([tmp_path])) == ["image-search"]
    assert load("image-search", [tmp_path]).title == "Image search"
    with pytest.raises(UnknownName) as caught:
        load("../secrets", [tmp_path])
    assert "image-search" in caught.value.hint


def _criterion(form: Form, at: int = 0) -> Form:
    found: Form = form["steps"][FIRST]["criteria"][at]
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.update(opening="Serve 5 users."), "gives a number away"),
        (lambda f: f["facts"].pop(), "9 facts; 10 to 16"),
        (lambda f: f["facts"][0]["asks"].pop(), "2 ways to ask"),
        (lambda f: f["steps"][FIRST].update(minutes=8), "the steps take 44 minutes"),
        (lambda f: _criterion(f).update(id="evaluation-0"), "'evaluation-0' is given 2 times"),
        (lambda f: _criterion(f).update(section="case-studies/image-search#Nowhere"), "no heading 'Nowhere'"),
        (lambda f: _criterion(f).update(section="concepts/none#Definition"), "no note concepts/none"),
        (lambda f: f["steps"][FIRST]["criteria"].pop(), "5 criteria; 6 to 10"),
        (lambda f: f["steps"][FIRST]["negatives"].pop(), "1 negatives; 2 to 4"),
        (lambda f: _criterion(f, 3).update(level="staff") or _criterion(f, 2).update(level="staff"), "fewer than half"),
        (lambda f: _criterion(f)["says"].pop(), "4 other wordings"),
        (lambda f: _criterion(f)["wrong"].pop(), "1 wordings in `wrong`"),
        (lambda f: _criterion(f).update(partly=[]), "no vaguer wording"),
        (lambda f: _criterion(f)["hints"].pop(), "2 hints"),
        (lambda f: _criterion(f).update(statement="Choose something cheap."), "lacks one of its own terms"),
        (lambda f: _criterion(f)["says"].insert(0, "something cheap"), "lacks one of its criterion's terms"),
        (lambda f: _criterion(f).update(probe="Why clarifyone widgets?"), "probe gives one of the terms away"),
        (lambda f: _criterion(f)["hints"].__setitem__(0, "Widget: clarifyone widget."), "first hint gives one"),
        (lambda f: f["steps"][FIRST]["negatives"][0]["says"].pop(), "1 other wordings"),
        (lambda f: _criterion(f, 1)["says"].append(_criterion(f)["says"][0] + " clarifytwo widget"), "nearly the same"),
        (lambda f: f["capacity"][0].update(formula="images * speed"), "'speed' is not one of its inputs"),
        (lambda f: f["capacity"][0].update(formula="images * images"), "is not in the formula"),
        (lambda f: f["capacity"][0]["inputs"]["images"].update(value=7), "nowhere works out"),
    ],
)
def test_each_rule_can_be_broken(change: Callable[[Form], object], said: str) -> None:
    form = bank()
    change(form)
    assert any(said in problem for problem in problems(form)), problems(form)


def test_the_file_is_named_after_its_case() -> None:
    assert any("not the file's name" in p for p in problems(bank(), "/x/other.yaml"))


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("We split by time.", True),
        ("Splitting by times.", True),
        ("a time-based split", True),
        ("time passes, then we split", False),
        ("timing splits", False),
    ],
)
def test_terms_are_found_in_any_form_but_only_as_a_phrase(text: str, held: bool) -> None:
    assert holds(text, [["time-based split", "split by time"]]) is held
    assert holds(text, [])
