"""Checks names that people type (a case, a step, a note) against what the index holds, and offers the nearest."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from tutor.errors import UnknownName
from tutor.ports import Index
from tutor.types import STEPS, Filter, Topic


def check_filter(where: Filter, index: Index) -> None:
    """Raise UnknownName unless the filter's case and step exist."""
    if where.step is not None and where.step not in STEPS:
        raise unknown("step", where.step, list(STEPS))
    if where.case is not None:
        cases = [topic.slug for topic, _ in index.topics() if topic.kind == "case-study"]
        if where.case not in cases:
            raise unknown("case", where.case, cases)


def find_note(name: str, index: Index) -> Topic:
    """The note with this id or slug. Raises UnknownName."""
    topics = [topic for topic, _ in index.topics()]
    for topic in topics:
        if name in (topic.note, topic.slug):
            return topic
    raise unknown("note", name, [t.slug for t in topics] + [t.note for t in topics])


def unknown(what: str, name: str, known: Sequence[str]) -> UnknownName:
    """The error for a name that is not among ``known``, with the nearest ones."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"Did you mean {', '.join(near)}?" if near else f"Known: {', '.join(sorted(known)[:12]) or 'none yet'}."
    return UnknownName(f"There is no {what} {name!r}.", hint)
