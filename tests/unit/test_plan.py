"""The difference between the notes on disk and the notes in the index."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ingest.plan import Plan, make_plan
from tests.hash_kit import note
from tutor.manifest import NoteEntry


def test_each_note_has_one_fate() -> None:
    base = note("words")
    notes = [
        replace(base, id="new", sha256="1", path="/new.md"),
        replace(base, id="edited", sha256="2", path="/edited.md"),
        replace(base, id="edited-and-moved", sha256="3", path="/b/edited.md"),
        replace(base, id="moved", sha256="4", path="/b/moved.md"),
        replace(base, id="same", sha256="5", path="/same.md"),
    ]
    indexed = {
        "edited": NoteEntry("/edited.md", "old", 1),
        "edited-and-moved": NoteEntry("/a/edited.md", "old", 1),
        "moved": NoteEntry("/a/moved.md", "4", 1),
        "same": NoteEntry("/same.md", "5", 1),
        "gone": NoteEntry("/gone.md", "6", 1),
    }
    plan = make_plan(notes, indexed)
    assert plan == Plan(
        added=("new",), changed=("edited", "edited-and-moved"), moved=("moved",), removed=("gone",), unchanged=("same",)
    )
    assert plan.embed == {"new", "edited", "edited-and-moved"}
    assert not plan.nothing_to_do


def test_the_same_notes_leave_nothing_to_do() -> None:
    plan = make_plan([note("words")], {"concepts/x": NoteEntry("/concepts/x.md", "", 3)})
    assert plan.nothing_to_do
    assert not plan.embed
    assert make_plan([], {}).nothing_to_do


def test_removing_or_moving_is_something_to_do_and_embeds_nothing() -> None:
    entry = NoteEntry("/elsewhere.md", "", 3)
    for plan in (make_plan([], {"concepts/x": entry}), make_plan([note("words")], {"concepts/x": entry})):
        assert not plan.nothing_to_do
        assert not plan.embed


ENTRIES = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.sampled_from("12"), st.sampled_from("xy")))


@given(ENTRIES, ENTRIES)
def test_every_note_is_in_exactly_one_list_and_each_list_is_sorted(
    disk: dict[str, tuple[str, str]], index: dict[str, tuple[str, str]]
) -> None:
    notes = [replace(note("w"), id=name, sha256=sha, path=path) for name, (sha, path) in disk.items()]
    plan = make_plan(notes, {name: NoteEntry(path, sha, 1) for name, (sha, path) in index.items()})
    lists = [plan.added, plan.changed, plan.moved, plan.removed, plan.unchanged]
    assert sorted(name for names in lists for name in names) == sorted(disk.keys() | index.keys())
    assert all(list(names) == sorted(names) for names in lists)
    assert plan.nothing_to_do == (disk == index)
