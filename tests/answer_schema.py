"""The documented JSON shapes, for tests of anything that prints them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]

DOCS = Path(__file__).resolve().parent.parent / "docs"
SCHEMA: dict[str, Any] = json.loads((DOCS / "answer.schema.json").read_text(encoding="utf-8"))


def problems(value: object, shape: str = "answer") -> list[str]:
    """What keeps ``value`` from being of the documented shape; empty when nothing does."""
    schema = {"$schema": SCHEMA["$schema"], "$ref": f"#/$defs/{shape}", "$defs": SCHEMA["$defs"]}
    found = jsonschema.Draft202012Validator(schema).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in found]


def assert_valid(value: object, shape: str = "answer") -> None:
    """Fail with every deviation from the documented shape."""
    assert problems(value, shape) == []


def assert_quotes(answer: dict[str, Any]) -> None:
    """Fail unless each citation and each passage is what its file holds at its offsets."""
    for item in [*answer.get("citations", ()), *answer["passages"]]:
        text = Path(item["path"]).read_text(encoding="utf-8")
        assert text[item["start"] : item["end"]] == item.get("quote", item.get("text"))
