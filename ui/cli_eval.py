"""`tutor eval`: a progress bar, the scores beside the baseline, the questions that went wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from evals import cases as questions
from evals.metrics import Scored, summary
from evals.run import read_baseline, run, save_baseline, worse
from tutor import wiring
from tutor.jsonform import answer_json
from tutor.settings import Settings
from ui.cli_ask import say_json
from ui.terminal import progress_bars, say, warn


def evaluate(
    settings: Settings, engine: str, dataset: Path | None, limit: int | None, save: bool, as_json: bool
) -> int:
    """Run and report; 1 when a metric fell below the baseline, else 0. Ctrl-C reports what is done."""
    cases = questions.read(dataset or questions.QUICK)[:limit]
    parts = wiring.open_parts(settings, engine)
    scored: list[Scored] = []
    stopped = False
    with progress_bars() as bars:
        task = bars.add_task("Answering", total=len(cases))
        try:
            scored.extend(run(cases, parts, lambda done, _: bars.update(task, completed=done)))
        except KeyboardInterrupt:
            stopped = True
    if stopped:
        warn("Stopped: a part of the questions cannot be compared with the baseline.")
        return 130
    scores = summary(scored)
    comparable = dataset is None and limit is None
    baseline = read_baseline(engine) if comparable else None
    fell = worse(scores, baseline) if baseline else {}
    if save and comparable:
        save_baseline(engine, scores)  # before anything is printed: a closed pipe must not lose it
        fell = {}
    if as_json:
        _print_json(scored, scores, baseline, fell)
    else:
        _print(scored, scores, baseline, fell)
    if save:
        warn("Saved as the baseline." if comparable else "Not saved: a baseline is made of the whole default set.")
    return int(bool(fell))


def _print(
    scored: list[Scored], scores: dict[str, float], baseline: dict[str, float] | None, fell: Mapping[str, object]
) -> None:
    for name, value in scores.items():
        was = f"  (baseline {baseline[name]:.3f})" if baseline and name in baseline else ""
        say(f"{name:<16}{value:6.3f}{was}", "red" if name in fell else "")
    if baseline is None:
        say("No baseline to compare with.", "dim")
    wrong = [s for s in scored if _went_wrong(s)]
    if wrong:
        say("\nQuestions to look at", "bold")
    for item in wrong:
        say(f"  {item.case.id}  {_what(item)}: {item.case.question}")
    for name in fell:
        warn(f"{name} is worse than the baseline.")


def _went_wrong(item: Scored) -> bool:
    return item.answer.abstained == item.case.answerable or item.recall_at_5 == 0 or item.faithfulness < 1


def _what(item: Scored) -> str:
    if item.answer.abstained == item.case.answerable:
        return "refused" if item.case.answerable else "answered a foreign question"
    return "section not among the five best" if item.recall_at_5 == 0 else "unsupported claim"


def _print_json(
    scored: list[Scored], scores: dict[str, float], baseline: dict[str, float] | None, fell: Mapping[str, object]
) -> None:
    def known(value: float) -> float | None:
        return None if math.isnan(value) else round(value, 4)

    cases = [
        {
            "id": s.case.id,
            "answerable": s.case.answerable,
            "recall_at_5": known(s.recall_at_5),
            "key_facts": known(s.key_facts),
            "faithfulness": known(s.faithfulness),
            "cited_relevant": known(s.cited_relevant),
            "answer": answer_json(s.answer),
        }
        for s in scored
    ]
    metrics = {name: known(value) for name, value in scores.items()}
    say_json({"metrics": metrics, "baseline": baseline, "worse": sorted(fell), "cases": cases})
