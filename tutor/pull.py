"""Pulling a model from the hub: resumed where it stopped, hashed, and put in place only when whole and right.

The bytes go into a partial file beside the target, named after the SHA-256 that they must have, so that a partial file
is never continued with the bytes of another release. When it is complete and its hash is right, the lock file is
written and the partial file is renamed. Whatever happens before that, the target is either absent or as it was.

This is the only module that uses the network for models. It must not know which model is chosen, or how one is loaded.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import CRITICAL
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

from tutor import __version__
from tutor.catalogue import ModelSpec, find
from tutor.errors import ModelCorrupt, ModelMissing, PullFailed, StorageError, UnknownName, storage_error
from tutor.models import locate, locate_verified, lock_path, record_verified, target_path, write_atomically
from tutor.settings import Settings

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes of the whole file."""

DEFAULT_HUB = "https://huggingface.co"
SPARE_BYTES = 64 * 1024 * 1024
"""Disk space left free beside the model, for the lock file, the index and everybody else."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_RESUMES = "What is already here is kept: the same command continues where it stopped."


@dataclass(frozen=True, slots=True)
class _Remote:
    """The file as the hub describes it."""

    url: str
    commit: str
    size: int
    sha256: str


def pull(model: ModelSpec | str, settings: Settings, on_progress: Progress = lambda _done, _total: None) -> Path:
    """Bring a model to this disk and return its path. A model that is here and right is not pulled again.

    HF_ENDPOINT names another hub; HF_HUB_OFFLINE is set aside, since pulling is what was asked for. Raises UnknownName,
    PullFailed (network, hub), ModelCorrupt (wrong bytes, which are deleted) and StorageError (disk).
    """
    from filelock import FileLock, Timeout

    spec = find(model) if isinstance(model, str) else model
    if spec.package:
        return locate_verified(spec, settings)
    target = target_path(spec, settings)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(target.name + ".pull.lock"), timeout=0):
            if not _already_here(spec, settings):
                _fetch(spec, target, settings, on_progress)
            size = target.stat().st_size
    except Timeout:
        raise PullFailed(f"{spec.name} is being pulled by another process.", "Wait for it to finish.") from None
    except OSError as error:
        raise storage_error(error, "pulling a model", target) from error
    on_progress(size, size)
    return target


def partial_path(target: Path, sha256: str) -> Path:
    """Where the bytes of an unfinished pull lie."""
    return target.with_name(f"{target.name}.{sha256[:16]}.part")


def _already_here(spec: ModelSpec, settings: Settings) -> bool:
    try:
        locate(spec, settings)
        locate_verified(spec, settings)
    except (ModelMissing, ModelCorrupt):  # a damaged file is replaced by the rename at the end
        return False
    return True


def _fetch(spec: ModelSpec, target: Path, settings: Settings, on_progress: Progress) -> None:
    with _hub(spec):
        remote = _ask(spec)
        partial = partial_path(target, remote.sha256)
        for stale in target.parent.glob(f"{target.name}.*.part"):
            if stale != partial:
                stale.unlink(missing_ok=True)
        with _Sink(partial, remote.size, on_progress) as sink:
            _check_space(target.parent, remote.size - sink.size)
            _download(remote, sink)
    if sink.size != remote.size or sink.sha256 != remote.sha256:
        partial.unlink(missing_ok=True)
        raise ModelCorrupt(
            f"What was pulled for {spec.name} has SHA-256 {sink.sha256[:12]}…, expected {remote.sha256[:12]}….",
            "The download was damaged or tampered with and has been deleted. Pull again, perhaps on another network.",
        )
    lock = {
        "repo": spec.repo,
        "filename": spec.filename,
        "commit": remote.commit,
        "size": remote.size,
        "sha256": remote.sha256,
        "hash_source": spec.hash_source,
    }
    write_atomically(lock_path(target), json.dumps(lock, indent=1) + "\n")
    partial.replace(target)
    record_verified(target, remote.sha256, settings)


# --- talking to the hub ----------------------------------------------------------------------------------------------


@contextmanager
def _hub(spec: ModelSpec) -> Iterator[None]:
    """huggingface_hub made to go online without telemetry, and its errors translated into ours.

    The library reads its environment once, at import, and refuses every request in offline mode, which the rest of the
    program runs in. So the two constants are set for the length of the pull and put back.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import close_session, constants, errors, get_session
    from huggingface_hub.utils import logging

    httpx = importlib.import_module(type(get_session()).__module__.partition(".")[0])  # httpx, or httpx2 since 2.0
    switches: Any = constants
    before = (switches.HF_HUB_OFFLINE, switches.HF_HUB_DISABLE_TELEMETRY, logging.get_verbosity())
    switches.HF_HUB_OFFLINE, switches.HF_HUB_DISABLE_TELEMETRY = False, True
    logging.set_verbosity(CRITICAL)  # a broken connection is told once, by us
    try:
        yield
    except errors.GatedRepoError:
        raise PullFailed(
            f"{spec.repo} gives its files only to people who accepted its terms.",
            "Download the file in a browser and give its path: `tutor models use PATH`.",
        ) from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError):
        raise PullFailed(
            f"The hub has no file {spec.filename} in {spec.repo} (revision {spec.revision}).",
            "Choose another model with `tutor models list`, or give the path of a GGUF file.",
        ) from None
    except errors.HFValidationError as error:
        raise UnknownName(
            f"{spec.repo} cannot be a repository: {error}.", "Write OWNER/REPOSITORY/FILE.gguf."
        ) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "an error"
        raise PullFailed(f"The hub answered {status} for {spec.name}.", f"Try again later. {_RESUMES}") from error
    except (httpx.HTTPError, httpx.InvalidURL, errors.FileMetadataError) as error:
        reason = str(error) or type(error).__name__
        raise PullFailed(
            f"The connection for {spec.name} failed: {reason}.", f"Check the network (HF_ENDPOINT). {_RESUMES}"
        ) from error
    finally:
        switches.HF_HUB_OFFLINE, switches.HF_HUB_DISABLE_TELEMETRY = before[:2]
        logging.set_verbosity(before[2])
        close_session()


