"""Checks a drafted sentence against the notes' own sentences, by words alone.

A claim is compared with the few evidence sentences that cover it best: which of its words, numbers and names do they
not hold, does a negation differ, are its words joined as they are joined there. A logistic regression over these
features gives the probability of support; its weights are fitted by `evals/calibrate_grounding.py` on planted errors.
Similarity of embeddings is left out on purpose: on human-labelled answers it judges support worse than counting novel
words. Knows no index, no model and no screen.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass

from tutor import calibration
from tutor.lexical import STOPWORDS, stem, words
from tutor.types import Check

MAX_EVIDENCE = 3
"""A sentence that fuses more than this many sentences of the notes is not checked as one claim."""

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)
_ARITHMETIC = re.compile(r"[\d)]\s*[*/^+×]\s*[\d(]|[=≈]\s*[\d(]")
_NUMBER_WORDS = dict(zip("one two three four five six seven eight nine ten".split(), range(1, 11), strict=True))
_SCALE = {"thousand": 1e3, "k": 1e3, "million": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9, "b": 1e9, "trillion": 1e12}
NEGATIONS = frozenset(
    "not no never none nor neither cannot without hardly rarely seldom lacks lack fails fail avoid except unless "
    "isn't aren't don't doesn't didn't won't can't couldn't shouldn't wouldn't wasn't weren't hasn't haven't".split()
)
_QUANTIFIERS = frozenset("all always every only any most must entirely completely exactly least best worst".split())
CONDITIONS = frozenset("if when unless only usually often may might can could sometimes mostly assume until".split())
_DIRECTION = (
    "increase decrease",
    "rise fall",
    "higher lower",
    "high low",
    "more less",
    "more fewer",
    "before after",
    "above below",
    "larger smaller",
    "large small",
    "faster slower",
    "fast slow",
    "better worse",
    "improve degrade",
    "online offline",
    "positive negative",
    "over under",
    "raise reduce",
    "raise lower",
    "increase reduce",
    "first last",
    "maximum minimum",
    "maximise minimise",
    "overfit underfit",
    "cheap expensive",
    "early late",
)
_POINTING = frozenset(word for pair in _DIRECTION for word in pair.split()) | frozenset(
    "every each once twice most few some many several both with or".split()
)
"""Stop words that carry the meaning of a claim: they count as content."""
_BRACKET = re.compile(r"\([^()]*\)")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3})")
_OPPOSITES: dict[str, set[str]] = {}
for _pair in _DIRECTION:
    _one, _other = (stem(w) for w in _pair.split())
    _OPPOSITES.setdefault(_one, set()).add(_other)
    _OPPOSITES.setdefault(_other, set()).add(_one)


def opposite_words() -> list[tuple[str, str]]:
    """The pairs of opposites, both ways."""
    pairs = [(one, other) for one, other in (pair.split() for pair in _DIRECTION)]
    return pairs + [(other, one) for one, other in pairs]


@dataclass(frozen=True, slots=True)
class Features:
    """What the checker sees of a claim beside its evidence. Shares are in [0, 1]."""

    novel_words: float
    """Share of the claim's content words, weighted by length, that the evidence does not hold."""
    novel_count: float
    """How many content words the evidence does not hold, of at most three, as a share of three."""
    novel_numbers: float
    """1 when the claim holds a number that the evidence does not."""
    novel_names: float
    """1 when the claim holds a name or abbreviation that the evidence does not."""
    negation: float
    """1 when exactly one of claim and nearest evidence is negated around shared words."""
    opposite: float
    """1 when the claim says one of a pair of opposites and its nearest evidence only the other."""
    quantifier: float
    """1 when the claim holds "all", "always", "only" and the like, and its evidence does not."""
    lost_start: float
    """1 when the claim leaves out the word that its nearest evidence begins with: "choose", "avoid", a subject."""
    lost_condition: float
    """1 when the nearest evidence hedges or sets a condition ("usually", "when", "only") and the claim does not."""
    broken_pairs: float
    """Share of the claim's neighbouring content words and numbers that are no neighbours in the evidence."""


