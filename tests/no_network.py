"""Runs the command with the network forbidden: ``python -m tests.no_network RECORD.json ask "What is recall?"``.

Every attempt to reach beyond this machine raises and is recorded, as is every process that is started (it would escape
the watch). The watch is an audit hook, below anything that a library can wrap or replace. RECORD.json gets the
attempts, the processes and the environment as the command left it.
"""

from __future__ import annotations

import atexit
import ipaddress
import json
import os
import sys
from pathlib import Path

_WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")
_STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "os.forkpty")


def _host(event: str, args: tuple[object, ...]) -> str | None:
    """The host that an event is about; None for a Unix socket."""
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        found = args[0]
        return found.decode() if isinstance(found, bytes) else str(found)
    address = args[1] if len(args) > 1 else None
    return str(address[0]) if isinstance(address, tuple) else None


def _local(host: str | None) -> bool:
    if host in (None, "None", "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


def forbid(record: Path) -> None:
    """Forbid the network from now on, and write ``record`` at the end of the process."""
    attempts: list[str] = []
    started: list[str] = []

    def watch(event: str, args: tuple[object, ...]) -> None:
        if event in _STARTS:
            started.append(f"{event} {args[0] if args else ''}")
        elif event in _WATCHED and not _local(_host(event, args)):
            attempts.append(f"{event} {args[1:] if event == 'socket.connect' else args}")
            raise PermissionError(f"the network is forbidden: {event} {_host(event, args)}")

    def write() -> None:
        record.write_text(json.dumps({"attempts": attempts, "started": started, "environment": dict(os.environ)}))

    sys.addaudithook(watch)
    atexit.register(write)


if __name__ == "__main__":
    forbid(Path(sys.argv[1]))
    sys.argv = ["tutor", *sys.argv[2:]]
    from ui.cli import main

    main()
