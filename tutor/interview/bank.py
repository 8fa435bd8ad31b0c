"""The interview bank: for each case what the interviewer says, what it knows, and what a good answer holds.

One YAML file per case, ``interviews/<case>.yaml`` beside the notes; ``corpus/INTERVIEWS.md`` says how one is
written. This module turns a file into frozen values and knows no session, no marking and no screen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from tutor.errors import BankProblem, UnknownName
from tutor.types import STEPS
from tutor.yamlform import KeyPath, YamlProblem, broken_form, read_yaml

FOLDER = "interviews"
"""The folder beside the notes that holds the bank."""

MAX_BYTES = 1_000_000
"""A longer file is refused."""

Seniority: TypeAlias = Literal["mid", "senior", "staff"]
SENIORITIES: tuple[Seniority, ...] = ("mid", "senior", "staff")


@dataclass(frozen=True, slots=True)
class Section:
    """Where the notes teach something: a note's path without suffix, and its path of headings joined by `` > ``."""

    note: str
    heading: str


@dataclass(frozen=True, slots=True)
class Fact:
    """What the interviewer tells when asked. ``asks`` are questions that a candidate might put."""

    id: str
    asks: tuple[str, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that a good answer to a step says.

    ``statement`` and ``says`` (other wordings) earn the whole ``weight`` (1 to 5), ``partly`` (vaguer or half wordings)
    earn half, ``wrong`` (the same subject, wrong in substance) nothing. Each group of ``terms`` must be met by one of
    its words or phrases, when there are any. ``level`` is the seniority from which the criterion is expected; below it,
    meeting it is a bonus. ``probe`` asks for it without naming it; ``hints`` go from a nudge to the idea.
    """

    id: str
    step: str
    statement: str
    says: tuple[str, ...]
    partly: tuple[str, ...]
    wrong: tuple[str, ...]
    terms: tuple[tuple[str, ...], ...]
    weight: int
    level: Seniority
    probe: str
    hints: tuple[str, ...]
    section: Section


@dataclass(frozen=True, slots=True)
class Negative:
    """A claim that loses ``cost`` points of weight (1 to 5). ``challenge`` is what the interviewer asks back."""

    id: str
    step: str
    claim: str
    says: tuple[str, ...]
    cost: int
    challenge: str
    section: Section


@dataclass(frozen=True, slots=True)
class Quantity:
    """One input of a relation: its assumed value and the words that stand beside it in an answer."""

    name: str
    value: float
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """How a capacity number follows from others. ``formula`` uses the inputs' names and ``+ - * / ^ ( )``.

    ``unit`` is that of the result, e.g. ``bytes`` or ``per second``; ``words`` stand beside it in an answer.
    """

    id: str
    name: str
    formula: str
    unit: str
    words: tuple[str, ...]
    inputs: tuple[Quantity, ...]
    section: Section


@dataclass(frozen=True, slots=True)
class StepBank:
    """What one step of a case asks, marks and refuses. ``minutes`` is its share of a 45-minute interview."""

    step: str
    minutes: float
    ask: str
    criteria: tuple[Criterion, ...]
    negatives: tuple[Negative, ...]


@dataclass(frozen=True, slots=True)
class Interview:
    """A case of the bank. ``steps`` are in the order of the framework; ``lines`` gives the line of each entry."""

    case: str
    title: str
    opening: str
    facts: tuple[Fact, ...]
    steps: tuple[StepBank, ...]
    relations: tuple[Relation, ...]
    path: str
    lines: Mapping[KeyPath, int]

    def step(self, slug: str) -> StepBank:
        """The step with this slug. Raises KeyError when there is none."""
        for bank in self.steps:
            if bank.step == slug:
                return bank
        raise KeyError(slug)


def cases(roots: Sequence[Path]) -> dict[str, Path]:
    """Every case that can be sat, by slug: the YAML files in ``interviews/`` beside the notes of ``roots``."""
    found: dict[str, Path] = {}
    for root in roots:
        for path in sorted((root / FOLDER).glob("*.yaml")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def load(case: str, roots: Sequence[Path]) -> Interview:
    """The interview on ``case``. Raises UnknownName when there is none and BankProblem when it cannot be read."""
    known = cases(roots)
    if case not in known:
        listed = ", ".join(known) or "none: there is no interviews folder beside the notes"
        raise UnknownName(f"There is no interview on {case!r}.", f"The cases are: {listed}.")
    return read(known[case])


def read(path: Path) -> Interview:
    """The interview in one file. Raises BankProblem, with the line, when it cannot be used."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BankProblem(str(path), 0, f"is longer than {MAX_BYTES // 1000} KB")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BankProblem(str(path), 0, "is not UTF-8 text") from None
    except OSError as error:
        raise BankProblem(str(path), 0, f"cannot be read: {error.strerror}") from None
    return parse(text, str(path))


def parse(text: str, path: str) -> Interview:
    """The interview in ``text``. Raises BankProblem, with the line in ``path``, when it cannot be used."""
    try:
        data, lines = read_yaml(text)
    except YamlProblem as problem:
        raise BankProblem(path, problem.line, problem.problem) from None
    try:
        form = _Form.model_validate(data)
    except ValidationError as error:
        broken = broken_form(error, lines)
        raise BankProblem(path, broken.line, broken.problem) from None
    return Interview(
        case=form.case,
        title=form.title,
        opening=form.opening,
        facts=tuple(Fact(f.id, f.asks, f.answer) for f in form.facts),
        steps=tuple(_step(slug, form.steps[slug]) for slug in STEPS),
        relations=tuple(_relation(relation) for relation in form.capacity),
        path=path,
        lines=lines,
    )


# --- the form of a file ----------------------------------------------------------------------------------------------


def _spaced(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _section(value: str) -> str:
    note, mark, heading = value.partition("#")
    if not (note and mark and heading):
        raise ValueError(f"{value!r} must be a note and a heading, such as case-studies/visual-search#Evaluation")
    return value


_Text = Annotated[str, BeforeValidator(_spaced), StringConstraints(min_length=1, max_length=2_000)]
_Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
_Texts = tuple[_Text, ...]
_Where = Annotated[_Text, AfterValidator(_section)]
_Points = Annotated[int, Field(ge=1, le=5)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _FactForm(_Strict):
    id: _Id
    asks: Annotated[_Texts, Field(min_length=1)]
    answer: _Text


class _CriterionForm(_Strict):
    id: _Id
    statement: _Text
    says: Annotated[_Texts, Field(min_length=1)]
    partly: _Texts = ()
    wrong: _Texts = ()
    terms: tuple[Annotated[_Texts, Field(min_length=1)], ...] = ()
    weight: _Points
    level: Seniority = "mid"
    probe: _Text
    hints: Annotated[_Texts, Field(min_length=1, max_length=4)]
    section: _Where


class _NegativeForm(_Strict):
    id: _Id
    claim: _Text
    says: _Texts = ()
    cost: _Points
    challenge: _Text
    section: _Where


class _StepForm(_Strict):
    minutes: Annotated[float, Field(gt=0, le=60)]
    ask: _Text
    criteria: Annotated[tuple[_CriterionForm, ...], Field(min_length=1)]
    negatives: tuple[_NegativeForm, ...] = ()


class _QuantityForm(_Strict):
    value: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    words: Annotated[_Texts, Field(min_length=1)]


class _RelationForm(_Strict):
    id: _Id
    name: _Text
    formula: _Text
    unit: _Text
    words: Annotated[_Texts, Field(min_length=1)]
    inputs: dict[Annotated[str, StringConstraints(pattern=r"^[a-z_]+$")], _QuantityForm]
    section: _Where


def _all_steps(steps: dict[str, _StepForm]) -> dict[str, _StepForm]:
    if missing := [slug for slug in STEPS if slug not in steps]:
        raise ValueError(f"the step {missing[0]} is missing")
    if unknown := [slug for slug in steps if slug not in STEPS]:
        raise ValueError(f"{unknown[0]!r} is not a framework step")
    return steps


class _Form(_Strict):
    case: _Id
    title: _Text
    opening: _Text
    facts: Annotated[tuple[_FactForm, ...], Field(min_length=1)]
    steps: Annotated[dict[str, _StepForm], AfterValidator(_all_steps)]
    capacity: tuple[_RelationForm, ...] = ()


def _step(slug: str, form: _StepForm) -> StepBank:
    return StepBank(
        step=slug,
        minutes=form.minutes,
        ask=form.ask,
        criteria=tuple(
            Criterion(step=slug, section=_place(c.section), **c.model_dump(exclude={"section"})) for c in form.criteria
        ),
        negatives=tuple(
            Negative(step=slug, section=_place(n.section), **n.model_dump(exclude={"section"})) for n in form.negatives
        ),
    )


def _relation(form: _RelationForm) -> Relation:
    return Relation(
        id=form.id,
        name=form.name,
        formula=form.formula,
        unit=form.unit,
        words=form.words,
        inputs=tuple(Quantity(name, quantity.value, quantity.words) for name, quantity in form.inputs.items()),
        section=_place(form.section),
    )


def _place(section: str) -> Section:
    note, _, heading = section.partition("#")
    return Section(note.strip(), " > ".join(part.strip() for part in heading.split(">")))
