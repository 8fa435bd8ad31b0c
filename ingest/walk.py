"""Finds the files under the given roots that may be notes, and names everything in the way.

Nothing is opened here but ``.tutorignore``, so a FIFO or a device cannot hang the search; links are followed only to
what lies inside their root. This module knows file names and kinds, not what files say.
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tutor.errors import BadInputFile, NoteProblem
from tutor.settings import Settings

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

MARKDOWN = frozenset({".md", ".markdown"})
DOCUMENTS = frozenset({".pdf", ".html", ".htm"})
SUFFIXES = MARKDOWN | DOCUMENTS | {".txt"}
IGNORE_FILE = ".tutorignore"

_Place: TypeAlias = tuple[Path, str]  # as found under the root, and the real path

MAX_FILES = 100_000
"""More note files than this are taken for a mistake in the path."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file of a known suffix within the size limit. ``path`` is the root as given joined with what was found
    under it; ``id`` is that part without its suffix."""

    id: str
    path: Path

    @property
    def suffix(self) -> str:
        """The suffix in lower case, with its dot."""
        return self.path.suffix.lower()


def discover(
    roots: Sequence[Path], settings: Settings, *, max_files: int = MAX_FILES
) -> tuple[list[FoundFile], list[NoteProblem]]:
    """The note files under ``roots`` (folders or single files), in the order of the roots and then of their paths.

    Hidden files and folders and those named by a root's ``.tutorignore`` are left out silently. A file reached from two
    roots is found once; two files that would have one id are a problem, and the first is kept. Raises BadInputFile for
    a root that does not exist or is not a folder or a note.
    """
    found: list[FoundFile] = []
    problems: list[NoteProblem] = []
    seen: dict[str, Path] = {}
    real: set[str] = set()
    for root in roots:
        for path, where in _files(root, problems, max_files + 1):
            if where in real:
                continue
            real.add(where)
            if len(real) > max_files:
                problems.append(
                    NoteProblem(shown(root), 0, f"brings the notes above {max_files:,}; give a smaller folder")
                )
                return found, problems
            problem = _unfit(path, settings.max_note_mb)
            file = FoundFile(_id(root, path), path)
            if problem is None and file.id in seen:
                problem = f"has the same id ({file.id}) as {shown(seen[file.id])}; rename one of the two"
            if problem is not None:
                problems.append(NoteProblem(shown(path), 0, problem))
                continue
            seen[file.id] = path
            found.append(file)
    return found, problems


def shown(path: Path) -> str:
    """A path that can be printed anywhere: bytes that are not UTF-8 and control characters are escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(char if unicodedata.category(char) != "Cc" else repr(char)[1:-1] for char in text)


def too_large(size: int, max_mb: float) -> str | None:
    """The problem with a file of ``size`` bytes, None when it is within the limit."""
    if size <= max_mb * 1e6:
        return None
    return f"has {size / 1e6:,.1f} MB, over the limit of {max_mb:g} MB; split it or raise TUTOR_MAX_NOTE_MB"


def kind_of(mode: int) -> str:
    """What a file of this mode is, in words; empty for a regular file."""
    if stat.S_ISREG(mode):
        return ""
    kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def trouble(error: OSError) -> str:
    """What an operating system error about one note means to its owner."""
    if isinstance(error, FileNotFoundError):
        return "vanished while it was read; run the command again"
    if error.errno == errno.ELOOP:
        return "is a loop of symbolic links; remove the link"
    return f"cannot be read: {error.strerror or error}"


def _id(root: Path, path: Path) -> str:
    return path.stem if path == root else path.relative_to(root).with_suffix("").as_posix()


def _unfit(path: Path, max_mb: float) -> str | None:
    """Why a file found by name cannot be a note, without opening it."""
    absolute = os.path.abspath(path)
    try:
        absolute.encode()
    except UnicodeEncodeError:
        return "the name is not valid UTF-8; rename the file or its folder"
    if any(unicodedata.category(char) == "Cc" for char in absolute):
        return "the name holds a control character; rename the file or its folder"
    try:
        status = path.stat()
    except OSError as error:
        return trouble(error)
    kind = kind_of(status.st_mode)
    return f"is {kind}, not a file" if kind else too_large(status.st_size, max_mb)


# --- one root --------------------------------------------------------------------------------------------------------


