"""Conversations on this disk: sessions and their turns, in one SQLite file.

A turn is on the disk before it is answered, so neither Ctrl-C nor a lost connection loses it. Knows no model, no index
and no screen.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tutor.errors import SessionError, StorageError

SCHEMA = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS sessions (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, owner TEXT NOT NULL, title TEXT NOT NULL, created TEXT NOT NULL,
  changed TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS turns (
  session TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE, number INTEGER NOT NULL, role TEXT NOT NULL,
  text TEXT NOT NULL, data TEXT NOT NULL, created TEXT NOT NULL, PRIMARY KEY (session, number)
);
"""


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation. Times are ISO 8601 in UTC; ``owner`` is empty on a machine of one's own."""

    id: str
    kind: str
    owner: str
    title: str
    created: str
    changed: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing said. ``data`` is whatever the screen needs to show it again (an answer's JSON form)."""

    number: int
    role: str
    text: str
    data: dict[str, Any]
    created: str


class Store:
    """The conversations in ``home``. Each call opens its own connection, so threads and processes may share it."""

    def __init__(self, home: Path) -> None:
        self._path = home / "conversations.sqlite3"

    def create(self, kind: str = "chat", title: str = "", owner: str = "") -> Session:
        """Begin a conversation."""
        now = _now()
        session = Session(uuid.uuid4().hex[:8], kind, owner, _storable(title), now, now)
        with self._connection() as db:
            record = (session.id, kind, owner, session.title, now, now)
            db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", record)
        return session

    def append(self, session: str, role: str, text: str, data: dict[str, Any] | None = None) -> Turn:
        """Add a turn, on the disk when this returns. Raises SessionError for an unknown session."""
        now = _now()
        with self._connection() as db:
            if not db.execute("UPDATE sessions SET changed = ? WHERE id = ?", (now, _storable(session))).rowcount:
                raise _unknown(session)
            (last,) = db.execute("SELECT COALESCE(MAX(number), 0) FROM turns WHERE session = ?", (session,)).fetchone()
            turn = Turn(last + 1, role, _storable(text), data or {}, now)
            record = (session, turn.number, role, turn.text, json.dumps(turn.data), now)
            db.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?)", record)
        return turn

    def get(self, session: str, owner: str = "") -> Session:
        """One session. Raises SessionError when there is none of this id, or it is another owner's."""
        with self._connection() as db:
            row = db.execute(
                "SELECT * FROM sessions WHERE id = ? AND owner = ?", (_storable(session), owner)
            ).fetchone()
        if row is None:
            raise _unknown(session)
        return Session(*row)

    def turns(self, session: str) -> list[Turn]:
        """The turns of a session, oldest first; none for a session that is not there."""
        with self._connection() as db:
            rows = db.execute(
                "SELECT number, role, text, data, created FROM turns WHERE session = ? ORDER BY number",
                (_storable(session),),
            ).fetchall()
        return [Turn(number, role, text, json.loads(data), created) for number, role, text, data, created in rows]

    def sessions(self, kind: str = "chat", owner: str = "") -> list[Session]:
        """The owner's sessions of one kind, the last changed first."""
        with self._connection() as db:
            rows = db.execute(
                "SELECT * FROM sessions WHERE kind = ? AND owner = ? ORDER BY changed DESC, rowid DESC", (kind, owner)
            ).fetchall()
        return [Session(*row) for row in rows]

    def rename(self, session: str, title: str) -> None:
        """Give a session another title. Raises SessionError."""
        with self._connection() as db:
            named = db.execute("UPDATE sessions SET title = ? WHERE id = ?", (_storable(title), _storable(session)))
            if not named.rowcount:
                raise _unknown(session)

    def delete(self, session: str) -> None:
        """Remove a session and its turns. Raises SessionError."""
        with self._connection() as db:
            if not db.execute("DELETE FROM sessions WHERE id = ?", (_storable(session),)).rowcount:
                raise _unknown(session)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._path, timeout=10)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(self._path, error) from error
        try:
            db.execute("PRAGMA foreign_keys = ON")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA:
                raise SessionError(
                    f"The conversations in {self._path} were written by a newer version.",
                    "Update the tutor, or set TUTOR_HOME.",
                )
            if version < SCHEMA:
                db.executescript(_TABLES + f"PRAGMA user_version = {SCHEMA};")
            with db:
                yield db
        except sqlite3.DatabaseError as error:
            raise _unusable(self._path, error) from error
        finally:
            db.close()


def _unknown(session: str) -> SessionError:
    return SessionError(f"There is no conversation {session!r}.", "List them with: tutor chat --list")


def _unusable(path: Path, error: Exception) -> StorageError:
    return StorageError(
        f"The conversations in {path} cannot be used: {error}.",
        "Check the disk and its permissions, move the file away, or choose another folder with TUTOR_HOME.",
    )


def _storable(text: str) -> str:
    """The text with what no UTF-8 file can hold (bytes that a terminal could not decode) as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
