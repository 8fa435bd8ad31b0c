"""Conversations on disk: what is kept, for whom, by several processes at once, and through a kill at any moment."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutor.errors import SessionError, StorageError
from tutor.settings import PROJECT_ROOT
from tutor.store import SCHEMA, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def file_of(home: Path) -> Path:
    (found,) = home.glob("*.sqlite3")
    return found


def test_a_conversation_is_read_back_as_it_was_said(store: Store, tmp_path: Path) -> None:
    session = store.create("chat", "Recall")
    store.append(session.id, "user", "What is recall? 规律 🙂")
    store.append(session.id, "assistant", "A share.", {"citations": [{"marker": 1}], "score": 0.5, "ß": None})
    again = Store(tmp_path / "home")
    assert again.get(session.id).title == "Recall"
    assert [(t.number, t.role, t.text, t.data) for t in again.turns(session.id)] == [
        (1, "user", "What is recall? 规律 🙂", {}),
        (2, "assistant", "A share.", {"citations": [{"marker": 1}], "score": 0.5, "ß": None}),
    ]


def test_a_turn_is_on_the_disk_before_it_is_answered(store: Store, tmp_path: Path) -> None:
    """Another process sees it the moment that append returns, and no lock is left."""
    session = store.create()
    store.append(session.id, "user", "Asked.")
    code = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT text FROM turns').fetchall())"
    path = str(file_of(tmp_path / "home"))
    shown = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[('Asked.',)]"
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2  # each commit waits for the disk


def test_sessions_are_listed_the_last_changed_first(store: Store) -> None:
    first, second, third = (store.create("chat", title) for title in ("one", "two", "three"))
    interview = store.create("interview", "other kind")
    time.sleep(0.002)
    changed = store.append(first.id, "user", "words").created
    assert [s.title for s in store.sessions()] == ["one", "three", "two"]
    assert store.get(first.id).changed == changed > second.changed
    assert [s.id for s in store.sessions("interview")] == [interview.id]
    assert third.created <= store.get(third.id).changed


def test_renaming_and_deleting(store: Store) -> None:
    kept, gone = store.create(title="a"), store.create(title="b")
    store.append(gone.id, "user", "words")
    store.rename(kept.id, "better")
    store.delete(gone.id)
    assert [s.title for s in store.sessions()] == ["better"]
    assert store.turns(gone.id) == []


@pytest.mark.parametrize("name", ["nope", "", "' OR 1=1 --", "\udc80", "a\x00b"])
def test_an_unknown_conversation_is_named_with_what_to_do(store: Store, name: str) -> None:
    known = store.create()
    for call in (
        lambda: store.get(name),
        lambda: store.append(name, "user", "words"),
        lambda: store.rename(name, "title"),
        lambda: store.delete(name),
    ):
        with pytest.raises(SessionError) as caught:
            call()
        assert repr(name) in caught.value.message
        assert "tutor chat --list" in caught.value.hint
    assert store.turns(name) == []
    assert store.get(known.id).title == ""


def test_an_owner_sees_none_of_anothers_conversations(store: Store) -> None:
    hers, his = store.create(owner="ann"), store.create(owner="bob")
    nobodys = store.create()
    assert [s.id for s in store.sessions(owner="ann")] == [hers.id]
    assert [s.id for s in store.sessions()] == [nobodys.id]
    assert store.get(hers.id, "ann") == hers
    for owner in ("", "bob", "ANN"):
        with pytest.raises(SessionError):
            store.get(hers.id, owner)
    assert store.get(his.id, "bob").owner == "bob"


@settings(deadline=None, max_examples=40)
@given(st.text(st.characters(exclude_categories=()), max_size=30))
def test_any_text_can_be_kept(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    store = Store(tmp_path_factory.getbasetemp() / "any-conversation")
    session = store.create(title=text)
    turn = store.append(session.id, "user", text, {"text": text})
    store.rename(session.id, text)
    assert store.turns(session.id) == [turn]
    assert turn.data == {"text": text}
    if text.isprintable() and text.isascii():
        assert (turn.text, store.get(session.id).title) == (text, text)


# --- a file that is not ours, or not usable --------------------------------------------------------------------------


def test_a_file_of_a_newer_version_is_left_alone(store: Store, tmp_path: Path) -> None:
    session = store.create()
    path = file_of(tmp_path / "home")
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    before = path.read_bytes()
    for call in (
        lambda: store.create(),
        lambda: store.turns(session.id),
        lambda: store.append(session.id, "user", "x"),
    ):
        with pytest.raises(SessionError, match="newer version") as caught:
            call()
        assert "Update" in caught.value.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to look at" * 50, b"SQLite format 3\0" * 90]
)
def test_a_file_that_is_no_database_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "conversations.sqlite3").write_bytes(content)
    with pytest.raises(StorageError, match=r"conversations\.sqlite3") as caught:
        Store(tmp_path).sessions()
    assert "TUTOR_HOME" in caught.value.hint
    assert (tmp_path / "conversations.sqlite3").read_bytes() == content


def test_a_home_that_cannot_be_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(StorageError, match="home"):
        Store(tmp_path / "home").create()


def test_a_truncated_file_is_an_error_of_ours(store: Store, tmp_path: Path) -> None:
    session = store.create()
    for _ in range(3):
        store.append(session.id, "user", "words " * 20_000)
    path = file_of(tmp_path / "home")
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StorageError):
        store.turns(session.id)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_home_is_an_error_of_ours(store: Store, tmp_path: Path) -> None:
    session = store.create()
    file_of(tmp_path / "home").chmod(0o400)
    (tmp_path / "home").chmod(0o500)
    with pytest.raises(StorageError):
        store.append(session.id, "user", "words")
    assert store.turns(session.id) == []


# --- several processes -----------------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from tutor.store import Store

store, session, name, count = Store(Path(sys.argv[1])), sys.argv[2], sys.argv[3], int(sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
for n in range(count):
    turn = store.append(session, "user", f"{name}-{n}")
    print(turn.number, turn.text, flush=True)
"""


