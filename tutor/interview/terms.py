"""Whether a text holds the terms that a criterion asks for, in any form of the words.

Pure words: it knows no bank and no embedder.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tutor.lexical import stem, words


def holds(text: str, groups: Sequence[Sequence[str]]) -> bool:
    """Whether every group has a word or phrase in ``text``; True when there are no groups."""
    return not groups or missing(text, groups) == 0


def missing(text: str, groups: Sequence[Sequence[str]]) -> int:
    """How many groups have none of their words or phrases in ``text``."""
    found = _sequence(text)
    return sum(not any(_within(_sequence(term), found) for term in group) for group in groups)


@lru_cache(maxsize=8192)
def _sequence(text: str) -> tuple[str, ...]:
    return tuple(stem(word) for word in words(text))


def _within(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    if not part:
        return False
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))