def _ask(spec: ModelSpec) -> _Remote:
    """What the hub says of the file, checked against what the catalogue expects. No token is ever sent."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    hub = os.environ.get("HF_ENDPOINT", "").rstrip("/") or DEFAULT_HUB
    url = hf_hub_url(spec.repo, spec.filename, revision=spec.revision, endpoint=hub)
    stated: HfFileMetadata = get_hf_file_metadata(url, token=False, endpoint=hub)
    sha256 = stated.etag or ""
    if not _SHA256.fullmatch(sha256) or not stated.size:
        raise PullFailed(
            f"The hub states no SHA-256 and size for {spec.filename}, so it could not be checked.",
            "Choose another model, or give the path of a GGUF file that you trust.",
        )
    if spec.sha256 and sha256 != spec.sha256:
        raise ModelCorrupt(
            f"The hub serves another file for {spec.name} than the catalogue expects.",
            "Nothing was pulled. Update the tutor; if it happens again, do not trust this hub.",
        )
    return _Remote(stated.location, stated.commit_hash or spec.revision, stated.size, sha256)


def _download(remote: _Remote, sink: _Sink) -> None:
    """Fetch what is missing. A connection that breaks is taken up again a few times before it counts as failed."""
    from huggingface_hub.file_download import http_get

    try:
        http_get(
            remote.url,
            cast("BinaryIO", sink),
            resume_size=sink.size,
            headers={"user-agent": f"mlsd-tutor/{__version__}", "accept-encoding": "identity"},
            expected_size=remote.size,
            tqdm_class=cast("Any", _NoBar),
        )
    except OSError as error:
        if error.errno is not None or "Consistency check" not in str(error):
            raise
        raise PullFailed("The hub closed the connection before the file was whole.", _RESUMES) from None
    except ValueError as error:  # beyond 50 GB the library wants another protocol
        raise PullFailed(
            f"The file of {remote.size / 1e9:.0f} GB cannot be pulled: {error}",
            "Download it by other means and give its path: `tutor models use PATH`.",
        ) from error


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise StorageError(
            f"The disk is too full: {needed / 1e9:.1f} GB are needed in {folder}, {free / 1e9:.1f} GB are free.",
            "Free some space, or choose another folder with TUTOR_HOME=/path/to/folder.",
        )


class _NoBar:
    """Stands where ``http_get`` wants a tqdm bar: progress is reported by ``_Sink``, and nothing is printed."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def update(self, _: int) -> None: ...

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_: object) -> None: ...


class _Sink:
    """The partial file, open for appending: counts, hashes and reports what is written.

    It offers what ``http_get`` uses of a file. When a server ignores the request to resume, ``http_get`` rewinds and
    truncates, and the hash begins anew.
    """

    def __init__(self, path: Path, total: int, on_progress: Progress) -> None:
        self._total = total
        self._on_progress = on_progress
        self._hash = hashlib.sha256()
        self.size = 0
        self._file = path.open("ab+")
        try:
            self._read_back()
        except BaseException:
            self._file.close()
            raise

    def _read_back(self) -> None:
        """Take in what an earlier pull left. More bytes than the file can have are of no use."""
        self._file.seek(0)
        while block := self._file.read(1 << 20):
            self._take(block)
        if self.size > self._total:
            self.seek(0)
            self.truncate()

    def _take(self, block: bytes) -> None:
        self._hash.update(block)
        self.size += len(block)
        self._on_progress(min(self.size, self._total), self._total)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, block: bytes) -> int:
        self._file.write(block)
        self._take(block)
        return len(block)

    def tell(self) -> int:
        return self.size

    def seek(self, offset: int) -> int:
        if offset == 0:
            self._hash, self.size = hashlib.sha256(), 0
        return self._file.seek(offset)

    def truncate(self) -> int:
        return self._file.truncate(self.size)

    def __enter__(self) -> _Sink:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()
