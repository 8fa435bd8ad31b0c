"""The lexical side of the index: words, stems, BM25 and the vocabulary that typos are mended against.

BM25 as in Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (FnTIR 2009), computed by
bm25s (Lù, arXiv 2024). Works on plain texts and positions in a list; knows no chunk, no Chroma, no question.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

K1, B = 1.2, 0.6

STOPWORDS = frozenset(
    """a about above after again all also although am an and any are as at be because been before being below between
    both but by can cannot could did do does doing don down during each either else ever every few for from further get
    gets give given go goes going had has have having he her here hers him his how i if in into is it its itself just
    let like ll m many may me might more most much must my need needs no nor not now of off often on once one only onto
    or other our ours out over own per please rather re s same say says shall she should so some still such t take tell
    than that the their theirs them then there these they thing things this those through thus to too under until up
    upon us use used using ve very want was way we well were what when where whether which while who whom whose why will
    arent cant couldnt didnt doesnt dont hasnt havent isnt shouldnt wasnt whats wont wouldnt im ive
    with within without would yes yet you your yours""".split()
)
_WORD = re.compile(r"[^\W_]+(?:[-'’/@.+][^\W_]+)*\+*", re.UNICODE)
_SPELLINGS = (  # British to American, on the whole word, before stemming: one stem for both
    (re.compile(r"(?<=[a-z]{3})is(e|ed|es|er|ers|ing|ations?|ational|able|ability)$"), r"iz\1"),
    (re.compile(r"(?<=[a-z]al)ys(e|ed|es|er|ers|ing)$"), r"yz\1"),
    (re.compile(r"(?<=[a-z]{2})our(s|ed|ing|al|able|ite|less|hoods?)?$"), r"or\1"),
    # the stemmer itself halves the l of "modelling" and "labelled", and must keep that of "rolled" and "called"
    (re.compile(r"^(dia|due|fue)ll(ed|ing|er|ers)$"), r"\1l\2"),
    (re.compile(r"^(cent|met|fib)re(s?)$"), r"\1er\2"),
    (re.compile(r"^centr(ed|ing)$"), r"center\1"),
    (re.compile(r"^(catalog|program)(?:ue|me)(s?)$"), r"\1\2"),
    (re.compile(r"^(licen|defen|offen)ce(s?)$"), r"\1se\2"),
    (re.compile(r"^artefact(s?)$"), r"artifact\1"),
    (re.compile(r"^grey(s?)$"), r"gray\1"),
)


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")


def words(text: str) -> list[str]:
    """Surface words, lower-cased; a compound ("two-tower", "a/b") gives the compound and its parts."""
    found: list[str] = []
    for match in _WORD.finditer(text.lower().replace("’", "'")):
        word = match.group().removesuffix("'s")
        parts = [p for p in re.split(r"[-'/@.+]", word) if p]
        if len(parts) > 1 and not word.replace(".", "").isdigit():
            found.extend(parts)
            found.append("".join(parts))
        else:
            found.append(word)
    return found


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """One stem for every form of a word, British or American."""
    for pattern, form in _SPELLINGS:
        word = pattern.sub(form, word)
    return str(_stemmer().stemWord(word))


def stems(text: str) -> list[str]:
    """Stems of the content words of ``text``, in order, stop words left out."""
    return [stem(w) for w in words(text) if w not in STOPWORDS]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """A BM25 index over ``size`` texts, with document frequencies of stems and counts of surface words."""

    bm25: Any
    size: int
    df: dict[str, int]
    surface: dict[str, int]

    def scores(self, text: str) -> npt.NDArray[np.float32]:
        """BM25 score of every text, shape (size,)."""
        query = [s for s in stems(text) if s in self.df]
        if not query or not self.size:
            return np.zeros(self.size, dtype=np.float32)
        return np.asarray(self.bm25.get_scores(query), dtype=np.float32)

    def idf(self, word: str) -> float:
        """ln(1 + (N - df + 0.5) / (df + 0.5)) of the word's stem, in nats."""
        df = self.df.get(stem(word), 0)
        return math.log1p((self.size - df + 0.5) / (df + 0.5))


def build(texts: Sequence[str]) -> Lexicon:
    """Index the texts; position in the list is the text's identity."""
    import bm25s

    tokens = [stems(text) for text in texts]
    bm25 = bm25s.BM25(k1=K1, b=B)
    if any(tokens):
        bm25.index(tokens, show_progress=False)
    df = Counter(s for text in tokens for s in set(text))
    surface = Counter(w for text in texts for w in words(text))
    return Lexicon(bm25, len(texts), dict(df), dict(surface))


def save(lexicon: Lexicon, folder: Path) -> None:
    """Write the lexicon into a new folder. Raises OSError."""
    folder.mkdir(parents=True)
    if lexicon.df:
        lexicon.bm25.save(str(folder), show_progress=False)
    words_json = {"size": lexicon.size, "df": lexicon.df, "surface": lexicon.surface}
    (folder / "words.json").write_text(json.dumps(words_json), encoding="utf-8")


def load(folder: Path) -> Lexicon:
    """Read back what ``save`` wrote. Raises OSError when a file is missing, and when one is damaged whatever its reader
    raises."""
    import bm25s

    data = json.loads((folder / "words.json").read_text(encoding="utf-8"))
    bm25 = bm25s.BM25.load(str(folder), load_corpus=False) if data["df"] else bm25s.BM25(k1=K1, b=B)
    return Lexicon(bm25, data["size"], data["df"], data["surface"])
