"""Makes claims from the notes' own sentences: faithful ones, and ones with a planted error of a known kind.

Deterministic for a seed. The claims are data for fitting and measuring the grounding checker; nobody reads them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tutor.grounding import CONDITIONS, NEGATIONS, numbers, opposite_words
from tutor.lexical import STOPWORDS

_VERB = re.compile(r"\b(is|are|was|can|should|must|does|do|has|have|needs|makes|keeps|gives|uses|shows|hides)\b")
_HEDGE = re.compile(r"\b(usually|often|typically|sometimes|may|can|mostly|some|many|most)\b")
_SYNONYMS = (
    ("because", "since"),
    ("uses", "employs"),
    ("shows", "reveals"),
    ("large", "big"),
    ("usually", "typically"),
    ("needs", "requires"),
    ("therefore", "so"),
    ("choose", "pick"),
    ("keeps", "retains"),
)
_OBJECT = {"is": "is not", "are": "are not", "can": "cannot", "should": "should not", "must": "must not"}


@dataclass(frozen=True, slots=True)
class Planted:
    """A claim beside the evidence it is checked against. ``kind`` is "ok:…" for a faithful one."""

    claim: str
    evidence: tuple[str, ...]
    kind: str

    @property
    def supported(self) -> bool:
        """True for a faithful claim."""
        return self.kind.startswith("ok:")


def plant(sections: Sequence[Sequence[str]], seed: int) -> Iterator[Planted]:
    """Claims from sections, each a list of neighbouring sentences of one note."""
    chance = random.Random(seed)  # noqa: S311 - data, not secrets
    flat = [s for section in sections for s in section]
    names = sorted({n for s in flat for n in re.findall(r"\b[A-Z][A-Za-z]*[A-Z]\w*\b", s)})
    for section in sections:
        others = [chance.choice(flat) for _ in range(3)]
        evidence = tuple(chance.sample([*section, *others], k=len(section) + len(others)))
        for at, sentence in enumerate(section):
            following = section[at + 1] if at + 1 < len(section) else None
            for kind, claim in _faithful(sentence, following, chance):
                yield Planted(claim, evidence, f"ok:{kind}")
            stranger = chance.choice(flat)
            for kind, make in _ERRORS:
                wrong = make(sentence, stranger, names, chance)
                if wrong is not None and wrong not in evidence:
                    yield Planted(wrong, evidence, kind)


def _faithful(sentence: str, following: str | None, chance: random.Random) -> Iterator[tuple[str, str]]:
    yield "verbatim", sentence
    shorter = re.sub(r"\s*\([^()]*\)", "", sentence)
    if shorter != sentence:
        yield "shortened", shorter
    if ", because " in sentence and sentence.count(",") == 1:
        claim, reason = sentence.rstrip(".").split(", because ")
        yield "reordered", f"Because {reason}, {_lower(claim)}."
    changed = sentence
    for word, other in chance.sample(_SYNONYMS, k=len(_SYNONYMS)):
        changed = re.sub(rf"\b{word}\b", other, sentence)
        if changed != sentence:
            yield "reworded", changed
            break
    if following and len(sentence.split()) + len(following.split()) < 45:
        yield "merged", f"{sentence.rstrip('.')}, and {_lower(following)}"
    cut = re.match(r"(.{40,}?), (?:so|which|while|and|but) ", sentence)
    if cut and not CONDITIONS & set(re.findall(r"[a-z]+", sentence[cut.end() :].lower())):
        yield "cut", cut.group(1) + "."


def _lower(text: str) -> str:
    return text[0].lower() + text[1:] if text[1:2].islower() else text


Maker = Callable[[str, str, Sequence[str], random.Random], str | None]


def _number(sentence: str, _: str, __: Sequence[str], chance: random.Random) -> str | None:
    found = re.search(r"\d[\d,.]*\d|\d", sentence)
    if not found or not numbers(sentence):
        return None
    factor = chance.choice([2, 3, 10, 0.5])
    value = float(found.group().replace(",", "").rstrip(".")) if found.group().count(".") < 2 else 1.0
    other = f"{value * factor + (value == 0):g}"
    return sentence[: found.start()] + other + sentence[found.end() :]


def _name(sentence: str, _: str, names: Sequence[str], chance: random.Random) -> str | None:
    own = re.findall(r"\b[A-Z][A-Za-z]*[A-Z]\w*\b", sentence)
    free = [n for n in names if n not in own]
    return sentence.replace(own[0], chance.choice(free)) if own and free else None


def _negation(sentence: str, _: str, __: Sequence[str], ___: random.Random) -> str | None:
    if set(re.findall(r"[a-z']+", sentence.lower())) & NEGATIONS:
        positive = re.sub(r"\b(not|never|cannot|no)\b ?", lambda m: "can " if m.group(1) == "cannot" else "", sentence)
        return positive if positive != sentence else None
    found = _VERB.search(sentence)
    if not found:
        return None
    verb = found.group()
    return sentence[: found.start()] + _OBJECT.get(verb, f"never {verb}") + sentence[found.end() :]


def _direction(sentence: str, _: str, __: Sequence[str], ___: random.Random) -> str | None:
    for one, other in opposite_words():
        changed = re.sub(rf"\b{one}(s|d|ed|)\b", rf"{other}\1", sentence)
        if changed != sentence:
            return changed
    return None


def _stronger(sentence: str, _: str, __: Sequence[str], chance: random.Random) -> str | None:
    changed = _HEDGE.sub(chance.choice(["always", "all"]), sentence, count=1)
    return changed if changed != sentence else None


def _unconditional(sentence: str, _: str, __: Sequence[str], ___: random.Random) -> str | None:
    """A condition or hedge left out: what holds sometimes is said to hold."""
    changed = re.sub(r"\s*,?\b(?:when|if|unless|until)\b[^,;]*(?=[,;.])", "", sentence, count=1)
    if changed == sentence or len(changed.split()) < 5:
        changed = re.sub(r"\b(?:usually|often|sometimes|mostly|only) ", "", sentence, count=1)
    return changed if changed != sentence else None


def _dropped(sentence: str, _: str, __: Sequence[str], chance: random.Random) -> str | None:
    """One or two words left out in the middle: "matters little when" becomes "matters when"."""
    words = sentence.split()
    places = [i for i in range(2, len(words) - 2) if words[i].strip(",.;:()").lower() not in STOPWORDS]
    if len(places) < 3:
        return None
    at = chance.choice(places)
    return " ".join(words[:at] + words[at + chance.choice([1, 2]) :])


def _beheaded(sentence: str, _: str, __: Sequence[str], ___: random.Random) -> str | None:
    """The verb or subject in front lost: a fragment that says nothing, or the opposite."""
    words = sentence.split()
    if len(words) < 8 or words[0].lower() in STOPWORDS:
        return None
    return " ".join([words[1].capitalize(), *words[2:]])


def _foreign(_: str, stranger: str, __: Sequence[str], ___: random.Random) -> str | None:
    return stranger


def _blend(sentence: str, stranger: str, _: Sequence[str], __: random.Random) -> str | None:
    first, second = sentence.split(), stranger.split()
    return " ".join(first[: len(first) // 2] + second[len(second) // 2 :])


def _addition(sentence: str, stranger: str, _: Sequence[str], __: random.Random) -> str | None:
    words = stranger.rstrip(".").split()
    return f"{sentence.rstrip('.')}, and {_lower(' '.join(words[:12]))}."


def _tail(sentence: str, stranger: str, _: Sequence[str], chance: random.Random) -> str | None:
    """A small, plausible item more at the end of a list or clause."""
    words = [w.strip(",.;:()") for w in stranger.split() if len(w) > 5 and w.isalpha()]
    if not words:
        return None
    return (
        f"{sentence.rstrip('.')}{chance.choice([', and other', ' and', ', such as', ' for'])} {chance.choice(words)}."
    )


def _swapped(sentence: str, _: str, __: Sequence[str], chance: random.Random) -> str | None:
    """Two longer words trade places: roles and methods confused, every word in the evidence."""
    words = sentence.split()
    places = [i for i, w in enumerate(words) if len(w.strip(",.;:")) > 5]
    if len(places) < 4:
        return None
    a, b = sorted(chance.sample(places, 2))
    if b - a < 3:
        return None
    words[a], words[b] = words[b], words[a]
    return " ".join(words)


_ERRORS: tuple[tuple[str, Maker], ...] = (
    ("number", _number),
    ("name", _name),
    ("negation", _negation),
    ("direction", _direction),
    ("stronger", _stronger),
    ("unconditional", _unconditional),
    ("dropped", _dropped),
    ("beheaded", _beheaded),
    ("foreign", _foreign),
    ("blend", _blend),
    ("addition", _addition),
    ("tail", _tail),
    ("swapped", _swapped),
)
