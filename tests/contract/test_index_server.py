"""What a Chroma server adds to the contract of an index: it may not be there, be something else, or die."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.contract.indexed import CHUNKS, VECTORS, Server, start_server
from tests.hash_kit import vector
from tutor.adapters.index_chroma import ChromaStore
from tutor.errors import IndexMismatch, IndexUnreachable
from tutor.types import Filter


class _Web(BaseHTTPRequestHandler):
    """A server that is not Chroma."""

    answer = (404, b"<html>Not here</html>")
    delay = 0.0

    def do_GET(self) -> None:
        time.sleep(self.delay)
        self.send_response(self.answer[0])
        self.send_header("Content-Length", str(len(self.answer[1])))
        self.end_headers()
        self.wfile.write(self.answer[1])

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def web() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Web) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def check_unreachable(store: ChromaStore, name: str, url: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.open(name),
        lambda: store.vectors(name, [CHUNKS[0].id]),
        lambda: store.write(f"gen-{os.urandom(3).hex()}", CHUNKS, VECTORS),
    ]
    for call in calls:
        with pytest.raises(IndexUnreachable) as caught:
            call()
        assert url in caught.value.message
        assert len(caught.value.message) < 500
        assert "chroma run" in caught.value.hint
        assert "TUTOR_CHROMA_URL" in caught.value.hint
    store.prune([])  # never raises


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9",
        "127.0.0.1:9",
        "http://127.0.0.1:port",
        "http://127.0.0.1:99999",
        "http://",
        "https://127.0.0.1:9",
    ],
)
def test_a_server_that_does_not_answer_is_unreachable(on_disk: tuple[ChromaStore, Path], url: str) -> None:
    _, folder = on_disk
    check_unreachable(ChromaStore(folder.parent, url), "gen-1", url)


@pytest.mark.parametrize(
    "answer", [(404, b"<html>Not here</html>" * 100), (500, b"boom"), (200, b"{}"), (200, b"[1]"), (200, b"not JSON")]
)
def test_a_server_that_is_not_chroma_is_unreachable(
    on_disk: tuple[ChromaStore, Path], web: str, answer: tuple[int, bytes]
) -> None:
    _Web.answer, _Web.delay = answer, 0.0
    check_unreachable(ChromaStore(on_disk[1].parent, web), "gen-1", web)


def test_a_server_that_accepts_and_says_nothing_is_unreachable_in_the_end(
    on_disk: tuple[ChromaStore, Path], web: str
) -> None:
    _Web.delay = 1.5
    with pytest.raises(IndexUnreachable, match="timed out"):
        ChromaStore(on_disk[1].parent, web, patience_s=0.3).open("gen-1")


def test_a_server_that_dies_is_unreachable_and_its_rubbish_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    running = start_server(tmp_path / "server")
    try:
        store = ChromaStore(tmp_path / "index", running.url)
        store.write("gen-1", CHUNKS, VECTORS)
        opened = store.open("gen-1")
        assert opened.dense(vector("metric"), 1, Filter())
    finally:
        running.process.kill()
        running.process.wait()
    with pytest.raises(IndexUnreachable, match="127"):
        opened.dense(vector("metric"), 1, Filter())
    assert opened.lexical("metric", 1, Filter())  # the words are here
    check_unreachable(store, "gen-1", running.url)
    assert (tmp_path / "index" / "gen-1").is_dir()  # else nobody could drop its collection later


def test_a_collection_dropped_under_a_reader_is_an_error_of_ours(server: Server, tmp_path: Path) -> None:
    store, name = ChromaStore(tmp_path, server.url), f"gen-dropped-{os.urandom(3).hex()}"
    store.write(name, CHUNKS, VECTORS)
    opened = store.open(name)
    store.prune([])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(IndexMismatch):
        opened.dense(vector("metric"), 1, Filter())


def test_prune_leaves_the_collections_of_others_on_the_server(server: Server, tmp_path: Path) -> None:
    mine, theirs = (ChromaStore(tmp_path / who, server.url) for who in ("mine", "theirs"))
    name = f"gen-theirs-{os.urandom(3).hex()}"
    theirs.write(name, CHUNKS, VECTORS)
    mine.write(f"gen-mine-{os.urandom(3).hex()}", CHUNKS, VECTORS)
    mine.prune([])
    assert len(theirs.open(name).dense(vector("metric"), 100, Filter())) == len(CHUNKS)
