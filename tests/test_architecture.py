"""The arrows of docs/architecture.md, read from the syntax trees: who may import whom, and what a file may be.

Imports inside functions count like those at the top, and so does ``importlib.import_module("…")``.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "tutor": {"tutor"},
    "ingest": {"ingest", "tutor"},
    "evals": {"evals", "ingest", "tutor"},
    "ui": {"ui", "evals", "ingest", "tutor"},
}
"""Package to the packages of ours that it may import."""

ONLY_IN = {
    "chromadb": ["tutor/adapters/index_chroma.py"],
    "llama_cpp": ["tutor/adapters/chat_llama.py"],
    "sentence_transformers": ["tutor/adapters/embed*.py"],
    "torch": ["tutor/adapters/embed*.py"],
    "onnx": ["tutor/adapters/embed*.py"],
    "onnxscript": ["tutor/adapters/embed*.py"],
    "onnxruntime": ["tutor/adapters/embed*.py"],
    "tokenizers": ["tutor/adapters/embed*.py"],
    "langchain_openai": ["tutor/adapters/chat_endpoint.py"],
    "huggingface_hub": ["tutor/pull.py"],
    "bm25s": ["tutor/lexical.py"],
    "sklearn": ["evals/*.py"],
    "ir_measures": ["evals/*.py"],
    "streamlit": ["ui/web/*"],
    "typer": ["ui/*"],
    "rich": ["ui/*"],
    "prompt_toolkit": ["ui/*"],
    "watchfiles": ["ui/*"],
    "pytest": [],
    "hypothesis": [],
    "jsonschema": [],
}
"""Library to the files that may name it."""

HEAVY = tuple(
    """chromadb torch sentence_transformers transformers llama_cpp onnxruntime onnx streamlit sklearn langchain_openai
    huggingface_hub prompt_toolkit""".split()
)
"""Libraries that take long to import, and so are imported by the function that needs them."""

MAX_LINES = 350
LONG: set[str] = set()
"""Files that may be longer. Keep it empty: a long file is usually two ideas."""

VAGUE = ("Manager", "Service", "Helper", "Factory", "Utils", "Util")


@cache
def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), path)


MODULES = sorted(str(p.relative_to(ROOT)) for package in MAY_IMPORT for p in (ROOT / package).rglob("*.py"))


def imports(path: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a module imports, wherever it does."""
    package = path.removesuffix(".py").replace("/", ".").rpartition(".")[0]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def test_the_walk_sees_the_product() -> None:
    assert {"tutor/answer.py", "ingest/build.py", "evals/metrics.py", "ui/cli.py"} <= set(MODULES)
    assert "tutor.draft.Writer" in {name for _, name in imports("tutor/answer.py")}
    assert any(name.startswith("chromadb") for _, name in imports("tutor/adapters/index_chroma.py")), "inside functions"
    assert any(name.startswith("llama_cpp") for _, name in imports("tutor/adapters/chat_llama.py")), "import_module"


@pytest.mark.parametrize("path", MODULES)
def test_imports_run_one_way(path: str) -> None:
    package = path.split("/")[0]
    ours = {*MAY_IMPORT, "tests", "benchmarks"}
    wrong = [
        f"{path}:{line} imports {name}"
        for line, name in imports(path)
        if (top := name.split(".")[0]) in ours and top not in MAY_IMPORT[package]
    ]
    assert wrong == []


@pytest.mark.parametrize("path", MODULES)
def test_each_library_is_named_only_where_it_belongs(path: str) -> None:
    wrong = [
        f"{path}:{line} imports {name}"
        for line, name in imports(path)
        if (allowed := ONLY_IN.get(name.split(".")[0])) is not None and not any(fnmatch(path, a) for a in allowed)
    ]
    assert wrong == []


@pytest.mark.parametrize("path", [m for m in MODULES if m != "tutor/wiring.py"])
def test_only_the_wiring_names_adapters(path: str) -> None:
    if path.startswith("tutor/adapters/"):
        return
    assert [name for _, name in imports(path) if name.startswith("tutor.adapters")] == []


def test_the_wiring_imports_each_adapter_where_it_is_needed() -> None:
    top = [node for node in tree("tutor/wiring.py").body if isinstance(node, ast.ImportFrom)]
    assert [node.module for node in top if (node.module or "").startswith("tutor.adapters")] == []


@pytest.mark.parametrize("path", MODULES)
def test_every_module_says_what_it_is(path: str) -> None:
    if tree(path).body:  # an empty __init__.py says nothing because it is nothing
        assert ast.get_docstring(tree(path)), f"{path} has no docstring"


@pytest.mark.parametrize("path", MODULES)
def test_everything_public_says_what_it_does(path: str) -> None:
    silent: list[str] = []
    for node in tree(path).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        silent += [] if ast.get_docstring(node) else [node.name]
        if isinstance(node, ast.ClassDef):
            methods = [m for m in node.body if isinstance(m, ast.FunctionDef) and not m.name.startswith("_")]
            silent += [f"{node.name}.{m.name}" for m in methods if not ast.get_docstring(m)]
    assert silent == []


@pytest.mark.parametrize("path", MODULES)
def test_files_and_functions_stay_small(path: str) -> None:
    lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES or path in LONG, f"{path} has {lines} lines"
    long = [
        f"{path}:{node.lineno} {node.name}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 50
    ]
    assert long == []


def test_the_list_of_long_files_holds_no_leftovers() -> None:
    assert set(MODULES) >= LONG
    assert all(len((ROOT / p).read_text(encoding="utf-8").splitlines()) > MAX_LINES for p in LONG)


@pytest.mark.parametrize("path", MODULES)
def test_names_say_what_a_thing_is(path: str) -> None:
    classes = [node.name for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
    assert [name for name in classes if name.endswith(VAGUE)] == []
    assert Path(path).stem not in ("utils", "util", "helpers", "common", "misc")


@pytest.mark.parametrize("path", [m for m in MODULES if not m.startswith("ui/web/app")])
def test_no_module_acts_when_it_is_imported(path: str) -> None:
    """Calls for their effect at the top of a module. The pages are scripts: acting is what they are for."""
    declares = {"ui/commands.py": "add_typer"}  # the shape of the command
    acting = [
        f"{path}:{node.lineno} {ast.unparse(node)[:60]}"
        for node in tree(path).body
        if isinstance(node, ast.With | ast.While | ast.Try | ast.Raise | ast.Delete)
        or (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant))
    ]
    acting = [line for line in acting if path not in declares or declares[path] not in line]
    assert acting == []


def test_importing_the_product_imports_nothing_heavy() -> None:
    names = [
        m.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for m in MODULES
        if not m.startswith("ui/web/") and not m.startswith("tutor/adapters/") and m != "evals/calibrate_abstention.py"
    ]
    code = f"import sys, importlib\nfor n in {names!r}: importlib.import_module(n)\n"
    code += f"print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_types_know_no_library() -> None:
    allowed = set(sys.stdlib_module_names) | {"tutor"}
    for path in ("tutor/types.py", "tutor/errors.py"):
        assert {name.split(".")[0] for _, name in imports(path)} <= allowed


@pytest.mark.parametrize("path", [m for m in MODULES if m.startswith(("tutor/", "ingest/", "evals/"))])
def test_nothing_below_the_screens_prints(path: str) -> None:
    printed = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printed == []
