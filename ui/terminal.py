"""The terminal: consoles, wrapped streaming, progress bars and the one place where errors are printed.

Colours, spinners and wrapping are for terminals; what is piped is plain text with one paragraph a line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from tutor.errors import TutorError
from ui.render import safe

if TYPE_CHECKING:
    from rich.progress import Progress


class Screen(Console):
    """A console that leaves a reader that has gone (head, less) to whoever runs the command; rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Called while the BrokenPipeError is being handled."""
        raise


out = Screen(highlight=False, markup=False, emoji=False)
err = Screen(stderr=True, highlight=False, markup=False, emoji=False)

MAX_WIDTH = 100


def say(text: str = "", style: str = "") -> None:
    """One line of output; as it is when piped, where rich would turn tabs into spaces."""
    if out.is_terminal:
        out.print(Text(safe(text), style=style))
    else:
        out.file.write(safe(text) + "\n")
        out.file.flush()


def warn(text: str) -> None:
    """One line on standard error."""
    err.print(Text(safe(text), style="yellow"), soft_wrap=True)


def show_error(error: TutorError) -> None:
    """An error and what to do next."""
    err.print(Text("Error: ", style="bold red") + Text(safe(error.message)), soft_wrap=True)
    err.print(Text("  " + safe(error.hint), style="dim"), soft_wrap=True)


class Flow:
    """Words printed as they come, wrapped at the terminal's width, markers dimmed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = min(console.width, MAX_WIDTH) if console.is_terminal else sys.maxsize
        self._column = 0

    def add(self, text: str) -> None:
        """Print a sentence after what is there."""
        for word in safe(text).split():
            gap = 1 if self._column else 0
            if self._column + gap + len(word) > self._width:
                self._console.print()
                self._column, gap = 0, 0
            self._console.print(" " * gap, end="")
            for piece in re.split(r"((?:\[\d+\])+)", word):
                style = "cyan" if re.fullmatch(r"(?:\[\d+\])+", piece) else ""
                self._console.print(Text(piece, style=style), end="", soft_wrap=True)
            self._column += gap + len(word)

    def paragraph(self) -> None:
        """End the paragraph with an empty line."""
        self._console.print("\n")
        self._column = 0

    def end(self) -> None:
        """End the last line."""
        if self._column:
            self._console.print()
        self._column = 0


@contextmanager
def working(what: str) -> Iterator[Callable[[], None]]:
    """A spinner on standard error until the given function is called or the block ends; nothing when piped."""
    if not (err.is_terminal and out.is_terminal):
        yield lambda: None
        return
    status = err.status(what)
    status.start()
    try:
        yield status.stop
    finally:
        status.stop()


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Progress bars on standard error; nothing when piped."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        yield bars
