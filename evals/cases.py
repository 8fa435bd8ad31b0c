"""Reads evaluation questions from JSONL. The format is documented in `evals/cases/README.md`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tutor.errors import BadInputFile

FOLDER = Path(__file__).parent / "cases"
QUICK = FOLDER / "quick.jsonl"
CALIBRATION = FOLDER / "calibration.jsonl"


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str
    question: str
    history: list[str] = []
    relevant: dict[str, int] = {}
    key_facts: list[list[str]] = []
    answerable: bool
    kind: str = ""
    step: str | None = None
    case: str | None = None
    style: str = "plain"


@dataclass(frozen=True, slots=True)
class Case:
    """One question. ``relevant`` maps ``note#heading`` to a grade of 1 or 2; ``key_facts`` are alternatives each."""

    id: str
    question: str
    history: tuple[str, ...]
    relevant: dict[str, int]
    key_facts: tuple[tuple[str, ...], ...]
    answerable: bool
    kind: str
    step: str | None
    case: str | None
    style: str


def read(path: Path) -> list[Case]:
    """The questions of a file, in order. Raises BadInputFile naming the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputFile(f"{path} cannot be read: {error}.", "Give a JSONL file of questions.") from None
    cases: list[Case] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found = _Line.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the line"
            raise BadInputFile(
                f"{path}:{number}: {where}: {first['msg']}.", "The format is documented in evals/cases/README.md."
            ) from None
        fields = found.model_dump()
        fields["history"] = tuple(found.history)
        fields["key_facts"] = tuple(tuple(facts) for facts in found.key_facts)
        cases.append(Case(**fields))
    ids = [c.id for c in cases]
    twice = next((i for i in ids if ids.count(i) > 1), None)
    if twice is not None or not cases:
        problem = f"the id {twice!r} stands twice" if twice else "there is no question in it"
        raise BadInputFile(f"{path}: {problem}.", "The format is documented in evals/cases/README.md.")
    return cases
