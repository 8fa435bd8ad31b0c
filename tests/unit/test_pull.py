"""Pulling a model from a hub on the loopback interface: whole and right, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filelock import FileLock

from tutor import models
from tutor.catalogue import DEFAULT_CHAT, ModelSpec
from tutor.errors import ModelCorrupt, PullFailed, StorageError, TutorError
from tutor.pull import partial_path, pull
from tutor.settings import Settings

CONTENT = b"GGUF" + random.Random(7).randbytes(24 * 1024 * 1024)  # more than two of the blocks that are asked for
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = "/cdn/blob"


@dataclass
class Hub:
    """What the imitated hub serves, how it misbehaves, and what it was asked."""

    content: bytes = CONTENT
    etag: str = SHA256
    stated_size: int = len(CONTENT)
    head_status: int = 302
    error_code: str = ""
    get_status: int = 0
    cut_after: list[int] = field(default_factory=list)
    ignores_range: bool = False
    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)

    @property
    def downloads(self) -> int:
        return len(self.ranges)


class _Handler(BaseHTTPRequestHandler):
    """HEAD answers as the hub does for a large file: a redirect to another host that carries the file's metadata."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def _note(self) -> None:
        self.hub.asked.append((self.command, self.path))
        self.hub.tokens.append(self.headers.get("Authorization"))

    def do_HEAD(self) -> None:
        self._note()
        self.send_response(self.hub.head_status)
        if self.hub.head_status == 302:
            self.send_header("Location", self.hub.url.replace("127.0.0.1", "localhost") + FILE)
            self.send_header("X-Linked-Etag", f'"{self.hub.etag}"')
            self.send_header("X-Linked-Size", str(self.hub.stated_size))
            self.send_header("X-Repo-Commit", "c" * 40)
        if self.hub.error_code:
            self.send_header("X-Error-Code", self.hub.error_code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self._note()
        wanted = self.headers.get("Range")
        self.hub.ranges.append(wanted)
        if self.hub.get_status and self.hub.downloads > 1:
            self.send_response(self.hub.get_status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and not self.hub.ignores_range else 0
        body = self.hub.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.hub.content) - 1}/{len(self.hub.content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.hub.cut_after.pop(0) if self.hub.cut_after else len(body)
        self.wfile.write(body[:cut])
        if cut < len(body):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    state = Hub()
    handler = type("Handler", (_Handler,), {"hub": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv("HF_ENDPOINT", state.url)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    yield Settings(home=tmp_path / "home")
    shutil.rmtree(tmp_path / "home", ignore_errors=True)  # pytest keeps temporary folders, and these are large


def a_model(sha256: str = SHA256, size: int = len(CONTENT)) -> ModelSpec:
    return ModelSpec(
        "tiny", "chat", "", "owner/tiny-gguf", "tiny.gguf", "Apache-2.0", size, sha256, "test", 1, 64, "", "a" * 40
    )


@pytest.fixture
def target(settings: Settings) -> Path:
    return models.target_path(a_model(), settings)


def test_a_pulled_model_is_whole_verified_and_alone_in_its_folder(hub: Hub, settings: Settings, target: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert pull(a_model(), settings, lambda done, total: seen.append((done, total))) == target
    assert target.read_bytes() == CONTENT
    assert {p.name for p in target.parent.iterdir()} - {"tiny.gguf.pull.lock"} == {"tiny.gguf", "tiny.gguf.lock.json"}
    lock = json.loads(models.lock_path(target).read_text())
    assert (lock["sha256"], lock["size"], lock["commit"]) == (SHA256, len(CONTENT), "c" * 40)
    done = [d for d, _ in seen]
    assert done == sorted(done)
    assert len(set(done)) >= 3
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_only_the_file_is_asked_for_and_no_token_is_sent(hub: Hub, settings: Settings) -> None:
    pull(a_model(), settings)
    assert hub.asked == [("HEAD", f"/owner/tiny-gguf/resolve/{'a' * 40}/tiny.gguf"), ("GET", FILE)]
    assert hub.tokens == [None, None]


def test_a_model_that_is_here_is_not_asked_for_again(hub: Hub, settings: Settings) -> None:
    pull(a_model(), settings)
    hub.asked.clear()
    pull(a_model(), settings)
    assert hub.asked == []


def test_a_damaged_model_is_replaced(hub: Hub, settings: Settings, target: Path) -> None:
    pull(a_model(), settings)
    target.write_bytes(CONTENT[:-1] + b"?")
    pull(a_model(), settings)
    assert target.read_bytes() == CONTENT


def test_a_connection_that_breaks_is_taken_up_where_it_broke(hub: Hub, settings: Settings, target: Path) -> None:
    hub.cut_after = [15_000_000]
    pull(a_model(), settings)
    assert target.read_bytes() == CONTENT
    assert hub.ranges[0] is None
    assert hub.ranges[1] not in (None, "bytes=0-")


def test_a_pull_that_failed_continues_in_the_next_one(hub: Hub, settings: Settings, target: Path) -> None:
    hub.cut_after, hub.get_status = [15_000_000], 503
    with pytest.raises(PullFailed, match="503") as failed:
        pull(a_model(), settings)
    assert "continues" in failed.value.hint
    assert not target.exists()
    kept = partial_path(target, SHA256).stat().st_size
    assert kept > 0

    hub.get_status, first = 0, []
    pull(a_model(), settings, lambda done, _: first.append(done))
    assert hub.ranges[-1] == f"bytes={kept}-"
    assert target.read_bytes() == CONTENT


def test_a_server_that_cannot_resume_is_read_from_the_start(hub: Hub, settings: Settings, target: Path) -> None:
    target.parent.mkdir(parents=True)
    partial_path(target, SHA256).write_bytes(CONTENT[:1000])
    hub.ignores_range = True
    pull(a_model(), settings)
    assert hub.ranges == ["bytes=1000-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("left", [CONTENT, CONTENT + b"more"], ids=["all of it", "too much"])
def test_a_partial_file_that_is_full_needs_no_luck(hub: Hub, settings: Settings, target: Path, left: bytes) -> None:
    target.parent.mkdir(parents=True)
    partial_path(target, SHA256).write_bytes(left)
    pull(a_model(), settings)
    assert target.read_bytes() == CONTENT
    assert hub.downloads == (len(left) > len(CONTENT))


def test_what_is_left_of_another_release_is_not_continued(hub: Hub, settings: Settings, target: Path) -> None:
    target.parent.mkdir(parents=True)
    other = partial_path(target, "f" * 64)
    other.write_bytes(b"old release")
    pull(a_model(), settings)
    assert hub.ranges == [None]
    assert not other.exists()


def test_ctrl_c_leaves_no_model_and_what_was_pulled_counts(hub: Hub, settings: Settings, target: Path) -> None:
    def interrupt(done: int, _: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(a_model(), settings, interrupt)
    assert not target.exists()
    pull(a_model(), settings)
    assert hub.ranges[-1] is not None
    assert target.read_bytes() == CONTENT


def test_wrong_bytes_are_refused_and_deleted(hub: Hub, settings: Settings, target: Path) -> None:
    hub.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(ModelCorrupt, match="expected"):
        pull(a_model(), settings)
    assert not target.exists()
    assert not partial_path(target, SHA256).exists()
    hub.content = CONTENT
    assert pull(a_model(), settings).read_bytes() == CONTENT


def test_a_hub_that_states_another_hash_than_the_catalogue_is_not_trusted(hub: Hub, settings: Settings) -> None:
    with pytest.raises(ModelCorrupt, match="another file"):
        pull(a_model(sha256="b" * 64), settings)
    assert hub.downloads == 0


def test_a_hub_that_states_no_hash_is_not_trusted(hub: Hub, settings: Settings) -> None:
    hub.etag = "0" * 40  # a git object id, as for small files
    with pytest.raises(PullFailed, match="no SHA-256"):
        pull(a_model(), settings)
    assert hub.downloads == 0


def test_a_disk_too_small_is_noticed_before_the_first_byte(hub: Hub, settings: Settings, target: Path) -> None:
    hub.stated_size = 10**17
    with pytest.raises(StorageError, match="too full") as full:
        pull(a_model(size=10**17), settings)
    assert "TUTOR_HOME" in full.value.hint
    assert hub.downloads == 0
    assert not target.exists()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_midway_is_told_and_can_be_resumed(hub: Hub, settings: Settings, target: Path) -> None:
    with largest_file(12 * 1024 * 1024), pytest.raises(StorageError):
        pull(a_model(), settings)
    assert not target.exists()
    pull(a_model(), settings)
    assert hub.ranges[-1] is not None
    assert target.read_bytes() == CONTENT


def test_a_home_that_cannot_be_written_is_told(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError):
        pull(a_model(), Settings(home=tmp_path / "file" / "home"))


def test_a_hub_that_is_down_says_that_nothing_is_lost(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PullFailed, match="connection") as failed:
        pull(a_model(), settings)
    assert "continues" in failed.value.hint


@pytest.mark.parametrize("endpoint", ["nonsense", "http://[bad", "ftp://127.0.0.1:9"])
def test_a_hub_address_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, settings: Settings, endpoint: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(PullFailed, match="connection"):
        pull(a_model(), settings)


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (404, "EntryNotFound", "no file"),
        (401, "RepoNotFound", "no file"),
        (403, "GatedRepo", "terms"),
        (500, "", "500"),
    ],
)
def test_what_the_hub_refuses_is_told_in_words(hub: Hub, settings: Settings, status: int, code: str, says: str) -> None:
    hub.head_status, hub.error_code = status, code
    with pytest.raises(PullFailed, match=says):
        pull(a_model(), settings)


def test_two_pulls_of_one_model_do_not_mix(hub: Hub, settings: Settings, target: Path) -> None:
    target.parent.mkdir(parents=True)
    with (
        FileLock(target.with_name(target.name + ".pull.lock")),
        pytest.raises(PullFailed, match="another process"),
    ):
        pull(a_model(), settings)
    assert hub.asked == []


@pytest.mark.models
def test_a_packaged_model_is_already_here(hub: Hub, settings: Settings) -> None:
    assert pull(DEFAULT_CHAT, settings) == models.locate(DEFAULT_CHAT, settings)
    assert hub.asked == []


def test_any_file_of_the_hub_can_be_pulled_by_name_and_is_checked_from_then_on(hub: Hub, settings: Settings) -> None:
    name = "owner/tiny-gguf/sub/tiny.Q4.gguf"
    path = pull(name, settings)
    assert hub.asked[0] == ("HEAD", "/owner/tiny-gguf/resolve/main/sub/tiny.Q4.gguf")
    assert models.chat_model_path(settings, name) == (name, path)
    assert name in models.where(settings)
    path.write_bytes(CONTENT[::-1])
    with pytest.raises(ModelCorrupt):
        models.chat_model_path(settings, name)
    assert models.remove(name, settings) >= len(CONTENT)
    assert name not in models.where(settings)


@pytest.mark.parametrize("name", ["nobody", "../../etc/passwd.gguf", "owner/../x.gguf", "a..b--c/d/e.gguf", ""])
def test_a_name_that_is_none_is_told(hub: Hub, settings: Settings, name: str) -> None:
    with pytest.raises(TutorError):
        pull(name, settings)
    assert hub.downloads == 0


def test_pulling_works_and_stays_the_only_thing_that_does_when_the_program_is_offline(
    hub: Hub, settings: Settings
) -> None:
    code = """
import sys
from tutor.pull import pull
from tutor.settings import load
pull("owner/tiny-gguf/tiny.gguf", load())
import huggingface_hub
assert huggingface_hub.constants.HF_HUB_OFFLINE
try:
    huggingface_hub.get_session().get("http://127.0.0.1:9")
except huggingface_hub.errors.OfflineModeIsEnabled:
    print("offline again", end="")
"""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "TUTOR_HOME": str(settings.home)}
    ran = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "offline again", "")
    assert [path for _, path in hub.asked] == ["/owner/tiny-gguf/resolve/main/tiny.gguf", FILE]
