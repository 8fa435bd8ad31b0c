"""Reads a question: mends its typos, finds the notes and the step it names, and makes a follow-up stand alone.

All of it is code, not a model: the same question is always understood the same way. Knows no retrieval and no screen;
the index gives the names of topics and the vocabulary.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

from tutor.errors import BadQuestion
from tutor.lexical import STOPWORDS, stem, words
from tutor.ports import Index
from tutor.steps import detect_step
from tutor.types import Query, Topic

MAX_CHARS = 4000
"""A question longer than this is not one."""

IsWord = Callable[[str], bool]
"""True for a word of ordinary English: such a word is never taken for a typo."""

_PRONOUN = re.compile(
    r"\b(?:it|its|they|them|their|the (?:former|latter|same)|"
    r"(?:this|that|these|those)(?=\s*[?.!,;]|\s*$|\s+(?:in|for|with|on|at|when|if|be|is|are|work|change|get)\b))\b",
    re.IGNORECASE,
)
_OPENERS = (
    r"and|but|so|ok(?:ay)?|then|also|now|(?:what|how) about|why(?: not)?(?=\W*$)|what else|or|go on|more|anything else|"
    r"any (?:other|more)|(?:can you )?(?:explain|elaborate)|for example|such as|(?:give me an )?example"
)
_OPENER = re.compile(rf"^\W*(?:{_OPENERS})\b", re.IGNORECASE)
_ABOUT = re.compile(r"^\W*(?:and |but |so |ok(?:ay)? |then )*(?:what|how) about\s+", re.IGNORECASE)
_ELLIPTIC_WORDS, _SELF_CONTAINED_WORDS = 2, 9
"""A question that names nothing leans on the one before when it has at most this many content words, and stands alone
when it has this many; in between it may be either."""


def clean(question: str) -> str:
    """The question on one line, without control characters. Raises BadQuestion when it is empty or too long."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ud800-\udfff]+", " ", question)
    text = re.sub(r"\s+", " ", text).strip()
    if not re.search(r"\w", text):
        raise BadQuestion("The question is empty.", 'Ask in words, for example: tutor ask "How do I choose a metric?"')
    if len(text) > MAX_CHARS:
        raise BadQuestion(
            f"The question has {len(text):,} characters; at most {MAX_CHARS:,} are read.", "Ask one shorter question."
        )
    return text


def understand(question: str, history: Sequence[str], index: Index, is_word: IsWord) -> Query:
    """Understand ``question`` after the earlier questions ``history`` (oldest first). Raises BadQuestion."""
    asked = clean(question)
    mended = mend(asked, index, is_word)
    earlier = [mend(clean(turn[:MAX_CHARS]), index, is_word) for turn in history if re.search(r"\w", turn)]
    standalone, context = mended, ""
    if earlier:
        own = [t for t in named_topics(mended, index) if t.kind != "framework"]
        content = len([w for w in words(mended) if w not in STOPWORDS])
        if _leans(mended) or (not own and content <= _ELLIPTIC_WORDS):
            standalone = _standalone(mended, own, earlier, index)
        elif not own and content < _SELF_CONTAINED_WORDS:
            context = f"{_ended(earlier[-1])} {mended}"
    shown = asked if standalone == mended else standalone
    topics = named_topics(standalone, index)
    return Query(asked, shown, standalone, topics, detect_step(standalone), context, own_text=mended)


def _leans(question: str) -> bool:
    """True when the question begins like an afterthought or has a pronoun that nothing in it explains."""
    return bool(_OPENER.match(question)) or (bool(_PRONOUN.search(question)) and not _points_inside(question))


def mend(text: str, index: Index, is_word: IsWord) -> str:
    """``text`` with each word that is neither English nor in the notes replaced by the nearest word of the notes.

    Nearest by optimal string alignment distance: at most 1 edit for words of 4-6 letters, 2 for longer ones; among
    equals the one made of most of the same letters.
    """

    def mended(match: re.Match[str]) -> str:
        word = match.group()
        low = word.lower()
        if len(low) < 4 or index.knows(low) or is_word(low) or low in STOPWORDS:
            return word
        return _nearest(low, index.vocabulary()) or word

    return re.sub(r"(?<![\w'’])[^\W\d_]+(?![\w'’])", mended, text)


