"""`tutor models`: list, pull, use, where, remove."""

from __future__ import annotations

from tutor import catalogue, models
from tutor.settings import Settings
from ui.cli_ask import say_json
from ui.terminal import out, progress_bars, say


def list_models(settings: Settings, as_json: bool) -> None:
    """The catalogue with licence, size and hash, what is on this disk, and which one is chosen."""
    here = {found.spec.name: found for found in models.installed(settings)}
    chosen, origin = models.choice(settings)
    specs = [*catalogue.catalogue(), *(f.spec for f in here.values() if f.spec not in catalogue.catalogue())]
    rows = [
        {
            "name": s.name,
            "role": s.role,
            "installed": s.name in here,
            "chosen": s.name == chosen,
            "licence": s.licence,
            "size_bytes": s.size_bytes,
            "min_ram_gb": s.min_ram_gb,
            "context": s.context,
            "sha256": s.sha256,
            "hash_source": s.hash_source,
            "repo": s.repo,
            "filename": s.filename,
            "problem": here[s.name].problem if s.name in here else "",
            "note": s.note,
        }
        for s in specs
    ]
    if as_json:
        say_json(rows)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "model", "on disk", "size", "RAM", "licence", "what for"):
        table.add_column(column, overflow="fold")
    for row in rows:
        mark = "●" if row["chosen"] else ""
        state = str(row["problem"]) or ("yes" if row["installed"] else "no")
        size = f"{float(str(row['size_bytes'])) / 1e9:.2f} GB" if row["size_bytes"] else "?"
        cells = (row["name"], state, size, f"{row['min_ram_gb']} GB", row["licence"], row["note"])
        table.add_row(mark, *(str(c) for c in cells))
    out.print(table)
    say(f"\nChosen by {origin}: {chosen}. Change it with: tutor models use NAME", "dim")


def pull(settings: Settings, name: str) -> None:
    """Pull with a progress bar."""
    from tutor.pull import pull as fetch

    with progress_bars() as bars:
        task = bars.add_task(f"Pulling {name}", total=None)
        path = fetch(name, settings, lambda done, total: bars.update(task, completed=done, total=total or None))
    say(f"{name} is in {path}. Use it with: tutor models use {name}")


def use(settings: Settings, name: str) -> None:
    """Choose a model."""
    say(f"Answers are worded by {models.use(name, settings)} from now on.")


def where(settings: Settings) -> None:
    """Name and path of each model on this disk."""
    for name, path in models.where(settings).items():
        say(f"{name}\t{path}")


def remove(settings: Settings, name: str) -> None:
    """Delete a pulled model."""
    say(f"Removed {name}, {models.remove(name, settings) / 1e9:.2f} GB freed.")
