"""Starting the page's server: what it is told, and what is said when it cannot start."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tutor.errors import UsageError
from tutor.settings import Settings
from ui.web.launch import APP, address, command, environment, launch, require_port


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of loopback that somebody listens on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        yield holder.getsockname()[1]


def test_a_port_in_use_is_said_with_a_way_out(taken: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{taken}: address already in use") as caught:
        launch(Settings(home=tmp_path), taken, headless=True, host="127.0.0.1")
    assert f"--port {taken + 1}" in caught.value.hint


def test_the_last_port_s_way_out_is_a_port(taken: int) -> None:
    with pytest.raises(UsageError) as caught:
        require_port("198.51.100.7", 65535)  # an address that no computer has
    assert "--port 1" in caught.value.hint


def test_a_host_that_is_no_address_is_refused() -> None:
    with pytest.raises(UsageError, match="not an address"):
        require_port("no such host", 8501)


def test_a_port_that_was_just_used_can_be_had_again() -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
    require_port("127.0.0.1", port)


def test_the_server_is_told_to_stay_local_silent_and_plain() -> None:
    told = command(8600, headless=True, host="localhost")
    assert told[3:5] == ["run", str(APP)]
    for flag in (
        "--server.address=localhost",
        "--server.port=8600",
        "--server.headless=true",
        "--server.fileWatcherType=none",
        "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none",
        "--client.toolbarMode=minimal",
        "--server.allowedHosts=localhost",
    ):
        assert flag in told


def test_a_server_for_others_accepts_their_name_for_it() -> None:
    assert not any("allowedHosts" in flag for flag in command(8600, headless=True, host="0.0.0.0"))


def test_the_server_gets_these_settings(tmp_path: Path) -> None:
    given = Settings(home=tmp_path, engine="extractive", threads=3)
    told = environment(given)
    assert (told["TUTOR_HOME"], told["TUTOR_ENGINE"], told["TUTOR_THREADS"]) == (str(tmp_path), "extractive", "3")


def test_every_setting_survives_the_way_to_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = Settings(home=tmp_path, corpus=str(tmp_path), model="x", endpoint="http://localhost:1/v1", max_note_mb=2.5)
    for name, value in environment(given).items():
        monkeypatch.setenv(name, value)
    assert Settings() == given


@pytest.mark.parametrize(
    ("host", "seen"),
    [
        ("localhost", "http://localhost:1"),
        ("0.0.0.0", "http://localhost:1"),
        ("::", "http://localhost:1"),
        ("::1", "http://[::1]:1"),
        ("tutor.example", "http://tutor.example:1"),
    ],
)
def test_the_address_can_be_opened_in_a_browser(host: str, seen: str) -> None:
    assert address(host, 1) == seen