def writer(home: Path, session: str, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(home), session, name, str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_two_processes_may_append_to_one_conversation(store: Store, tmp_path: Path) -> None:
    session = store.create().id
    processes = [writer(tmp_path / "home", session, name, 20) for name in ("a", "b")]
    for process in processes:
        go(process)
    told = [line.split() for process in processes for line in process.communicate(timeout=60)[0].splitlines()]
    turns = store.turns(session)
    assert [turn.number for turn in turns] == list(range(1, 41))
    assert sorted((str(t.number), t.text) for t in turns) == sorted((number, text) for number, text in told)
    for name in ("a", "b"):
        mine = [t.text for t in turns if t.text.startswith(name)]
        assert mine == [f"{name}-{n}" for n in range(20)]


def test_a_new_home_may_be_opened_by_several_at_once(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from tutor.store import Store; Store(Path(sys.argv[1])).create()"
    command = [sys.executable, "-c", code, str(tmp_path / "home")]
    processes = [subprocess.Popen(command, cwd=PROJECT_ROOT) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert len(Store(tmp_path / "home").sessions()) == 4


def test_a_kill_at_any_moment_loses_no_turn_that_was_acknowledged(store: Store, tmp_path: Path) -> None:
    for round_ in range(4):
        session = store.create().id
        process = writer(tmp_path / "home", session, f"r{round_}", 100_000)
        go(process)
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(3 + 4 * round_)]
        time.sleep(0.003 * round_)
        process.kill()
        told += process.communicate(timeout=60)[0].splitlines(keepends=True)
        acknowledged = [line.split() for line in told if line.endswith("\n")]
        turns = [[str(t.number), t.text] for t in store.turns(session)]
        assert turns[: len(acknowledged)] == acknowledged
        assert len(turns) <= len(acknowledged) + 1  # the one that was committed and not yet told
        assert store.append(session, "user", "after").number == len(turns) + 1