def _files(root: Path, problems: list[NoteProblem], most: int) -> list[_Place]:
    try:
        mode = root.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        said = error.strerror if isinstance(error, OSError) else str(error)
        hint = "Check the path; it must be a folder of notes or a single note."
        raise BadInputFile(f"{shown(root)!r} cannot be read: {said}.", hint) from None
    if stat.S_ISDIR(mode):
        return _search(root, problems, most)
    if kind_of(mode) or root.suffix.lower() not in SUFFIXES:
        raise BadInputFile(
            f"{shown(root)!r} is {kind_of(mode) or 'not a note'}.",
            f"Give a folder, or a file ending in {', '.join(sorted(SUFFIXES))}.",
        )
    return [(root, os.path.realpath(root))]


def _search(root: Path, problems: list[NoteProblem], most: int) -> list[_Place]:
    """All note files of a folder in order, or ``most`` of them.

    Real folders come first and links last, so that a link to what the root holds anyway adds nothing.
    """
    ignored = _ignore_spec(root, problems)
    files: dict[str, Path] = {}  # by real path
    links: list[Path] = []
    folders: set[str] = set()
    pending: list[_Place] = [(root, os.path.realpath(root))]
    while (pending or links) and len(files) < most:
        if pending:
            folder, real = pending.pop()
            if real in folders:
                continue
            folders.add(real)
            try:
                subfolders, here, linked = _enter(folder, root, ignored)
            except OSError as error:
                problems.append(NoteProblem(shown(folder), 0, trouble(error)))
                continue
            pending.extend((path, f"{real.rstrip('/')}/{path.name}") for path in reversed(subfolders))
            links.extend(linked)
            for path in here:
                files.setdefault(f"{real.rstrip('/')}/{path.name}", path)
            continue
        links.sort(reverse=True)
        link = links.pop()
        target, is_folder, problem = _target(link, root)
        if problem:
            problems.append(NoteProblem(shown(link), 0, problem))
        elif is_folder:
            pending.append((link, target))
        elif target:
            files.setdefault(target, link)
    ordered = sorted(files.items(), key=lambda item: item[1].relative_to(root).parts)
    return [(path, real) for real, path in ordered[:most]]


def _enter(folder: Path, root: Path, ignored: GitIgnoreSpec) -> tuple[list[Path], list[Path], list[Path]]:
    """The subfolders, note files and links of a folder, each in order. Raises OSError."""
    subfolders: list[Path] = []
    files: list[Path] = []
    links: list[Path] = []
    with os.scandir(folder) as entries:
        names = sorted((entry.name, entry.is_symlink(), entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, is_link, is_folder in names:
        path = folder / name
        relative = path.relative_to(root).as_posix() + ("/" if is_folder else "")
        if name.startswith(".") or ignored.match_file(relative):
            continue
        if is_link:
            links.append(path)
        elif is_folder:
            subfolders.append(path)
        elif path.suffix.lower() in SUFFIXES:
            files.append(path)
    return subfolders, files, links


def _target(link: Path, root: Path) -> tuple[str, bool, str | None]:
    """(real path, is a folder, problem) of what a link leads to; the real path is empty when it cannot be a note."""
    is_note = link.suffix.lower() in SUFFIXES
    try:
        target = os.path.realpath(link, strict=True)
        is_folder = stat.S_ISDIR(Path(target).stat().st_mode)
    except OSError as error:
        if not is_note and link.suffix:  # a broken link to a picture is no business of ours
            return "", False, None
        dangling = isinstance(error, FileNotFoundError)
        return "", False, "is a symbolic link to nothing; remove it or mend it" if dangling else trouble(error)
    if not is_folder and not is_note:
        return "", False, None
    if is_folder and _within(os.path.realpath(link.parent), target):
        return "", False, "is a loop of symbolic links; remove the link"
    if not _within(target, os.path.realpath(root)):
        return (
            "",
            False,
            "is a symbolic link that leads outside its folder; give that folder as well, or copy the notes",
        )
    return target, is_folder, None


def _within(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def _ignore_spec(root: Path, problems: list[NoteProblem]) -> GitIgnoreSpec:
    """The patterns of ``.tutorignore``; a pattern that cannot be read is a problem, the others hold."""
    from pathspec import GitIgnoreSpec

    file = root / IGNORE_FILE
    lines: list[str] = []
    try:
        if file.is_file():
            lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        problems.append(NoteProblem(shown(file), 0, trouble(error)))
    except UnicodeDecodeError:
        problems.append(NoteProblem(shown(file), 0, "is not UTF-8; save it as UTF-8"))
    good: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            problems.append(NoteProblem(shown(file), number, f"{line!r} is not a pattern in gitignore syntax"))
        else:
            good.append(line)
    return GitIgnoreSpec.from_lines(good)
