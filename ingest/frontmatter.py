"""Reads the YAML front matter between the leading ``---`` lines of a note, with the line of every complaint.

What YAML may hold is in ``tutor.yamlform``; very long front matter is refused before anything is built. Unknown keys
are ignored, because people's notes carry those of Obsidian or Jekyll. This module knows no files: it is given text.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PrivateAttr,
    StringConstraints,
    ValidationError,
)

from tutor.types import STEPS, Kind
from tutor.yamlform import KeyPath, YamlProblem, broken_form, line_of, read_yaml

MAX_BYTES = 64 * 1024
"""Longer front matter is refused."""

BOM = "\ufeff"
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

_FENCE = re.compile(r"---[ \t]*(?:\n|\Z)")
_CLOSE = re.compile(r"^---[ \t]*(?:\n|\Z)", re.MULTILINE)

FrontMatterError: TypeAlias = YamlProblem
"""Front matter that cannot be used."""


def _one_line(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\n" for char in value):
        raise ValueError("holds a control character")  # YAML can write one as "\\x1b" or "\\ud800"
    return " ".join(value.split())


def _absent(value: Any) -> Any:
    return () if value is None else value  # `aliases:` with nothing after it


def _slug(value: str) -> str:
    if not SLUG.fullmatch(value):
        raise ValueError(f"{value!r} must be lower-case words joined by hyphens, such as visual-search")
    return value


def _step(value: str) -> str:
    if value not in STEPS:
        raise ValueError(f"{value!r} is not a framework step; the steps are {', '.join(STEPS)}")
    return value


_Words = Annotated[str, BeforeValidator(_one_line), StringConstraints(min_length=1)]
_Slug = Annotated[_Words, AfterValidator(_slug)]
_Step = Annotated[_Words, AfterValidator(_step)]


class SourceEntry(BaseModel):
    """One entry of ``sources``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: _Words
    authors: _Words
    year: int
    venue: _Words
    url: Annotated[str, BeforeValidator(lambda value: value or "")] = ""


class FrontMatter(BaseModel):
    """What a note says of itself; everything is optional. ``kind`` is None when the note does not say."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    slug: _Slug | None = None
    title: _Words | None = None
    kind: Kind | None = None
    summary: _Words | None = None
    aliases: Annotated[tuple[_Words, ...], BeforeValidator(_absent)] = ()
    steps: Annotated[tuple[_Step, ...], BeforeValidator(_absent)] = ()
    cases: Annotated[tuple[_Slug, ...], BeforeValidator(_absent)] = ()
    concepts: Annotated[tuple[_Slug, ...], BeforeValidator(_absent)] = ()
    sources: Annotated[tuple[SourceEntry, ...], BeforeValidator(_absent)] = ()

    _lines: dict[KeyPath, int] = PrivateAttr(default_factory=dict)

    def line_of(self, *path: int | str) -> int:
        """The line in the file of a key (``"slug"``) or an entry (``"sources", 0, "year"``), or of the nearest thing
        around it; 1 when there is no front matter."""
        return line_of(self._lines, path)


def parse(text: str) -> tuple[FrontMatter, int]:
    """The front matter of ``text`` and the offset at which the body begins.

    ``text`` has ``\\n`` newlines; a leading byte-order mark is kept out of the body. A text without front matter gives
    an empty FrontMatter. Raises FrontMatterError, and nothing else, for front matter that cannot be used.
    """
    start = 1 if text.startswith(BOM) else 0
    opening = _FENCE.match(text, start)
    if opening is None:
        return FrontMatter(), start
    closing = _CLOSE.search(text, opening.end())
    if closing is None:
        raise FrontMatterError(1, "the front matter opened by `---` is never closed by a second `---` line")
    source = text[opening.end() : closing.start()]
    if len(source.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise FrontMatterError(1, f"the front matter is longer than {MAX_BYTES // 1024} KB")
    return _validated(*read_yaml(source, 2, "the front matter")), closing.end()


def _validated(data: dict[str, Any], lines: dict[KeyPath, int]) -> FrontMatter:
    try:
        front = FrontMatter.model_validate(data)
    except ValidationError as error:
        raise broken_form(error, lines) from None
    front._lines.update(lines)
    return front
