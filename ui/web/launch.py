"""Starts the page's server and waits for its end. Used by ``tutor ui``; must not know what is on the page."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from tutor.errors import TutorError, UsageError
from tutor.settings import Settings

APP = Path(__file__).parent / "app.py"
GRACE_SECONDS = 8.0
"""How long the server may take to end before it is killed."""

_LOCAL = {"localhost": ("localhost", "127.0.0.1", "::1")}


def launch(settings: Settings, port: int = 8501, headless: bool = False, host: str = "localhost") -> int:
    """Serve the page at ``host:port`` until Ctrl-C, which is a good end; the exit code.

    Raises UsageError when the port cannot be had, TutorError when the server does not start.
    """
    require_port(host, port)
    from ui.terminal import say

    server = subprocess.Popen(command(port, headless, host), env=environment(settings))
    say(f"The page: {address(host, port)}  (Ctrl-C ends it)")
    with _ended_with_us(server):
        try:
            code = server.wait()
        except KeyboardInterrupt:
            return 0
    if code > 0:
        raise TutorError(f"The page's server ended with code {code}.", "Its own words are above; try another --port.")
    return 0


def address(host: str, port: int) -> str:
    """Where a browser finds the page."""
    shown = "localhost" if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def require_port(host: str, port: int) -> None:
    """Raise UsageError unless the server can listen there."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise UsageError(f"{host} is not an address of this computer.", "Use --host localhost.") from None
    family, kind, protocol, _, where = found[0]
    with socket.socket(family, kind, protocol) as probe:
        if os.name == "posix":  # a server that has just ended leaves its port in TIME_WAIT
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
            probe.listen(1)
        except OSError as error:
            raise UsageError(
                f"The page cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}.",
                f"End the program that uses the port, or choose another: tutor ui --port {port % 65535 + 1}",
            ) from None


def command(port: int, headless: bool, host: str) -> list[str]:
    """The command line of the server. Looks are in ``.streamlit/config.toml`` beside the page."""
    options = {
        "server.address": host,
        "server.port": port,
        "server.headless": headless,
        "server.showEmailPrompt": False,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.maxUploadSize": 5,
        "server.enableCORS": True,
        "server.enableXsrfProtection": True,
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "minimal",
        "logger.hideWelcomeMessage": True,
        "logger.level": "warning",
    }
    flags = [f"--{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in options.items()]
    if host in _LOCAL:  # another site's page must not reach this one under a name of its own (DNS rebinding)
        flags += [f"--server.allowedHosts={name}" for name in _LOCAL[host]]
    return [sys.executable, "-m", "streamlit", "run", str(APP), *flags]


def environment(settings: Settings) -> dict[str, str]:
    """The environment of the server: ours, with these settings in it."""
    given = {f"TUTOR_{name.upper()}": str(value) for name, value in settings.model_dump().items()}
    return {**os.environ, **given}


@contextlib.contextmanager
def _ended_with_us(server: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the server however we end: Ctrl-C, a signal or an error."""

    def ended(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, ended)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if server.poll() is None:
            server.terminate()
            try:
                server.wait(GRACE_SECONDS)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                server.kill()
                server.wait()