def _nearest(word: str, vocabulary: Sequence[str]) -> str | None:
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    cutoff = 1 if len(word) <= 6 else 2
    near = process.extract(word, vocabulary, scorer=OSA.distance, score_cutoff=cutoff, limit=8)
    found_words = ((str(found), edits) for found, edits, _ in near)
    same_start = [(found, edits) for found, edits in found_words if found[0] == word[0] and found not in STOPWORDS]
    if not same_start:
        return None

    def unlike(candidate: tuple[str, float]) -> tuple[float, int]:
        found, edits = candidate
        difference = Counter(word)
        difference.subtract(found)
        return edits, sum(map(abs, difference.values()))

    return min(same_start, key=unlike)[0]


def named_topics(text: str, index: Index) -> tuple[Topic, ...]:
    """The notes whose title or alias occurs in ``text`` as whole words, longest name first; a name inside a longer
    match does not count."""
    haystack = " " + " ".join(_name_words(text)) + " "
    found: list[tuple[int, int, Topic]] = []
    for topic, names in index.topics():
        for name in names:
            needle = " " + " ".join(_name_words(name)) + " "
            at = haystack.find(needle) if len(needle) > 3 else -1
            if at >= 0:
                found.append((at, at + len(needle), topic))
    found.sort(key=lambda f: (f[0] - f[1], f[0]))
    kept: list[tuple[int, int, Topic]] = []
    for start, end, topic in found:
        inside = any(start >= s and end <= e and (start, end) != (s, e) for s, e, _ in kept)
        if not inside and all(topic.note != t.note for _, _, t in kept):
            kept.append((start, end, topic))
    return tuple(topic for _, _, topic in kept)


@lru_cache(maxsize=65536)
def _name_words(text: str) -> tuple[str, ...]:
    return tuple(stem(part) for part in re.findall(r"[^\W_]+", text.lower()))


def _standalone(question: str, own: Sequence[Topic], earlier: Sequence[str], index: Index) -> str:
    """``question`` with what it leaves out put in from the turns before."""
    content = [w for w in words(question) if w not in STOPWORDS]
    pronoun = bool(_PRONOUN.search(question)) and not _points_inside(question)
    if any(t.kind == "case-study" for t in own):  # it says itself what it is about
        return question
    subject = _subject(earlier, index, needs_case=bool(own))
    if subject is None:  # nothing named to put in: the question before is the context
        return question if own else f"{_ended(earlier[-1])} {question}"
    if subject.lower() in question.lower() or any(t.title == subject for t in own):
        return question
    named = subject if subject[1:2].isupper() else subject[0].lower() + subject[1:]
    if pronoun:
        return _without_opener(_PRONOUN.sub(named, question, count=1))
    about = _ABOUT.sub("", question)
    if len(content) <= 1 and not own and about == question:  # "why?", "go on": the question before, asked further
        return f"{_ended(earlier[-1])} {question}"
    joiner = "in" if own or about != question else "for"
    return f"{_without_opener(about).rstrip(' ?.!…')} {joiner} {named}?"


def _points_inside(question: str) -> bool:
    """True when a pronoun can refer to something in the question itself: "when a feature drifts, does it…"."""
    match = _PRONOUN.search(question)
    before = [w for w in words(question[: match.start()]) if w not in STOPWORDS] if match else []
    return len(before) >= 3


def _subject(earlier: Sequence[str], index: Index, needs_case: bool) -> str | None:
    """The title of what the turns before named last: a case rather than a concept, and only a case when the question
    brings a concept of its own."""
    for turn in reversed(earlier):
        # framework notes are named by everyday words of the field ("evaluation"), which are no subject
        topics = [t for t in named_topics(turn, index) if t.kind != "framework"]
        case = next((t for t in topics if t.kind == "case-study"), None)
        if case is not None:
            return case.title
        if topics and not needs_case:
            return topics[0].title
    return None


def _without_opener(text: str) -> str:
    return re.sub(r"^\W*(?:and|but|so|ok(?:ay)?|then|also)\b[,\s]*", "", text, flags=re.IGNORECASE)


def _ended(text: str) -> str:
    return text if text[-1] in ".?!" else text + "?"
