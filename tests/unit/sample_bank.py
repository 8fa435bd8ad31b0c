"""An interview bank that breaks no rule, as YAML, for the tests of reading and of lint."""

from __future__ import annotations

from typing import Any

import yaml

from tests.unit.sample_notes import CASE, note
from tutor.types import STEPS, Note

NUMBERS = "one two three four five six seven eight nine ten".split()
SUM = "\nThe vectors take `1,000 * 128 * 4 = 512,000` bytes.\n"


def case_note() -> Note:
    return note(CASE + SUM, "case-study", "image-search")


def criterion(step: str, at: int) -> dict[str, Any]:
    tag = f"{step.split('-')[0]}{NUMBERS[at]}"
    return {
        "id": f"{step}-{at}",
        "statement": f"Choose {tag} widget because {tag}cost stays low.",
        "says": [
            f"I'd take {tag} widgets, {tag}price drops",
            f"{tag} widget, cheaper {tag}bill",
            f"with {tag} widgets, {tag}sum",
            f"{tag} widget: {tag}cheap",
            f"take {tag} widget ({tag}small)",
        ],
        "partly": [f"maybe {tag}"],
        "wrong": [f"never buy {tag}stuff", f"{tag}luxury regardless"],
        "terms": [[f"{tag} widget", f"{tag} gadget"]],
        "weight": 3,
        "level": "mid" if at < 4 else "senior",
        "probe": f"What about the {tag} side?",
        "hints": ["Think of money.", "Think of parts.", f"{tag} widgets cost little."],
        "section": "case-studies/image-search#Evaluation",
    }


def negative(step: str, at: int) -> dict[str, Any]:
    tag = f"{step.split('-')[0]}bad{NUMBERS[at]}"
    return {
        "id": f"{step}-bad-{at}",
        "claim": f"Just skip {tag} entirely.",
        "says": [f"we can ignore {tag}", f"no need for {tag}test"],
        "cost": 2,
        "challenge": "Are you sure?",
        "section": "case-studies/image-search#Evaluation",
    }


def bank() -> dict[str, Any]:
    """The form of a sound bank, to be changed by a test."""
    return {
        "case": "image-search",
        "title": "Image search",
        "opening": "We want people to search with a photo.",
        "facts": [
            {"id": f"fact-{at}", "asks": [f"how many {n}?", f"count of {n}?", f"{n} size?"], "answer": f"Assume {n}."}
            for at, n in enumerate(NUMBERS)
        ],
        "steps": {
            step: {
                "minutes": 9 if at == 0 else 6,
                "ask": "What next?",
                "criteria": [criterion(step, n) for n in range(6)],
                "negatives": [negative(step, n) for n in range(2)],
            }
            for at, step in enumerate(STEPS)
        },
        "capacity": [
            {
                "id": f"vector-bytes-{at}",
                "name": "memory of the vectors",
                "formula": "images * dimensions * width",
                "unit": "bytes",
                "words": ["memory"],
                "inputs": {
                    "images": {"value": 1000, "words": ["images"]},
                    "dimensions": {"value": 128, "words": ["dimensions"]},
                    "width": {"value": 4, "words": ["bytes"]},
                },
                "section": "case-studies/image-search#Capacity numbers",
            }
            for at in range(3)
        ],
    }


def as_yaml(form: dict[str, Any]) -> str:
    return yaml.safe_dump(form, sort_keys=False, allow_unicode=True)
