"""The rules of ``corpus/INTERVIEWS.md``: what a file of the interview bank is held to.

What cannot even be read is told by ``tutor.interview.bank``. This module reads no files and knows no session.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from tutor import arithmetic
from tutor.errors import NoteProblem
from tutor.interview.bank import Criterion, Interview, Negative, Relation, Section, StepBank
from tutor.interview.terms import holds, missing
from tutor.lexical import stems
from tutor.markdown import blocks
from tutor.types import Note
from tutor.yamlform import KeyPath, line_of

MINUTES = 45
FACTS = (10, 16)
CRITERIA = (6, 10)
NEGATIVES = (2, 4)
RELATIONS = (3, 6)
SAYS = 3
WORDINGS = 5
"""Other wordings of a criterion, note-form ones included."""
WRONG = 2
HINTS = 3

SAME = 0.6
"""Sentences of two criteria whose sets of content stems have at least this Jaccard similarity say the same."""

_Found = Iterator[tuple[KeyPath, str]]


def lint_bank(interviews: Sequence[Interview], notes: Sequence[Note]) -> list[NoteProblem]:
    """Every breach of the bank's rules, ordered by file and line. ``notes`` are those that sections may name."""
    headings = {note.id: _headings(note) for note in notes}
    results = {note.id: _results(note) for note in notes}
    problems: set[tuple[str, int, str]] = set()
    for interview in interviews:
        for path, problem in _problems(interview, headings, results):
            problems.add((interview.path, line_of(interview.lines, path), problem))
    return [NoteProblem(*problem) for problem in sorted(problems)]


def relation_value(relation: Relation, values: Mapping[str, float]) -> float:
    """The result of a relation for values of its inputs. Raises ValueError when the formula is not arithmetic."""

    def number(match: re.Match[str]) -> str:
        if match.group() not in values:
            raise ValueError(f"{match.group()!r} is not one of its inputs")
        return f"({values[match.group()]!r})"

    return float(arithmetic.evaluate(re.sub(r"[a-z_]+", number, relation.formula)))


def _problems(
    interview: Interview, headings: Mapping[str, frozenset[str]], results: Mapping[str, Sequence[float]]
) -> _Found:
    note = f"case-studies/{interview.case}"
    if Path(interview.path).stem != interview.case:
        yield ("case",), f"the case {interview.case} is not the file's name"
    if note not in headings:
        yield ("case",), f"there is no note {note}"
    if re.search(r"\d", interview.opening):
        yield ("opening",), "the opening gives a number away"
    yield from _counted(("facts",), len(interview.facts), FACTS, "facts")
    yield from _counted(("capacity",), len(interview.relations), RELATIONS, "relations")
    for at, fact in enumerate(interview.facts):
        if len(fact.asks) < SAYS:
            yield ("facts", at, "asks"), f"{len(fact.asks)} ways to ask; at least {SAYS}"
    if (minutes := sum(step.minutes for step in interview.steps)) != MINUTES:
        yield ("steps",), f"the steps take {minutes:g} minutes; {MINUTES} are wanted"
    yield from _ids(interview)
    yield from _sections(interview, headings)
    for step in interview.steps:
        yield from _step(step)
    yield from _overlap(interview)
    for at, relation in enumerate(interview.relations):
        yield from _relation(("capacity", at), relation, results.get(relation.section.note, ()))


def _counted(path: KeyPath, count: int, bounds: tuple[int, int], what: str) -> _Found:
    if not bounds[0] <= count <= bounds[1]:
        yield path, f"{count} {what}; {bounds[0]} to {bounds[1]} are wanted"


def _ids(interview: Interview) -> _Found:
    marked = [c.id for step in interview.steps for c in step.criteria]
    marked += [n.id for step in interview.steps for n in step.negatives]
    for ids in (marked, [fact.id for fact in interview.facts], [relation.id for relation in interview.relations]):
        for id_, times in Counter(ids).items():
            if times > 1:
                yield (), f"the id {id_!r} is given {times} times"


def _sections(interview: Interview, headings: Mapping[str, frozenset[str]]) -> _Found:
    places: list[tuple[KeyPath, Section]] = [
        (("capacity", at, "section"), r.section) for at, r in enumerate(interview.relations)
    ]
    for step in interview.steps:
        for key in ("criteria", "negatives"):
            places += [(("steps", step.step, key, at, "section"), x.section) for at, x in enumerate(getattr(step, key))]
    for path, section in places:
        if section.note not in headings:
            yield path, f"there is no note {section.note}"
        elif section.heading.casefold() not in headings[section.note]:
            yield path, f"{section.note} has no heading {section.heading!r}"


