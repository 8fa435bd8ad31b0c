"""Reads a question: mends its typos, finds the notes and the step it names, and makes a follow-up stand alone.

All of it is code, not a model: the same question is always understood the same way. Knows no retrieval and no screen;
the index gives the names of topics and the vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

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
    r"\b(?:it|its|that|this|they|them|these|those|there|one|the (?:former|latter|same|above|second|first))\b",
    re.IGNORECASE,
)
_OPENERS = (
    r"and|but|so|ok(?:ay)?|then|also|now|(?:what|how) about|why(?: not)?(?=\W*$)|what else|or|go on|more|anything else|"
    r"any (?:other|more)|(?:can you )?(?:explain|elaborate)|for example|such as|(?:give me an )?example"
)
_OPENER = re.compile(rf"^\W*(?:{_OPENERS})\b", re.IGNORECASE)
_ABOUT = re.compile(r"^\W*(?:and |but |so |ok(?:ay)? |then )*(?:what|how) about\s+", re.IGNORECASE)
_SELF_CONTAINED_WORDS = 5


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


def understand(
    question: str,
    history: Sequence[str],
    index: Index,
    is_word: IsWord,
    topic_of: Callable[[str], Topic | None],
) -> Query:
    """Understand ``question`` after the earlier questions ``history`` (oldest first).

    ``topic_of`` names the best note for an earlier question that names none itself. Raises BadQuestion.
    """
    asked = clean(question)
    earlier = [clean(turn) for turn in history if re.search(r"\w", turn)]
    mended = mend(asked, index, is_word)
    standalone = _standalone(mended, earlier, index, is_word, topic_of) if earlier else mended
    topics = named_topics(standalone, index)
    case = next((t.slug for t in topics if t.kind == "case-study"), None)
    shown = asked if standalone == mended else standalone
    return Query(asked, shown, standalone, topics, detect_step(standalone), case)


def mend(text: str, index: Index, is_word: IsWord) -> str:
    """``text`` with each word that is neither English nor in the notes replaced by the nearest word of the notes.

    Nearest by optimal string alignment distance: at most 1 edit for words of 4-6 letters, 2 for longer ones.
    """
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    vocabulary = index.vocabulary()
    known = set(vocabulary)

    def mended(match: re.Match[str]) -> str:
        word = match.group()
        low = word.lower()
        if len(low) < 4 or low in known or stem(low) in known or is_word(low) or low in STOPWORDS:
            return word
        cutoff = 1 if len(low) <= 6 else 2
        best = process.extractOne(low, vocabulary, scorer=OSA.distance, score_cutoff=cutoff)
        return str(best[0]) if best and str(best[0])[0] == low[0] else word

    return re.sub(r"[^\W\d_]+", mended, text)


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


def _name_words(text: str) -> list[str]:
    return [stem(part) for part in re.findall(r"[^\W_]+", text.lower())]


def _standalone(
    question: str, earlier: Sequence[str], index: Index, is_word: IsWord, topic_of: Callable[[str], Topic | None]
) -> str:
    """``question`` with what it leaves out put in from the turns before; unchanged when it leaves nothing out."""
    own = named_topics(question, index)
    content = [w for w in words(question) if w not in STOPWORDS]
    leans = bool(_OPENER.match(question)) or (bool(_PRONOUN.search(question)) and not _points_inside(question))
    if not leans and (own or len(content) >= _SELF_CONTAINED_WORDS):
        return question
    subject = _subject(earlier, index, is_word, topic_of, needs_case=bool(own))
    if subject is None or any(t.title == subject for t in own) or subject.lower() in question.lower():
        return question
    about = _ABOUT.sub("", question)
    if about != question or own:
        return f"{_stripped(about)} in {subject}?" if own or about != question else question
    replaced, count = _PRONOUN.subn(subject, question, count=1)
    if count and not re.search(r"\b(?:is|are) there\b", question, re.IGNORECASE):
        return re.sub(r"^\W*(?:and|but|so|ok(?:ay)?|then|also)\b[,\s]*", "", replaced, flags=re.IGNORECASE)
    if len(content) <= 1:  # "why?", "go on": the question before, asked further
        return f"{_stripped(mend(earlier[-1], index, is_word))}: {_stripped(question)}?"
    return f"{_stripped(question)} for {subject}?"


def _points_inside(question: str) -> bool:
    """True when a pronoun can refer to something in the question itself: "a model that…", "when X drifts, does it…"."""
    match = _PRONOUN.search(question)
    before = [w for w in words(question[: match.start()]) if w not in STOPWORDS] if match else []
    return len(before) >= 3


def _subject(
    earlier: Sequence[str],
    index: Index,
    is_word: IsWord,
    topic_of: Callable[[str], Topic | None],
    needs_case: bool,
) -> str | None:
    """The title of what the turns before were about: a case when the question brings its own concept."""
    turns = [mend(turn, index, is_word) for turn in earlier]
    fallback: str | None = None
    for turn in reversed(turns):
        topics = named_topics(turn, index)
        case = next((t for t in topics if t.kind == "case-study"), None)
        if case is not None:
            return case.title
        if topics and not needs_case:
            return topics[0].title
        fallback = fallback or (topics[0].title if topics else None)
    if fallback is None:
        topic = topic_of(turns[-1])
        fallback = topic.title if topic else None
    return fallback


def _stripped(text: str) -> str:
    text = re.sub(r"^\W*(?:and|but|so|ok(?:ay)?|then|also)\b[,\s]*", "", text, flags=re.IGNORECASE)
    return text.rstrip(" ?.!…")
