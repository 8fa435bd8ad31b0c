"""The commands of `tutor` and their options. What a command does lives in `cli_*.py` and in `tutor/`.

Errors are not caught here: `cli.py` shows them and turns them into exit codes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tutor import __version__, settings
from tutor.settings import Settings
from ui.terminal import warn

app = typer.Typer(
    name="tutor",
    help="A grounded, local tutor for machine learning system design interviews.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
notes_app = typer.Typer(help="List, show and check the notes.", no_args_is_help=True)
models_app = typer.Typer(help="List, pull and choose language models.", no_args_is_help=True)
app.add_typer(notes_app, name="notes")
app.add_typer(models_app, name="models")


class Engine(StrEnum):
    """Who words an answer."""

    auto = "auto"
    llama = "llama"
    extractive = "extractive"


CaseOption = Annotated[str | None, typer.Option("--case", help="Search one case study only, by slug.")]
StepOption = Annotated[str | None, typer.Option("--step", help="Search one framework step only, by slug.")]
EngineOption = Annotated[
    Engine | None, typer.Option("--engine", help="auto: the language model if there is one, else extractive.")
]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Catalogue name, GGUF file or `endpoint`; see `tutor models list`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KOption = Annotated[int, typer.Option("--k", min=1, max=100, help="How many passages to return.")]
PathsArgument = Annotated[
    list[Path] | None, typer.Argument(help="Folders or files of notes. Without any: the folders in TUTOR_CORPUS.")
]


def _version(value: bool) -> None:
    if value:
        sys.stdout.write(f"tutor {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


@app.command()
def ask(
    question: Annotated[str | None, typer.Argument(help="The question; - reads it from standard input.")] = None,
    case: CaseOption = None,
    step: StepOption = None,
    k: KOption = 10,
    engine: EngineOption = None,
    model: ModelOption = None,
    show_passages: Annotated[bool, typer.Option("--show-passages", help="Print the passages too.")] = False,
    json: JsonOption = False,
    batch: Annotated[
        str | None, typer.Option("--batch", help="Answer each line of a JSONL file (- for standard input).")
    ] = None,
) -> None:
    """Answer a question from the notes, every sentence cited."""
    from tutor import wiring
    from tutor.answer import Request
    from tutor.errors import UsageError
    from tutor.names import check_filter
    from tutor.types import Filter
    from ui import cli_ask

    if (question is None) == (batch is None):
        raise UsageError("Give one question, or --batch FILE.", 'For example: tutor ask "What is calibration?"')
    loaded, where = settings.load(), Filter(case=case, step=step)
    chosen = engine.value if engine else loaded.engine
    parts = wiring.open_parts(loaded, chosen, model)
    check_filter(where, parts.index())
    strict = chosen == "llama" or model is not None
    if batch is not None:
        failed = cli_ask.run_batch(
            batch, lambda b: Request(b.question, tuple(b.history), where, k, strict, b.id), parts
        )
        if failed:
            warn(f"{failed} line{'s' if failed > 1 else ''} could not be answered; see the error objects.")
            raise typer.Exit(2)
        return
    assert question is not None  # noqa: S101 - checked above
    cli_ask.run_ask(question, lambda q: Request(q, (), where, k, strict), parts, json, show_passages)


@app.command()
def search(
    question: Annotated[str, typer.Argument(help="What to search for; - reads it from standard input.")],
    case: CaseOption = None,
    step: StepOption = None,
    k: KOption = 10,
    json: JsonOption = False,
) -> None:
    """Show the ranked passages for a question."""
    from tutor.types import Filter
    from ui import cli_ask

    cli_ask.run_search(question, Filter(case=case, step=step), k, settings.load(), json)


@app.command()
def chat(
    case: CaseOption = None,
    step: StepOption = None,
    engine: EngineOption = None,
    model: ModelOption = None,
    resume: Annotated[str | None, typer.Option("--resume", help="Go on with a conversation, by id.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the conversations.")] = False,
    delete: Annotated[str | None, typer.Option("--delete", help="Delete a conversation, by id.")] = None,
) -> None:
    """Talk with the tutor; a follow-up is understood from what was said before."""
    from tutor.types import Filter
    from ui import cli_chat

    loaded = settings.load()
    if list_ or delete:
        cli_chat.manage(loaded, delete)
        return
    chosen = engine.value if engine else loaded.engine
    cli_chat.run(loaded, chosen, model, Filter(case=case, step=step), resume)


@app.command()
def ingest(
    paths: PathsArgument = None,
    full: Annotated[bool, typer.Option("--full", help="Embed everything again.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Index the good notes, name the bad ones.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Keep running and ingest again when notes change.")] = False,
    json: JsonOption = False,
) -> None:
    """Index notes: ours by default, or any folder of Markdown, text, PDF or HTML."""
    from ui import cli_ingest

    loaded = settings.load()
    roots = _roots(paths, loaded)
    if dry_run:
        cli_ingest.show_plan(roots, loaded, full, skip_bad, json)
    elif watch:
        cli_ingest.watch(roots, loaded, full, skip_bad)
    else:
        cli_ingest.run(roots, loaded, full, skip_bad, json)


@app.command()
def doctor(json: JsonOption = False) -> None:
    """Check the installation: packages, models, index, disk, network; each with its fix."""
    from ui import cli_doctor

    raise typer.Exit(cli_doctor.run(settings.load(), json))


@app.command()
def ui(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the page.")] = 8501,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "localhost",
    headless: Annotated[bool, typer.Option("--headless", help="Do not open a browser.")] = False,
) -> None:
    """Open the page in a browser."""
    from ui.web.launch import launch

    raise typer.Exit(launch(settings.load(), port=port, headless=headless, host=host))


@app.command(name="eval")
def eval_(
    engine: EngineOption = None,
    dataset: Annotated[Path | None, typer.Option("--dataset", help="Questions as JSONL; ours by default.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Ask only the first N questions.")] = None,
    save_baseline: Annotated[bool, typer.Option("--save-baseline", help="Make this run the baseline.")] = False,
    json: JsonOption = False,
) -> None:
    """Score the answers on our questions; exit code 1 when they are worse than the baseline."""
    from ui import cli_eval

    chosen = engine.value if engine else "extractive"
    raise typer.Exit(cli_eval.evaluate(settings.load(), chosen, dataset, limit, save_baseline, json))


@notes_app.command("list")
def notes_list(json: JsonOption = False) -> None:
    """List the indexed notes."""
    from ui import cli_notes

    cli_notes.list_notes(settings.load(), json)


@notes_app.command("show")
def notes_show(slug: Annotated[str, typer.Argument(help="Slug or path of a note, e.g. visual-search.")]) -> None:
    """Print a note."""
    from ui import cli_notes

    cli_notes.show(settings.load(), slug)


@notes_app.command("lint")
def notes_lint(paths: PathsArgument = None) -> None:
    """Check notes against the rules in corpus/README.md; exit code 3 when one is broken."""
    from ui import cli_notes

    loaded: Settings = settings.load()
    raise typer.Exit(cli_notes.lint(loaded, _roots(paths, loaded)))


@notes_app.command("sources")
def notes_sources(paths: PathsArgument = None) -> None:
    """Print every work that the notes cite, as Markdown."""
    from ui import cli_notes

    loaded: Settings = settings.load()
    cli_notes.sources(loaded, _roots(paths, loaded))


def _roots(paths: Sequence[Path] | None, loaded: Settings) -> tuple[Path, ...]:
    return tuple(Path(os.path.abspath(p.expanduser())) for p in paths or ()) or loaded.corpus_roots


@models_app.command("list")
def models_list(json: JsonOption = False) -> None:
    """List the models of the catalogue and those on this disk."""
    from ui import cli_models

    cli_models.list_models(settings.load(), json)


@models_app.command("pull")
def models_pull(name: Annotated[str, typer.Argument(help="Catalogue name, see `tutor models list`.")]) -> None:
    """Download a model, resuming an earlier try, and verify it. The only command that uses the network."""
    from ui import cli_models

    cli_models.pull(settings.load(), name)


@models_app.command("use")
def models_use(name: Annotated[str, typer.Argument(help="Catalogue name, GGUF file or `endpoint`.")]) -> None:
    """Choose the language model that answers from now on."""
    from ui import cli_models

    cli_models.use(settings.load(), name)


@models_app.command("where")
def models_where() -> None:
    """Print where the models on this disk lie."""
    from ui import cli_models

    cli_models.where(settings.load())


@models_app.command("remove")
def models_remove(name: Annotated[str, typer.Argument(help="Catalogue name of a pulled model.")]) -> None:
    """Delete a pulled model."""
    from ui import cli_models

    cli_models.remove(settings.load(), name)