def _step(step: StepBank) -> _Found:
    root: KeyPath = ("steps", step.step)
    yield from _counted((*root, "criteria"), len(step.criteria), CRITERIA, "criteria")
    yield from _counted((*root, "negatives"), len(step.negatives), NEGATIVES, "negatives")
    if sum(c.level == "mid" for c in step.criteria) * 2 < len(step.criteria):
        yield (*root, "criteria"), "fewer than half of the criteria are expected of everyone (level: mid)"
    for at, criterion in enumerate(step.criteria):
        yield from _criterion((*root, "criteria", at), criterion)
    for at, negative in enumerate(step.negatives):
        yield from _negative((*root, "negatives", at), negative)


def _criterion(path: KeyPath, criterion: Criterion) -> _Found:
    if len(criterion.says) < WORDINGS:
        yield (*path, "says"), f"{len(criterion.says)} other wordings; at least {WORDINGS}"
    if len(criterion.wrong) < WRONG:
        yield path, f"{len(criterion.wrong)} wordings in `wrong`; at least {WRONG}"
    if not criterion.partly:
        yield path, "there is no vaguer wording in `partly`"
    if len(criterion.hints) != HINTS:
        yield (*path, "hints"), f"{len(criterion.hints)} hints; {HINTS} are wanted"
    if criterion.terms:
        if not holds(criterion.statement, criterion.terms):
            yield (*path, "statement"), "lacks one of its own terms"
        for at, wording in enumerate(criterion.says):
            if not holds(wording, criterion.terms):
                yield (*path, "says", at), "lacks one of its criterion's terms"
        asked = {"probe": criterion.probe, "the first hint": criterion.hints[0]}
        for name, text in asked.items():
            if missing(text, criterion.terms) < len(criterion.terms):
                yield path, f"{name} gives one of the terms away"


def _negative(path: KeyPath, negative: Negative) -> _Found:
    if len(negative.says) < WRONG:
        yield (*path, "says"), f"{len(negative.says)} other wordings; at least {WRONG}"


def _overlap(interview: Interview) -> _Found:
    """Sentences of different criteria or negatives that say the same."""
    said: list[tuple[KeyPath, str, frozenset[str]]] = []
    for step in interview.steps:
        for at, c in enumerate(step.criteria):
            path: KeyPath = ("steps", step.step, "criteria", at)
            said += [(path, c.id, frozenset(stems(text))) for text in (c.statement, *c.says, *c.wrong)]
        for at, n in enumerate(step.negatives):
            path = ("steps", step.step, "negatives", at)
            said += [(path, n.id, frozenset(stems(text))) for text in (n.claim, *n.says)]
    for (_, one, first), (path, two, second) in combinations(said, 2):
        if one != two and len(first & second) >= SAME * len(first | second) > 0:
            yield path, f"{two} says nearly the same as {one}"


def _relation(path: KeyPath, relation: Relation, results: Sequence[float]) -> _Found:
    try:
        value = relation_value(relation, {quantity.name: quantity.value for quantity in relation.inputs})
    except ValueError as error:
        yield (*path, "formula"), str(error)
        return
    unused = [q.name for q in relation.inputs if not re.search(rf"\b{q.name}\b", relation.formula)]
    if unused:
        yield (*path, "inputs"), f"{unused[0]!r} is not in the formula"
    if not any(abs(value - result) <= 0.02 * abs(value) for result in results):
        yield (*path, "formula"), f"comes to {value:g}, which {relation.section.note} nowhere works out"


def _headings(note: Note) -> frozenset[str]:
    """The paths of a note's headings under its title, lower-cased."""
    found: set[str] = set()
    above: list[tuple[int, str]] = []
    for block in blocks(note.text[note.body_start :]):
        if block.kind == "heading" and block.level > 1:
            above = [(level, title) for level, title in above if level < block.level]
            above.append((block.level, block.title))
            found.add(" > ".join(title for _, title in above).casefold())
    return frozenset(found)


def _results(note: Note) -> tuple[float, ...]:
    """Every number that the note's arithmetic comes to."""
    found: list[float] = []
    for _, span in arithmetic.spans(note.text, note.body_start):
        for side in re.split(r"[=≈]", span):
            try:
                found.append(float(arithmetic.evaluate(side)))
            except (ValueError, OverflowError):
                continue
    return tuple(found)
