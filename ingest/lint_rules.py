"""The rules of ``corpus/README.md`` for what one note says: prose, tables, numbers and diagrams.

Each rule takes a parsed note and yields (line, problem). What needs other notes is in ``lint``. This module reads no
files and knows no index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ingest.frontmatter import FrontMatter
from tutor import arithmetic
from tutor.markdown import PROSE, Block, sentences
from tutor.types import Note

PARAGRAPH_WORDS = 120
SENTENCE_WORDS = 40
TABLE_ROWS = 6
DIAGRAM_NODES = 14
READING_GRADE = 15

Found: TypeAlias = Iterator[tuple[int, str]]
"""(1-based line in the file, problem)."""


@dataclass(frozen=True, slots=True)
class Doc:
    """A note with its front matter and its blocks, whose offsets are those of ``note.text``."""

    note: Note
    front: FrontMatter
    blocks: tuple[Block, ...]

    def line(self, offset: int) -> int:
        """The line in the file of a character."""
        return self.note.text.count("\n", 0, offset) + 1

    def of(self, block: Block) -> str:
        """The text of a block."""
        return self.note.text[block.start : block.end]


_CODE_OR_MATH = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)|\$[^$\n]+\$", re.DOTALL)
_TARGET = re.compile(r"(?<=\])\([^)\s]*\)")


def without_code(text: str) -> str:
    """``text`` with each code span and formula replaced by zeros: one word of the same length."""
    return _CODE_OR_MATH.sub(lambda match: re.sub(r"[^\n]", "0", match[0]), text)


def masked(text: str) -> str:
    """``text`` without code, formulas and link targets, every other character in its place."""
    return _TARGET.sub(lambda match: " " * len(match[0]), without_code(text))


def words(text: str) -> list[str]:
    """The words of a run of Markdown prose: what stands between spaces and holds a letter or a digit."""
    return [word for word in masked(text).split() if re.search(r"[^\W_]", word)]


# --- prose -----------------------------------------------------------------------------------------------------------


def prose(doc: Doc) -> Found:
    """Paragraphs and sentences that are too long."""
    for block in doc.blocks:
        if block.kind not in PROSE:
            continue
        text = doc.of(block)
        if (count := len(words(text))) > PARAGRAPH_WORDS:
            yield doc.line(block.start), f"a paragraph of {count} words; at most {PARAGRAPH_WORDS}"
        for start, end in sentences(text):
            if (count := len(words(text[start:end]))) > SENTENCE_WORDS:
                yield (
                    doc.line(block.start + start),
                    f"a sentence of {count} words; at most {SENTENCE_WORDS}: {_quoted(text[start:end])}",
                )


_ADVERB = r"(?:\w+ly|also|often|then|still|thus|only|never|always|not|now|just|both|therefore|in\s+turn)"
_AUXILIARY = "is are was were has had does did can could will would may might must should shall cannot".split()
_PLURAL_VERB = (
    "add allow answer apply ask become begin belong break bring call carry cause change choose come compare contain "
    "cost cover create cut decide define depend describe differ do drive fail fall fit follow force get give go grow "
    "have help hide hold hurt improve include increase involve keep lead leave let lie limit lose lower make matter "
    "mean measure move need occur pay produce protect prove raise reach reduce remove replace require rest reveal rise "
    "run save say scale serve set share shift show speed stand start stay stop suggest support take teach tell tend "
    "test train turn use vary want waste work"
).split()
_SINGULAR_VERB = r"(?!series\b|lens\b|news\b)[a-z]+(?<![suia])s\b"  # not "loss", "focus", "analysis" or "bias"
_BARE = re.compile(
    rf"""(?:It|They)\s+(?=[a-z])
    | This\s+(?:{_ADVERB}\s+)?(?:(?:{"|".join(_AUXILIARY)})\b | {_SINGULAR_VERB})
    | (?:These|Those)\s+(?:{_ADVERB}\s+)?(?:{"|".join(_AUXILIARY + _PLURAL_VERB)})\b""",
    re.VERBOSE,
)


def reading_level(doc: Doc) -> Found:
    """A note that is hard to read, by the index of Coleman and Liau (1975, Journal of Applied Psychology).

    The index is a school grade, 0.0588 L - 0.296 S - 15.8, with L letters and S sentences per 100 words.
    """
    letters = count = full = 0
    for block in doc.blocks:
        if block.kind in PROSE:
            text = doc.of(block)
            spoken = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", masked(text))
            count += len(spoken)
            letters += sum(char.isalpha() for word in spoken for char in word)
            full += len(sentences(text))
    if not count:
        return
    grade = 5.88 * letters / count - 29.6 * full / count - 15.8
    if grade > READING_GRADE:
        yield 1, f"reads like school grade {grade:.1f} (Coleman-Liau); at most {READING_GRADE}: use shorter words"


def openings(doc: Doc) -> Found:
    """Sentences that could not stand alone, in the first paragraph of a level-2 or level-3 section."""
    waiting = False
    for block in doc.blocks:
        if block.kind == "heading":
            waiting = block.level in (2, 3)
        elif waiting and block.kind in PROSE:
            waiting = False
            text = doc.of(block)
            for start, end in sentences(text):
                sentence = text[start:end].lstrip("*_\"“'(")
                if _BARE.match(sentence):
                    yield doc.line(block.start + start), f"a sentence opens without its subject: {_quoted(sentence)}"


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return f'"{line if len(line) <= 70 else line[:69] + "…"}"'


# --- tables, HTML, numbers -------------------------------------------------------------------------------------------


def tables(doc: Doc) -> Found:
    """Tables with too many rows."""
    for block in doc.blocks:
        rows = len(doc.of(block).splitlines()) - 2  # the header and the line under it
        if block.kind == "table" and rows > TABLE_ROWS:
            yield doc.line(block.start), f"a table of {rows} rows; at most {TABLE_ROWS}"


_TAG = re.compile(r"<(?!https?:|mailto:)[A-Za-z/!?][^<>]*>")


def html(doc: Doc) -> Found:
    """Raw HTML, as a block or within a line."""
    for block in doc.blocks:
        if block.kind == "html":
            yield doc.line(block.start), "raw HTML"
        elif block.kind not in ("code", "diagram", "formula"):
            for match in _TAG.finditer(masked(doc.of(block))):
                yield doc.line(block.start + match.start()), f"raw HTML: {_quoted(match[0])}"


def numbers(doc: Doc) -> Found:
    """Arithmetic that does not come out."""
    for line, span in arithmetic.spans(doc.note.text, doc.note.body_start):
        if problem := arithmetic.check(span):
            yield line, problem


# --- diagrams --------------------------------------------------------------------------------------------------------

_LABEL = re.compile(r"(?:\[+|\(+|\{+)[/\\(]*\s*\"\"\s*[)/\\]*(?:\]+|\)+|\}+)|\|[^|]*\|")
_EDGE = re.compile(r"<?(?:--+|==+|-\.+-)[>xo]?(?=\s|$)|[&;]")


def diagrams(doc: Doc, least: int) -> Found:
    """Too few diagrams, and what is wrong with the form of each; Mermaid itself is not run."""
    found = [block for block in doc.blocks if block.kind == "diagram"]
    if len(found) < least:
        yield 1, f"{len(found)} diagrams; at least {least}"
    for block in doc.blocks:
        text = doc.of(block)
        if block.kind in ("code", "diagram") and (fence := re.match(r"`{3,}|~{3,}", text)):
            lines = text.splitlines()
            closed = len(lines) > 1 and re.fullmatch(rf"\s*{fence[0][0]}{{{len(fence[0])},}}\s*", lines[-1])
            if not closed:
                yield doc.line(block.start), "a fenced block is never closed"
            if block.kind == "diagram":
                inner = lines[1 : -1 if closed else None]
                for at, problem in _flowchart(inner):
                    yield doc.line(block.start) + at + bool(inner), problem


def fenced_lines(text: str) -> str:
    """What stands between the fences of a code block or diagram."""
    lines = text.splitlines()
    return "\n".join(lines[1:-1] if len(lines) > 1 and re.match(r"\s*(?:`{3,}|~{3,})\s*$", lines[-1]) else lines[1:])


def _flowchart(lines: list[str]) -> Iterator[tuple[int, str]]:
    """(index of the line, problem) of a Mermaid flowchart."""
    if not lines or not re.fullmatch(r"\s*flowchart (?:LR|TD)\s*", lines[0]):
        yield 0, "a diagram must begin with `flowchart LR` or `flowchart TD`"
    nodes: set[str] = set()
    for at, line in enumerate(lines[1:], start=1):
        if re.search(r"<[A-Za-z/]", line):
            yield at, "HTML in a diagram"
        if re.match(r"\s*(?:style|classDef|class|linkStyle|click)\b|.*:::|\s*%%\{", line):
            yield at, "styling in a diagram"
            continue
        if re.match(r"\s*(?:%%|subgraph\b|direction\b|end\s*$)", line):
            continue
        bare = re.sub(r'"[^"]*"', '""', line)
        if re.search(r'[\[({|]\s*[^\s"\[({|\])}/\\-]', re.sub(r"\|[^|]*\|", "", bare)):
            yield at, f"a label without quotes: {_quoted(line)}"
            continue
        nodes.update(re.findall(r"[^\W\d]\w*", _EDGE.sub(" ", _LABEL.sub(" ", bare))))
    if len(nodes) > DIAGRAM_NODES:
        yield 0, f"a diagram of {len(nodes)} nodes; at most {DIAGRAM_NODES}"
