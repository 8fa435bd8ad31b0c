"""Reads YAML that strangers wrote: nothing is constructed but strings, lists and mappings, each with its line.

Values are taken as they are written (``title: 2024`` is the title "2024"). Anchors, aliases, tags, duplicate keys and
deep nesting are refused before anything is built. This module knows no files and no form: it is given text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import yaml
from pydantic import ValidationError

MAX_DEPTH = 8
"""Deeper nesting of lists and mappings is refused."""

KeyPath: TypeAlias = tuple[int | str, ...]
"""The way to a value from the root: keys of mappings and places in lists."""


class YamlProblem(ValueError):
    """YAML that cannot be used. ``line`` is 1-based in the file."""

    def __init__(self, line: int, problem: str) -> None:
        problem = problem if len(problem) <= 300 else problem[:299] + "…"  # it may quote the file
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """The line of a key or an entry, or of the nearest thing around it; 1 when there is none."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def read_yaml(source: str, first_line: int = 1, what: str = "the file") -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """The mapping in ``source``, whose first line is line ``first_line``, and the line of each of its keys and entries.

    Raises YamlProblem, and nothing else, for what cannot be used; ``what`` names the source in it.
    """
    place = _Place(source, first_line)
    try:
        for index, problem in _refused(source, what):
            raise YamlProblem(place.line(index), problem)
        root = yaml.compose(source, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        code = error.character if isinstance(error.character, int) else 0
        raise YamlProblem(place.line(error.position), f"character U+{code:04X} is not allowed in YAML") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(filter(None, (error.context, error.problem)))
        if error.problem and "mapping values" in error.problem:
            said = "a value with a colon in it needs quotes around it"
        raise YamlProblem(place.line(mark.index if mark else 0), f"the YAML is broken: {said}") from None
    except yaml.YAMLError as error:
        raise YamlProblem(first_line, f"the YAML is broken: {error}") from None
    if root is None:  # nothing but comments
        return {}, {(): 1}
    if not isinstance(root, yaml.MappingNode):
        raise YamlProblem(place.line(root.start_mark.index), f"{what} must be `key: value` lines")
    return place.mapping(root, ()), place.lines


_SAID = {  # pydantic's words for a programmer, in those of a writer
    "tuple_type": "must be a list, such as [one, two]",
    "string_type": "must be text",
    "string_unicode": "holds a character that is not valid Unicode",
    "too_short": "is empty",
    "string_too_short": "is empty",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "model_type": "must be `key: value` pairs",
    "dict_type": "must be `key: value` pairs",
    "extra_forbidden": "is not a key that is known here",
    "missing": "is missing",
    "literal_error": "must be {expected}",
}


def broken_form(error: ValidationError, lines: Mapping[KeyPath, int]) -> YamlProblem:
    """What is wrong with a file whose YAML is sound but which is not of the form that it should have."""
    problems = error.errors()
    first = problems[0]
    path = tuple(first["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    name = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
    said = _SAID.get(first["type"], "").format(**first.get("ctx", {})) or first["msg"].removeprefix("Value error, ")
    return YamlProblem(line_of(lines, path), f"{name}: {said}{more}")


class _Place:
    """A source while its nodes become values, with the line of each."""

    def __init__(self, source: str, first_line: int) -> None:
        self.source = source
        self.first_line = first_line
        self.lines: dict[KeyPath, int] = {(): 1}

    def line(self, index: int) -> int:
        return self.source.count("\n", 0, index) + self.first_line

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines.setdefault(path, self.line(node.start_mark.index))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, at)) for at, item in enumerate(node.value)]
        return None if node.tag.endswith(":null") else node.value

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            line = self.line(key.start_mark.index)
            if not isinstance(key, yaml.ScalarNode):
                raise YamlProblem(line, "a key must be a word, not a list or a mapping")
            if key.value in mapping:
                raise YamlProblem(line, f"the key {key.value!r} is given twice")
            self.lines[(*path, key.value)] = line
            mapping[key.value] = self.value(value, (*path, key.value))
        return mapping


def _refused(source: str, what: str) -> Iterator[tuple[int, str]]:
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
            yield index, f"{what} is nested more than {MAX_DEPTH} levels deep"
