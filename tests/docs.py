"""Generates the parts of the docs that come from the code: `python -m tests.docs` writes them, a test compares them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import typer.main
from typer.testing import CliRunner

from tutor.settings import PROJECT_ROOT, Settings
from ui.commands import app


def settings_table() -> str:
    """Every TUTOR_ variable with its default and meaning, as a Markdown table."""
    rows = ["| variable | default | what it does |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = _DEFAULTS.get(name) or str(field.default)
        rows.append(f"| `TUTOR_{name.upper()}` | {default or 'empty'} | {field.description} |")
    return "\n".join(rows)


_DEFAULTS = {"home": "the user's data folder", "corpus": "`corpus/` of this project"}


def command_help() -> str:
    """The help of every command, as code blocks."""
    runner = CliRunner()
    blocks = []
    for words in command_names():
        result = runner.invoke(app, [*words, "--help"], prog_name="tutor", env={"COLUMNS": "96", "NO_COLOR": "1"})
        text = re.sub(r"\x1b\[[0-9;]*m", "", result.output)
        text = "\n".join(line.rstrip() for line in text.strip().splitlines())
        blocks.append(f"## `{' '.join(['tutor', *words])}`\n\n```text\n{text}\n```")
    return "\n\n".join(blocks)


def command_names() -> list[list[str]]:
    root = typer.main.get_command(app)
    found: list[list[str]] = [[]]

    def walk(command: object, words: list[str]) -> None:
        for name, child in getattr(command, "commands", {}).items():
            found.append([*words, name])
            walk(child, [*words, name])

    walk(root, [])
    return found


def filled(text: str, name: str, content: str) -> str:
    """``text`` with what stands between the marks of ``name`` replaced."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no marks for {name}")
    return pattern.sub(lambda m: m.group(1) + content + m.group(2), text)


def generated() -> dict[Path, str]:
    """Each file with generated parts, as it should be."""
    readme, cli = PROJECT_ROOT / "README.md", PROJECT_ROOT / "docs" / "cli.md"
    return {
        readme: filled(readme.read_text(encoding="utf-8"), "settings", settings_table()),
        cli: filled(cli.read_text(encoding="utf-8"), "help", command_help()),
    }


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
    sys.exit(0)