@dataclass(frozen=True, slots=True)
class _Text:
    """One text taken apart."""

    sequence: tuple[str, ...]
    runs: tuple[tuple[str, ...], ...]
    stems: frozenset[str]
    numbers: frozenset[float]
    names: frozenset[str]
    negations: int
    all_words: frozenset[str]


class LexicalChecker:
    """The first-layer checker: cheap (well under a millisecond a claim) and strict with small models' inventions."""

    def __init__(self, weights: calibration.Logistic | None = None) -> None:
        self._weights = weights or calibration.load().grounding

    def check(self, claim: str, evidence: Sequence[str]) -> Check:
        """See ports.GroundingChecker."""
        read = [_read(e) for e in evidence]
        parts = _read(claim)
        if not parts.stems or not read:
            return Check(False, 0.0, (), "no overlap")
        at = _copied(claim, evidence)
        if at is not None:
            return Check(True, 1.0, (at,))
        if _ARITHMETIC.search(claim):  # one factor changed, and every number may still be in the notes
            return Check(False, 0.0, (), "arithmetic differs from evidence")
        chosen = _best_evidence(parts, read)
        if not chosen:
            return Check(False, 0.0, (), "no overlap")
        features = compare(parts, [read[i] for i in chosen])
        score = self._weights.probability(astuple(features))
        supported = score >= self._weights.threshold
        return Check(supported, score, tuple(chosen), "" if supported else _reason(features))


def _copied(claim: str, evidence: Sequence[str]) -> int | None:
    """Which evidence the claim is word for word, if any."""
    wanted = " ".join(claim.rstrip(".").split())
    return next((at for at, text in enumerate(evidence) if wanted == " ".join(text.rstrip(".").split())), None)


def features(claim: str, evidence: Sequence[str]) -> Features | None:
    """The features of a claim beside the evidence that covers it best; None when nothing overlaps."""
    read = [_read(e) for e in evidence]
    parts = _read(claim)
    chosen = _best_evidence(parts, read) if parts.stems and read else []
    return compare(parts, [read[i] for i in chosen]) if chosen else None


def _read(text: str) -> _Text:
    sequence = tuple(_tokens(text))
    spaced = _spaced(text)
    bare = tuple(_tokens(_BRACKET.sub(" ", text)))
    return _Text(
        sequence,
        tuple(run for run in {sequence, bare} if run),
        frozenset(token for token in sequence if not token[0].isdigit()),
        frozenset(numbers(text)),
        frozenset(_names(text)),
        sum(w in NEGATIONS for w in spaced),
        frozenset(spaced),
    )


def _tokens(text: str) -> Iterator[str]:
    """Stems of the content words and of words that give a direction, and the numbers, in their order."""
    for word in words(_GROUPED.sub("", text)):
        if word[0].isdigit():
            yield word.rstrip(".,")
        elif word not in NEGATIONS and (word not in STOPWORDS or word in _POINTING):
            yield stem(word)


def _spaced(text: str) -> list[str]:
    return re.findall(r"[a-z]+(?:['’][a-z]+)?", text.lower().replace("’", "'"))


def numbers(text: str) -> set[float]:
    """The numbers of a text as values: "1,000", "1e3" and "1 thousand" are the same; "two" is 2."""
    found: set[float] = set()
    for match in _NUMBER.finditer(text):
        try:
            value = float(match.group().replace(",", ""))
        except ValueError:
            continue
        after = re.match(r"\s*(thousand|million|billion|trillion|bn|[kmb])\b", text[match.end() :], re.IGNORECASE)
        found.add(abs(value) * (_SCALE[after.group(1).lower()] if after else 1.0))
    return found | {float(_NUMBER_WORDS[w]) for w in _spaced(text) if w in _NUMBER_WORDS and w != "one"}


def _names(text: str) -> set[str]:
    """Words written as names: with a capital inside a sentence, or with two capitals (GBDT, LambdaMART)."""
    found: set[str] = set()
    for match in re.finditer(r"[^\W\d_]\w*", text):
        word = match.group()
        opens = not text[: match.start()].strip() or text[: match.start()].rstrip()[-1] in ".!?:"
        if word.lower() in STOPWORDS:
            continue
        capitals = sum(c.isupper() for c in word)
        if capitals >= 2 or (capitals == 1 and word[0].isupper() and not opens and len(word) > 1):
            found.add(stem(word.lower()))
    return found


