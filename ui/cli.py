"""Where the `tutor` command begins and ends: errors become words and exit codes, and Ctrl-C is quiet from the start.

Exit codes: 0 done (an abstention too), 1 unexpected or a regression, 2 bad input, 3 bad notes, 4 index, 5 model,
6 storage, 7 conversation, 130 stopped with Ctrl-C. Knows no command; nothing but the standard library is imported
before `main` can catch what happens.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command and end the process with its exit code."""
    try:
        _run()
    except KeyboardInterrupt:
        _stopped()
    except BrokenPipeError:  # the reader (head, less) has gone: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _leave(0)
    except Exception as error:
        if _interrupted(error):
            _stopped()
        if os.environ.get("TUTOR_DEBUG"):
            raise
        _leave(_explain(error))


def _run() -> None:
    from tutor import wiring
    from ui.commands import app

    wiring.go_offline()
    for stream in (sys.stdout, sys.stderr, sys.stdin):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    stdout = sys.stdout
    try:
        app()
    finally:
        stdout.flush()  # here, where a reader that has gone is handled
        if sys.stdout is not stdout:  # typer met it first, wrapped the stream, and would exit with 1
            raise BrokenPipeError


def _interrupted(error: BaseException) -> bool:
    """True for an error that began as Ctrl-C: a native module interrupted while it is imported says ImportError."""
    at: BaseException | None = error
    while at is not None and not isinstance(at, KeyboardInterrupt):
        at = at.__cause__ or at.__context__
    return at is not None


def _explain(error: Exception) -> int:
    """Show an error with what to do next; the exit code."""
    from tutor.errors import TutorError, storage_error
    from ui.terminal import show_error

    if isinstance(error, OSError):
        error = storage_error(error, "running the command", error.filename or "unknown path")
    elif not isinstance(error, TutorError):
        hint = "This is a bug. Run it again with TUTOR_DEBUG=1 and report what it prints; `tutor doctor` may help too."
        error = TutorError(f"Unexpected {type(error).__name__}: {error}", hint)
    show_error(error)
    return error.exit_code


def _stopped() -> None:
    sys.stderr.write("Stopped.\n")
    _leave(130)


def _leave(code: int) -> None:
    sys.stdout.flush()
    raise SystemExit(code)
