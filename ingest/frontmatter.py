"""Reads the YAML front matter between the leading ``---`` lines of a note, with the line of every complaint.

Values are taken as they are written (``title: 2024`` is the title "2024"), so nothing is constructed but strings, lists
and mappings. Anchors, aliases, tags, duplicate keys, deep nesting and very long front matter are refused before
anything is built. Unknown keys are ignored, because people's notes carry those of Obsidian or Jekyll. This module
knows no files: it is given text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias, get_args

import yaml
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

MAX_BYTES = 64 * 1024
"""Longer front matter is refused."""

MAX_DEPTH = 8
"""Deeper nesting of lists and mappings is refused."""

BOM = "\ufeff"
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

_SAID = {  # pydantic's words for a programmer, in those of a writer of notes
    "tuple_type": "must be a list, such as [one, two]",
    "string_type": "must be text",
    "string_unicode": "holds a character that is not valid Unicode",
    "too_short": "is empty",
    "string_too_short": "is empty",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "model_type": "must be `key: value` pairs",
    "missing": "is missing",
    "literal_error": f"must be one of {', '.join(get_args(Kind))}",
}

_FENCE = re.compile(r"---[ \t]*(?:\n|\Z)")
_CLOSE = re.compile(r"^---[ \t]*(?:\n|\Z)", re.MULTILINE)
_Path: TypeAlias = tuple[int | str, ...]


class FrontMatterError(ValueError):
    """Front matter that cannot be used. ``line`` is 1-based in the file."""

    def __init__(self, line: int, problem: str) -> None:
        problem = problem if len(problem) <= 300 else problem[:299] + "…"  # it may quote the note
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


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

    _lines: dict[_Path, int] = PrivateAttr(default_factory=dict)

    def line_of(self, *path: int | str) -> int:
        """The line in the file of a key (``"slug"``) or an entry (``"sources", 0, "year"``), or of the nearest thing
        around it; 1 when there is no front matter."""
        return _line_of(self._lines, path)


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
    return _validated(*_read_yaml(source)), closing.end()


def _validated(data: dict[str, Any], lines: dict[_Path, int]) -> FrontMatter:
    try:
        front = FrontMatter.model_validate(data)
    except ValidationError as error:
        problems = error.errors()
        path = tuple(problems[0]["loc"])
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        name = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
        said = _SAID.get(problems[0]["type"]) or problems[0]["msg"].removeprefix("Value error, ")
        raise FrontMatterError(_line_of(lines, path), f"{name}: {said}{more}") from None
    front._lines.update(lines)
    return front


def _line_of(lines: dict[_Path, int], path: _Path) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _read_yaml(source: str) -> tuple[dict[str, Any], dict[_Path, int]]:
    """The mapping in ``source``, and the line of each of its keys and entries."""
    try:
        for index, problem in _refused(source):
            raise FrontMatterError(_line_at(source, index), problem)
        root = yaml.compose(source, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        code = error.character if isinstance(error.character, int) else 0
        line = _line_at(source, error.position)
        raise FrontMatterError(line, f"character U+{code:04X} is not allowed in YAML") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(filter(None, (error.context, error.problem)))
        if error.problem and "mapping values" in error.problem:
            said = "a value with a colon in it needs quotes around it"
        raise FrontMatterError(_line_at(source, mark.index if mark else 0), f"the YAML is broken: {said}") from None
    except yaml.YAMLError as error:
        raise FrontMatterError(_line_at(source, 0), f"the YAML is broken: {error}") from None
    lines: dict[_Path, int] = {(): 1}
    if root is None:  # nothing but comments
        return {}, lines
    if not isinstance(root, yaml.MappingNode):
        line = _line_at(source, root.start_mark.index)
        raise FrontMatterError(line, "the front matter must be `key: value` lines")
    return _mapping(root, (), source, lines), lines


def _line_at(source: str, index: int) -> int:
    return source.count("\n", 0, index) + 2  # the `---` above is line 1


def _value(node: yaml.Node, path: _Path, source: str, lines: dict[_Path, int]) -> Any:
    lines.setdefault(path, _line_at(source, node.start_mark.index))
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, source, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, at), source, lines) for at, item in enumerate(node.value)]
    return None if node.tag.endswith(":null") else node.value


def _mapping(node: yaml.MappingNode, path: _Path, source: str, lines: dict[_Path, int]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in node.value:
        line = _line_at(source, key.start_mark.index)
        if not isinstance(key, yaml.ScalarNode):
            raise FrontMatterError(line, "a key must be a word, not a list or a mapping")
        if key.value in mapping:
            raise FrontMatterError(line, f"the key {key.value!r} is given twice")
        lines[(*path, key.value)] = line
        mapping[key.value] = _value(value, (*path, key.value), source, lines)
    return mapping


def _refused(source: str) -> Iterator[tuple[int, str]]:
    """Yields (index, problem) for what is refused on sight. Events come lazily, so nothing large is ever built."""
    depth = 0
    for event in yaml.parse(source, Loader=yaml.SafeLoader):
        index = event.start_mark.index if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            yield index, f"YAML aliases are not allowed; put quotes around `*{event.anchor}`"
        elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            yield index, f"YAML anchors are not allowed; put quotes around `&{event.anchor}`"
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            yield index, f"YAML tags are not allowed; put quotes around `{event.tag}`"
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            yield index, f"the front matter is nested more than {MAX_DEPTH} levels deep"
