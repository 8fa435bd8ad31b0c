"""`tutor ingest`: progress bars, the plan, watching."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ingest.build import Report
from ingest.plan import Plan
from ingest.run import Outcome, dry_run, ingest
from tutor.errors import NoteProblem, TutorError
from tutor.settings import Settings
from ui.cli_ask import say_json
from ui.terminal import progress_bars, say, show_error, warn

_STAGES = {"chunk": "Cutting notes", "embed": "Embedding chunks", "write": "Writing the index"}


def run(roots: Sequence[Path], settings: Settings, full: bool, skip_bad: bool, as_json: bool) -> None:
    """Ingest once, with progress bars, and say what was done."""
    outcome = _ingest(roots, settings, full, skip_bad)
    for problem in outcome.skipped:
        warn(f"Skipped {problem}")
    for path, block in outcome.report.oversize:
        warn(
            f"{path}:{block.line}: this {block.kind} has {block.pieces} word pieces; the embedder reads the first 256. "
            "It is kept whole and found by its words."
        )
    if as_json:
        say_json(_report_json(outcome))
    else:
        say(summary(outcome.report))


def _ingest(roots: Sequence[Path], settings: Settings, full: bool, skip_bad: bool) -> Outcome:
    with progress_bars() as bars:
        tasks: dict[str, Any] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(_STAGES[stage], total=total)
            bars.update(tasks[stage], completed=done, total=total)

        return ingest(roots, settings, progress, full, skip_bad)


def summary(report: Report) -> str:
    """What an ingest did, in one line."""
    plan = report.plan
    if plan.nothing_to_do:
        return f"Nothing has changed: {len(plan.unchanged)} notes, {report.chunks} chunks."
    done = [f"{len(ids)} {fate}" for fate, ids in _fates(plan).items() if ids and fate != "unchanged"]
    text = f"Indexed {report.chunks} chunks ({report.embedded} embedded): notes {', '.join(done)}."
    return text + (f" All notes were embedded because {report.reason}." if report.reason else "")


def _fates(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {
        "added": plan.added,
        "changed": plan.changed,
        "moved": plan.moved,
        "removed": plan.removed,
        "unchanged": plan.unchanged,
    }


def _report_json(outcome: Outcome) -> dict[str, Any]:
    report = outcome.report
    return {
        "generation": report.generation,
        "chunks": report.chunks,
        "embedded": report.embedded,
        "reason": report.reason,
        "notes": {fate: list(ids) for fate, ids in _fates(report.plan).items()},
        "skipped": [_problem_json(p) for p in outcome.skipped],
    }


def _problem_json(problem: NoteProblem) -> dict[str, Any]:
    return {"path": problem.path, "line": problem.line, "problem": problem.problem}


def show_plan(roots: Sequence[Path], settings: Settings, full: bool, skip_bad: bool, as_json: bool) -> None:
    """Say what an ingest would do, and do nothing."""
    plan, reason, skipped = dry_run(roots, settings, full, skip_bad)
    for problem in skipped:
        warn(f"Would skip {problem}")
    if as_json:
        say_json({"reason": reason, "notes": {fate: list(ids) for fate, ids in _fates(plan).items()}})
        return
    if reason:
        say(f"All notes would be embedded because {reason}.")
    marks = {"added": ("+", "green"), "changed": ("~", "yellow"), "moved": (">", "yellow"), "removed": ("-", "red")}
    for fate, (mark, style) in marks.items():
        for note in _fates(plan)[fate]:
            say(f"{mark} {note}", style)
    say(f"{len(plan.embed)} notes to embed, {len(plan.removed)} to remove, {len(plan.unchanged)} unchanged.")


def watch(roots: Sequence[Path], settings: Settings, full: bool, skip_bad: bool) -> None:
    """Ingest now and again after every change, until Ctrl-C. A bad note is named and the watch goes on."""
    from watchfiles import watch as changes

    _watched(roots, settings, full, skip_bad)
    say("Watching for changes. Ctrl-C ends.", "dim")
    for _ in changes(*roots, watch_filter=outside(settings.home), debounce=400, raise_interrupt=True):
        _watched(roots, settings, False, skip_bad)


def outside(home: Path) -> Callable[[Any, str], bool]:
    """A filter of changes: none in ``home``, which may lie among the notes and which every ingest writes to."""
    from watchfiles import DefaultFilter

    usual = DefaultFilter()
    return lambda change, path: usual(change, path) and not Path(path).is_relative_to(home)


def _watched(roots: Sequence[Path], settings: Settings, full: bool, skip_bad: bool) -> None:
    try:
        run(roots, settings, full, skip_bad, as_json=False)
    except TutorError as error:
        show_error(error)
