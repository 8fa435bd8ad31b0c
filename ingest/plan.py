"""What an ingest has to do: a pure difference between the notes on disk and the notes in the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tutor.manifest import NoteEntry
from tutor.types import Note


@dataclass(frozen=True, slots=True)
class Plan:
    """Note ids by what happens to them, each sorted. ``moved`` notes have the same bytes at another path."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()

    @property
    def embed(self) -> frozenset[str]:
        """The notes whose chunks must be embedded."""
        return frozenset(self.added + self.changed)

    @property
    def nothing_to_do(self) -> bool:
        """True when the index already holds exactly these notes."""
        return not (self.added or self.changed or self.moved or self.removed)


def make_plan(notes: Sequence[Note], indexed: Mapping[str, NoteEntry]) -> Plan:
    """Compare notes with the index's entries by the hash of their bytes."""
    found: dict[str, list[str]] = {"added": [], "changed": [], "moved": [], "unchanged": []}
    for note in notes:
        entry = indexed.get(note.id)
        if entry is None:
            fate = "added"
        elif entry.sha256 != note.sha256:
            fate = "changed"
        else:
            fate = "unchanged" if entry.path == note.path else "moved"
        found[fate].append(note.id)
    removed = sorted(set(indexed) - {note.id for note in notes})
    return Plan(removed=tuple(removed), **{fate: tuple(sorted(ids)) for fate, ids in found.items()})
