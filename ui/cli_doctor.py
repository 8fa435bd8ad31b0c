"""`tutor doctor`: the findings as a list, problems with their fix."""

from __future__ import annotations

from dataclasses import asdict

from tutor.doctor import examine
from tutor.settings import Settings
from ui.cli_ask import say_json
from ui.terminal import say

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


def run(settings: Settings, as_json: bool) -> int:
    """Print what was found; 1 when there is a problem, else 0."""
    findings = []
    for finding in examine(settings):
        findings.append(finding)
        if as_json:
            continue
        mark, style = _MARKS[finding.status]
        say(f"{mark} {finding.what}: {finding.detail}", style)
        if finding.fix:
            say(f"    {finding.fix}")
    if as_json:
        say_json([asdict(f) for f in findings])
    return int(any(f.status == "problem" for f in findings))
