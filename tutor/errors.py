"""Every error that a user can meet, as one tree.

Each leaf says what happened, what to do next (``hint``) and how the process ends (``exit_code``). Screens print
``message`` and ``hint``; nothing else formats errors. Errors never become answer text.

TutorError                     1
├── UsageError                 2  what was asked cannot be done as asked
│   ├── BadQuestion            2
│   ├── BadInputFile           2
│   ├── UnknownName            2
│   └── SettingsError          2
├── NotesError                 3  one or more notes cannot be read
├── BankProblem                3  an interview of the bank cannot be read
├── MermaidFailed              1  diagrams cannot be parsed
├── IndexProblem               4
│   ├── NoIndex                4
│   ├── IndexMismatch          4
│   ├── IndexBusy              4
│   └── IndexUnreachable       4
├── ModelProblem               5
│   ├── ModelMissing           5
│   ├── ModelCorrupt           5
│   ├── ModelFailed            5
│   ├── EndpointUnreachable    5
│   └── PullFailed             5
├── StorageError               6  disk full, read-only, no permission
└── SessionError               7  a conversation that is not there or cannot be read
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass


class TutorError(Exception):
    """The root. ``message`` says what happened, ``hint`` what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(TutorError):
    """What was asked cannot be done as asked."""

    exit_code = 2


class BadQuestion(UsageError):
    """A question that is empty, too long, or not text."""


class BadInputFile(UsageError):
    """A file given by the user (a batch, a dataset) that cannot be read."""


class UnknownName(UsageError):
    """A case, step, note or model that does not exist."""


class SettingsError(UsageError):
    """A TUTOR_* variable or an option with a value that cannot be used."""


@dataclass(frozen=True, slots=True)
class NoteProblem:
    """One thing wrong with one note, with the line (1-based, 0 when the whole file is meant)."""

    path: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.problem}" if self.line else f"{self.path}: {self.problem}"


class NotesError(TutorError):
    """Notes that cannot be read. ``problems`` names each with its file and line."""

    exit_code = 3

    def __init__(self, problems: Sequence[NoteProblem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 note problem" if count == 1 else f"{count} note problems"
        super().__init__(
            head + ":\n" + "\n".join(f"  {p}" for p in self.problems),
            "Mend the files above, or run `tutor ingest --skip-bad` to index the others. The index was not changed.",
        )


class BankProblem(TutorError):
    """An interview of the bank that cannot be read. ``line`` is 1-based, 0 when the whole file is meant."""

    exit_code = 3

    def __init__(self, path: str, line: int, problem: str) -> None:
        where = f"{path}:{line}" if line else path
        super().__init__(f"{where}: {problem}", "corpus/INTERVIEWS.md says how an interview is written.")
        self.path = path
        self.line = line
        self.problem = problem


class MermaidFailed(TutorError):
    """Node or mermaid, which parse diagrams, cannot be run."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "Install Node 20.19 or newer, or `pip install playwright`, which brings one.")


class IndexProblem(TutorError):
    """The index cannot be used."""

    exit_code = 4


class NoIndex(IndexProblem):
    """No index has been built yet."""


class IndexMismatch(IndexProblem):
    """The index was built with another embedder, chunker or layout than this program uses."""


class IndexBusy(IndexProblem):
    """Another ingest holds the lock."""


class IndexUnreachable(IndexProblem):
    """The Chroma server does not answer, or its data is gone."""


class ModelProblem(TutorError):
    """A model cannot be used."""

    exit_code = 5


class ModelMissing(ModelProblem):
    """A model file is not there."""


class ModelCorrupt(ModelProblem):
    """A model file does not have the hash it must have, or cannot be loaded."""


class ModelFailed(ModelProblem):
    """A model stopped in the middle of its work."""


class EndpointUnreachable(ModelProblem):
    """The OpenAI-compatible endpoint does not answer or refuses."""


class PullFailed(ModelProblem):
    """A download did not end well. What is already there is kept for the next try."""


class StorageError(TutorError):
    """The disk is full, read-only, or not ours."""

    exit_code = 6


class SessionError(TutorError):
    """A conversation that is not there or cannot be read."""

    exit_code = 7


def storage_error(error: OSError, doing: str, path: object) -> StorageError:
    """Translate an operating system error met while ``doing`` something at ``path``."""
    if error.errno == errno.ENOSPC:
        return StorageError(f"The disk is full while {doing} ({path}).", "Free some space and run the command again.")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StorageError(
            f"No permission to write while {doing} ({path}).",
            "Choose a folder that you can write to with TUTOR_HOME=/path/to/folder.",
        )
    return StorageError(f"{error.strerror or error} while {doing} ({path}).", "Check the path, then run it again.")
