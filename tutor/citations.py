"""Numbers citations. A marker is given out only for evidence that exists, so no marker can point at nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tutor.types import Citation, Evidence


@dataclass(slots=True)
class Citer:
    """Gives evidence its marker, 1, 2, 3… in the order of first use."""

    citations: list[Citation] = field(default_factory=list)
    _markers: dict[tuple[str, int, int], int] = field(default_factory=dict)

    def cite(self, evidence: Sequence[Evidence]) -> tuple[Citation, ...]:
        """The citations of one sentence, by marker."""
        cited: list[Citation] = []
        for item in evidence:
            key = (item.path, item.start, item.end)
            if key not in self._markers:
                self._markers[key] = len(self.citations) + 1
                marker = self._markers[key]
                self.citations.append(
                    Citation(marker, item.note, item.heading, item.path, item.start, item.end, item.quote)
                )
            cited.append(self.citations[self._markers[key] - 1])
        return tuple(sorted(set(cited), key=lambda c: c.marker))


_END = re.compile(r"([.!?…]+[\"'”’)\]]*)?\s*$")
_DRAFTED_MARKER = re.compile(
    r"\s*\[\s*\d+(?:\s*[,;–-]\s*\d+)*\s*\]|\s*\((?:fact|source|note)s? \d+[^)]*\)", re.IGNORECASE
)


def marked(text: str, citations: Sequence[Citation]) -> str:
    """``text`` with its markers before the full stop: "Calibrate last [2]."."""
    if not citations:
        return text
    markers = "".join(f"[{c.marker}]" for c in citations)
    match = _END.search(text)
    at = match.start() if match else len(text)
    return f"{text[:at].rstrip()} {markers}{text[at:].strip()}"


def unmarked(text: str) -> str:
    """``text`` without markers that a model wrote: ours are given out by ``Citer`` alone."""
    return _DRAFTED_MARKER.sub("", text).strip()
