"""Holds Ctrl-C back while native code runs that calls back into Python.

Python raises KeyboardInterrupt in whatever Python code runs next. Inside a callback from C that is the callback, where
ctypes prints a traceback and goes on as if nothing had happened. Knows no library and no screen.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[None]:
    """Let Ctrl-C wait until the block ends. Other threads than the main one never see it, so nothing is done there."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    waiting: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: waiting.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if waiting:
            signal.raise_signal(signal.SIGINT)