def _weight(word: str) -> float:
    return min(len(word), 8) / 8


def _best_evidence(claim: _Text, evidence: Sequence[_Text]) -> list[int]:
    """Greedily the evidence that covers most of the claim's words and numbers, best first; each must add something."""
    missing = set(claim.stems)
    missing_numbers = set(claim.numbers)
    chosen: list[int] = []
    while len(chosen) < min(MAX_EVIDENCE, len(evidence)):
        gains = {i: _gain(missing, missing_numbers, evidence[i]) for i in range(len(evidence)) if i not in chosen}
        best = max(gains, key=lambda i: gains[i])
        needed = 0.0 if not chosen else 0.15 * sum(_weight(w) for w in claim.stems)
        if gains[best] <= needed:
            break
        chosen.append(best)
        missing -= evidence[best].stems
        missing_numbers -= evidence[best].numbers
    return chosen


def _gain(missing: set[str], missing_numbers: set[float], evidence: _Text) -> float:
    overlap = sum(_weight(w) for w in missing & evidence.stems) + len(missing_numbers & evidence.numbers)
    return overlap - 0.001 * len(evidence.stems) if overlap else 0.0  # of two that cover the same, the shorter


def compare(claim: _Text, evidence: Sequence[_Text]) -> Features:
    """The features of a claim beside chosen evidence, the nearest first."""
    held = frozenset().union(*(e.stems for e in evidence))
    held_words = frozenset().union(*(e.all_words for e in evidence))
    held_numbers = frozenset().union(*(e.numbers for e in evidence))
    total = sum(_weight(w) for w in claim.stems)
    novel = claim.stems - held
    nearest = evidence[0]
    flipped = any(
        other in nearest.stems and word not in nearest.stems
        for word in claim.stems
        for other in _OPPOSITES.get(word, ())
    )
    negated = (claim.negations > 0) != any(e.negations > 0 for e in evidence) or (
        len(evidence) == 1 and claim.negations > nearest.negations
    )
    return Features(
        novel_words=sum(_weight(w) for w in novel) / total if total else 1.0,
        novel_count=min(len(novel), 3) / 3,
        novel_numbers=float(any(not _near(n, held_numbers) for n in claim.numbers)),
        novel_names=float(bool({n for n in claim.names if n not in held})),
        negation=float(negated),
        opposite=float(flipped),
        quantifier=float(bool((claim.all_words & _QUANTIFIERS) - held_words)),
        lost_start=float(bool(nearest.sequence) and nearest.sequence[0] not in claim.sequence),
        lost_condition=float(bool((nearest.all_words & CONDITIONS) - claim.all_words)),
        broken_pairs=_broken_pairs(claim.sequence, evidence),
    )


def _near(number: float, held: frozenset[float]) -> bool:
    return any(math.isclose(number, h, rel_tol=1e-9) for h in held)


def _broken_pairs(sequence: tuple[str, ...], evidence: Sequence[_Text]) -> float:
    """Share of neighbouring words that are no neighbours in the evidence.

    A bracket in the evidence may be left out, and one sentence may be joined to another; a word left out in the middle
    breaks a pair, as it should: "matters little when" without "little" says the opposite.
    """
    pairs = list(itertools.pairwise(sequence))
    if not pairs:
        return 0.0
    together = {pair for text in evidence for run in text.runs for pair in itertools.pairwise(run)}
    ends = {run[-1] for text in evidence for run in text.runs}
    starts = {run[0] for text in evidence for run in text.runs}
    joined = {(end, start) for end in ends for start in starts}
    return sum(pair not in together and pair not in joined for pair in pairs) / len(pairs)


def _reason(found: Features) -> str:
    if found.novel_numbers:
        return "number not in evidence"
    if found.novel_names:
        return "name not in evidence"
    if found.opposite:
        return "direction differs from evidence"
    if found.negation:
        return "negation differs from evidence"
    if found.novel_words > 0.3:
        return "words not in evidence"
    if found.quantifier:
        return "stronger than evidence"
    if found.lost_condition:
        return "condition of evidence left out"
    return "words joined differently than in evidence"
