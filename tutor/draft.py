"""Lets a language model word an answer, and lets nothing through that the evidence does not support.

The model is handed chosen sentences of the notes and fuses them. Its text is cut into sentences as it streams; each is
checked, and then shown, replaced by the note's own sentence, or dropped. Knows no retrieval and no screen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tutor import prompts
from tutor.citations import unmarked
from tutor.lexical import stems
from tutor.markdown import plain, sentences
from tutor.ports import GroundingChecker
from tutor.types import Check, Claim, Evidence, Message

if TYPE_CHECKING:
    from tutor.ports import Generator

ANSWER_TOKENS = 320
"""Room kept for the answer when the prompt is budgeted."""

MAX_SENTENCES = 5
SMALL_FACTS = 4
"""Sentences that a small model can hold together; with more it loses the thread (tried 4, 5 and 7)."""

MAX_REJECTED = 3
"""After this many sentences in a row that the evidence does not support, the model is not asked for more."""

REPLACE_SHARE = 0.35
"""A rejected sentence that shares this much of its words with evidence is replaced by that evidence."""

REPEAT_SHARE = 0.7
"""Two sentences that share this much of their words say the same."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A language model with its budget. ``count`` gives the prompt tokens of messages. A ``large`` one is handed the
    question and whole passages; a small one the best few sentences, to be joined."""

    name: str
    chat: Generator
    context: int
    count: Callable[[Sequence[Message]], int]
    large: bool = False


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence that may be shown, with the evidence that supports it."""

    text: str
    check: Check
    evidence: tuple[Evidence, ...]
    drafted: bool = True


def within_budget(question: str, facts: Sequence[Evidence], writer: Writer) -> list[Evidence]:
    """The leading facts whose prompt leaves room for the answer in the model's context. At least one is kept."""
    low, high = 1, len(facts)
    while low < high:
        middle = (low + high + 1) // 2
        tokens = writer.count(_prompt(question, facts[:middle], writer))
        low, high = (middle, high) if tokens + ANSWER_TOKENS <= writer.context else (low, middle - 1)
    return list(facts[:low])


def _prompt(question: str, facts: Sequence[Evidence], writer: Writer) -> list[Message]:
    texts = [f.plain for f in facts]
    return prompts.draft(question, texts) if writer.large else prompts.fuse(texts)


def write(
    question: str, facts: Sequence[Evidence], writer: Writer, checker: GroundingChecker
) -> Iterator[Sentence | Claim]:
    """Yield a Sentence for each that may be shown and a Claim for each that was rejected, as the model streams.

    Raises what the model raises (a TutorError); what was yielded before stands.
    """
    texts = [f.plain for f in facts]
    tokens = writer.chat.stream(_prompt(question, facts, writer))
    shown: list[Sentence] = []
    rejected_in_a_row = 0
    for drafted in split_stream(str(chunk.text) for chunk in tokens):
        text = plain(unmarked(drafted))
        if len(text.split()) < 4 or text.endswith(("?", ":")):
            continue
        check = checker.check(text, texts)
        sentence: Sentence | None = Sentence(text, check, tuple(facts[i] for i in check.evidence))
        if not check.supported:
            yield Claim(text, "unsupported", (), check.score, check.reason)
            sentence = _own_words(text, facts, shown, checker)
            rejected_in_a_row += 1
        else:
            rejected_in_a_row = 0
        if sentence is not None and not _repeats(sentence.text, shown):
            opening = _opening(sentence, facts, checker) if not shown else None
            for item in (opening, sentence):
                if item is not None and not _repeats(item.text, shown):
                    shown.append(item)
                    yield item
        if len(shown) >= MAX_SENTENCES or rejected_in_a_row >= MAX_REJECTED:
            break


def _opening(first: Sentence, facts: Sequence[Evidence], checker: GroundingChecker) -> Sentence | None:
    """The best fact in the note's own words, when the model's first sentence does not rest on it: an answer opens with
    what answers best, whatever order the model chose."""
    best = max(facts, key=lambda f: f.score)
    return None if best in first.evidence else quoted(best, checker)


def quoted(evidence: Evidence, checker: GroundingChecker) -> Sentence | None:
    """A sentence of the notes as a sentence of the answer; None if the checker, which reads words, can make nothing of
    it."""
    check = checker.check(evidence.plain, [evidence.plain])
    return Sentence(evidence.plain, check, (evidence,), drafted=False) if check.supported else None


def uncovered(facts: Sequence[Evidence], shown: Sequence[Sentence]) -> list[Evidence]:
    """The facts that no shown sentence rests on or repeats."""
    used = {(e.path, e.start) for sentence in shown for e in sentence.evidence}
    return [f for f in facts if (f.path, f.start) not in used and not _repeats(f.plain, shown)]


def _own_words(
    text: str, facts: Sequence[Evidence], shown: Sequence[Sentence], checker: GroundingChecker
) -> Sentence | None:
    """The sentence of the notes that a rejected draft was about, if there is one that was not said yet."""
    said = set(stems(text))
    left = uncovered(facts, shown)
    if not left or not said:
        return None
    best = max(left, key=lambda f: _share(said, set(stems(f.plain))))
    return quoted(best, checker) if _share(said, set(stems(best.plain))) >= REPLACE_SHARE else None


def _share(a: set[str], b: set[str]) -> float:
    return len(a & b) / min(len(a), len(b)) if a and b else 0.0


def _repeats(text: str, shown: Sequence[Sentence]) -> bool:
    own = set(stems(text))
    for sentence in shown:
        other = set(stems(sentence.text))
        if own and len(own & other) / len(own | other) >= REPEAT_SHARE:
            return True
    return False


_LIST_MARK = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")


def split_stream(pieces: Iterator[str]) -> Iterator[str]:
    """Finished sentences of a text that arrives in pieces. A last sentence without an end mark was cut off and is not
    given out."""
    buffer = ""
    for piece in pieces:
        buffer += piece
        while "\n" in buffer:
            line, buffer = buffer.split("\n", 1)
            yield from _sentences(_LIST_MARK.sub("", line))
        spans = sentences(buffer)
        if len(spans) > 1:
            done = spans[-1][0]
            yield from _sentences(_LIST_MARK.sub("", buffer[:done]))
            buffer = buffer[done:]
    yield from (s for s in _sentences(_LIST_MARK.sub("", buffer)) if re.search(r"[.!?…][\"'”’)\]]*$", s))


def _sentences(text: str) -> Iterator[str]:
    for start, end in sentences(text):
        yield text[start:end].strip()
