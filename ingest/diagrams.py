"""Parses Mermaid diagrams with the mermaid that Streamlit carries: what passes here is drawn in the page.

Mermaid is JavaScript and needs Node: the one on the path, or the one that Playwright brings. This module knows no note
and does not import Streamlit; it only finds the file.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tutor.errors import MermaidFailed

_SCRIPT = Path(__file__).with_name("mermaid.mjs")
_TIMEOUT_S = 120


def can_parse() -> bool:
    """Whether Node and Streamlit's mermaid are here."""
    return _node() is not None and _mermaid() is not None


def parse_errors(sources: Sequence[str]) -> list[str | None]:
    """For each diagram what mermaid says is wrong with it, on one line, or None.

    Raises MermaidFailed when mermaid cannot be run: ask ``can_parse`` before.
    """
    node, mermaid = _node(), _mermaid()
    if node is None or mermaid is None:
        raise MermaidFailed("Diagrams cannot be parsed: there is no Node.")
    try:
        done = subprocess.run(
            [node, str(_SCRIPT), str(mermaid)],
            input=json.dumps(list(sources)),
            capture_output=True,
            encoding="utf-8",
            timeout=_TIMEOUT_S,
            check=True,
        )
        found = json.loads(done.stdout)
    except subprocess.CalledProcessError as error:
        raise MermaidFailed(f"Mermaid stopped: {_line(error.stderr)}.") from None
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise MermaidFailed(f"Mermaid cannot be run: {error}.") from None
    if not isinstance(found, list) or len(found) != len(sources):
        raise MermaidFailed("Mermaid did not answer for each diagram.")
    return [None if error is None else _line(str(error)) for error in found]


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else line[:159] + "…"


def _node() -> str | None:
    if found := shutil.which("node"):
        return found
    playwright = find_spec("playwright")
    if playwright is None or playwright.origin is None:
        return None
    brought = Path(playwright.origin).parent / "driver" / "node"
    return str(brought) if brought.is_file() else None


def _mermaid() -> Path | None:
    streamlit = find_spec("streamlit")
    if streamlit is None or streamlit.origin is None:
        return None
    found = sorted((Path(streamlit.origin).parent / "static" / "static" / "js").glob("mermaid.core.*.js"))
    return found[0] if found else None
