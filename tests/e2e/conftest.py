"""A server of the page over a tiny corpus, and a browser to visit it. Nothing but loopback is reached."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
START_SECONDS = 60.0
WAIT_MS = 60_000

HOSTILE = (
    '<img src="http://evil.example/a.png" onerror="window.hacked=1"> ![p](http://evil.example/b.png) '
    "[l](http://evil.example/c) <script>window.hacked=1</script> a * b * c :smile: :material/home: www.evil.example"
)
"""Text that would be HTML, an image, a link, emphasis or an icon if anything read it as more than text."""

_AS_WRITTEN = HOSTILE.translate({ord(c): f"\\{c}" for c in "<>!*[]()_"})

NOTES = {
    "concepts/calibration.md": """---
slug: calibration
title: Calibration
kind: concept
aliases: [Platt scaling]
---

# Calibration

## Definition

Calibration is the agreement between predicted probabilities and observed frequencies. A calibrated model that predicts
0.2 is right in 20% of such cases. Its error is the gap $|p - \\bar{y}|$ in each bin.

```mermaid
flowchart LR
  A[Scores] --> B[Calibrator] --> C[Probabilities]
```

## Repair

- Platt scaling fits a sigmoid to the scores of held-out data.
- Isotonic regression fits a step function and needs more held-out data than Platt scaling.
""",
    "case-studies/visual-search.md": """---
slug: visual-search
title: Visual search
kind: case-study
steps: [evaluation]
---

# Visual search

## Evaluation

Recall at ten against judged image pairs is the offline metric of visual search. Online, the share of searches that end
in a saved image decides the launch of visual search.
""",
    "concepts/widgets.md": f"""---
slug: widgets
title: Widgets <b>bold</b> & [more](http://evil.example/d)
kind: concept
---

# Widgets <b>bold</b>

## Frobnication <img src="http://evil.example/e.png" onerror="window.hacked=1">

A widget frobnicates its neighbour with {_AS_WRITTEN} every single day.

{HOSTILE}

```mermaid
flowchart LR
  A@{{ img: "http://evil.example/f.png", label: "x" }}
```

<iframe src="http://evil.example/g"></iframe>
""",
}


@dataclass
class Server:
    """A running server. ``log`` is what it wrote."""

    url: str
    home: Path
    corpus: Path
    process: subprocess.Popen[bytes]
    log: Path


@dataclass
class Visit:
    """A browser window that keeps record of what it asked of the world."""

    page: Page
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server answers. Fails with its log when it ended or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start: {log.read_text()}")


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """`tutor ui` over a new home and the notes above, ended with Ctrl-C."""
    home, corpus, log = folder / "home", folder / "corpus", folder / "log"
    for name, text in NOTES.items():
        (corpus / name).parent.mkdir(parents=True, exist_ok=True)
        (corpus / name).write_text(text, encoding="utf-8")
    port = free_port()
    ours = {"TUTOR_HOME": str(home), "TUTOR_CORPUS": str(corpus), "TUTOR_ENGINE": "extractive", "TUTOR_THREADS": "2"}
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TUTOR_", "STREAMLIT_"))} | ours
    command = [sys.executable, "-c", "from ui.cli import main; main()", "ui", "--headless", "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    server = Server(f"http://localhost:{port}", home, corpus, process, log)
    try:
        wait_until_healthy(server.url, process, log)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a module. It has no index until the page is visited."""
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    if CHROMIUM is None:
        if os.environ.get("TUTOR_REQUIRE_BROWSER"):
            pytest.fail("no Chromium is installed, and TUTOR_REQUIRE_BROWSER asks for it")
        pytest.skip("no Chromium is installed: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


@contextmanager
def visiting(browser: Browser, server: Server, width: int = 1280, scheme: str = "light") -> Iterator[Visit]:
    """A window of this width; afterwards, nothing foreign may have been asked for and no script may have failed."""
    context: BrowserContext = browser.new_context(
        viewport={"width": width, "height": 850}, color_scheme="dark" if scheme == "dark" else "light"
    )
    visit = Visit(context.new_page())
    visit.page.set_default_timeout(WAIT_MS)
    ours = (server.url, server.url.replace("http", "ws", 1), "data:", "blob:")
    context.on("request", lambda r: None if r.url.startswith(ours) else visit.foreign.append(r.url))
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on("dialog", lambda dialog: visit.errors.append(dialog.message))
    try:
        yield visit
        assert visit.foreign == []
        assert visit.errors == []
        assert visit.page.evaluate("window.hacked") is None
    finally:
        context.close()
