"""Untrusted text as Markdown that Streamlit can only show as text, and answers with their citation markers.

Questions, answers and notes are written by people and by models. What leaves this module holds no HTML, no link and no
image, whatever went in; formulas between dollar signs stay formulas. Pure: it must not know Streamlit, a file or a
note.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

UNSEEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Characters that nobody sees and that may reorder or hide what stands beside them."""

JOINER = "\u2060"
"""Unseen too: it parts what would be read as one, by Markdown or by a plug-in of the page."""

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_ADDRESS = re.compile(r"(?:https?:/|www\.|mailto:|xmpp:)\S*|[-.\w+]+@[-\w]+(?:\.[-\w]+)+", re.IGNORECASE)
_SHORTCODE = re.compile(r":(?=[a-z+-][\w+-]*:)", re.IGNORECASE)
_FORMULA = re.compile(r"(?<![\\$])\$(?![\s$])([^$\n]*?[^\s$\\])\$(?![\d$])")
_NOT_A_FORMULA = re.compile(r"`|\]\s*[(\[:]|!\[|\\(?:href|url|html\w*|include\w*)\b", re.IGNORECASE)


def escape(text: str) -> str:
    """``text`` on one line as Markdown that shows exactly its characters, without the unseen ones.

    Every ASCII punctuation mark is escaped. Addresses become code spans, because GitHub's flavour of Markdown links
    them after the escapes are gone.
    """
    return _between(_ADDRESS, re.sub(r"\s+", " ", UNSEEN.sub("", text)), lambda m: code_span(m.group()), _escaped)


def escape_lines(text: str) -> str:
    """``text`` escaped, with its line breaks kept: what a person typed."""
    return "  \n".join(escape(line).strip() or "&nbsp;" for line in text.strip().splitlines())


def escape_prose(text: str) -> str:
    """``text`` escaped except for its formulas."""

    def formula(match: re.Match[str]) -> str:
        return match.group() if harmless_formula(match.group(1)) else escape(match.group())

    return _between(_FORMULA, UNSEEN.sub("", text), formula, escape)


def _between(
    pattern: re.Pattern[str], text: str, matched: Callable[[re.Match[str]], str], other: Callable[[str], str]
) -> str:
    parts: list[str] = []
    at = 0
    for match in pattern.finditer(text):
        parts += [other(text[at : match.start()]), matched(match)]
        at = match.end()
    return "".join([*parts, other(text[at:])])


def _escaped(text: str) -> str:
    return _PUNCTUATION.sub(r"\\\1", _SHORTCODE.sub(f":{JOINER}", text))


def code_span(text: str) -> str:
    """``text``, which is one line, as a code span with the shortest fence that it does not hold."""
    ticks = "`" * (1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    pad = " " if text[:1] in "` " or text[-1:] in "` " else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def harmless_formula(source: str) -> bool:
    """False for LaTeX that names an address, and for what would be a link or an image were it read as Markdown."""
    return not (_NOT_A_FORMULA.search(source) or _ADDRESS.search(source))


# --- answers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """One sentence of an answer as a screen needs it. ``paragraph`` is true when it opens a new paragraph."""

    text: str
    markers: tuple[int, ...] = ()
    paragraph: bool = False


def answer_markdown(sentences: Iterable[Shown]) -> str:
    """An answer as Markdown: its sentences, each with small numbered markers after it."""
    text = ""
    for sentence in sentences:
        gap = "" if not text else "\n\n" if sentence.paragraph else " "
        text += gap + escape_prose(sentence.text).strip() + marks(sentence.markers)
    return text


def marks(markers: Sequence[int]) -> str:
    """Citation markers as badges that stay on the line of the word before them."""
    return "".join(f"\u00a0:primary-badge[{marker}]" for marker in markers)


def laid_out(answer: str, claims: Sequence[tuple[str, Sequence[int]]]) -> list[Shown]:
    """The sentences of a stored answer with its paragraphs.

    A claim, ``(text, markers)``, does not say whether it opens a paragraph; in ``answer`` a blank line before it does.
    """
    shown: list[Shown] = []
    at = 0
    for text, markers in claims:
        stem = text.rstrip(" .!?…\"'”’)]")  # the markers stand before the full stop
        found = answer.find(stem, at)
        shown.append(Shown(text, tuple(markers), found > 0 and "\n\n" in answer[at:found]))
        at = found + len(stem) if found >= 0 else at
    return shown
