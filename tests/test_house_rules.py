"""The rules of the house that no linter knows: sizes, charters, and what must never be committed."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tributary_pipelines"
MODULES = sorted(PACKAGE.rglob("*.py"))
INDEX_HOSTS = re.compile(
    r"https?://[^/\s]*(?:pypi|pythonhosted|maven|npmjs|crates|golang|debian)[^/\s]*/", re.IGNORECASE
)


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    end = function.end_lineno or function.lineno
    first = function.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if is_docstring else 0
    return end - function.lineno + 1 - docstring


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines()]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_and_begins_with_its_charter(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 300
    assert ast.get_docstring(ast.parse(text))


def test_functions_are_short() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{function.name}": length_without_docstring(function)
        for path in MODULES
        for function in functions_of(path)
        if length_without_docstring(function) > 40
    }
    assert long == {}


def test_folders_are_small() -> None:
    sizes = {folder: len(list(folder.glob("*.py"))) for folder in {path.parent for path in MODULES}}
    assert {str(folder): size for folder, size in sizes.items() if size > 14} == {}


def lines_of_code(path: Path) -> int:
    """Lines that hold code: neither blank, nor comment, nor docstring."""
    tree = ast.parse(path.read_text())
    prose: set[int] = set()
    for node in ast.walk(tree):
        is_text = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
        if is_text:
            prose.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(path.read_text().splitlines(), start=1)
    return sum(1 for n, line in lines if n not in prose and line.strip() and not line.strip().startswith("#"))


def test_half_of_the_modules_hold_at_most_120_lines_of_code() -> None:
    lengths = sorted(lines_of_code(path) for path in MODULES)
    assert lengths[len(lengths) // 2] <= 120


def test_dagster_sees_real_annotations() -> None:
    deferred = [
        path for path in (PACKAGE / "defs").rglob("*.py") if "from __future__ import annotations" in path.read_text()
    ]
    assert deferred == []


def test_no_committed_file_names_an_index_host() -> None:
    texts = [path for path in tracked_files() if path.suffix not in {".png", ".parquet", ".gz"} and path.is_file()]
    naming = [path.name for path in texts if INDEX_HOSTS.search(path.read_text(encoding="utf-8", errors="ignore"))]
    assert naming == []


def calls_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Names of the functions and methods that a function calls."""
    called = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    return {one.attr if isinstance(one, ast.Attribute) else getattr(one, "id", "") for one in called}


def asserts_itself(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    has_assert = any(isinstance(node, ast.Assert) for node in ast.walk(function))
    called = calls_of(function)
    return has_assert or bool(called & {"raises", "warns", "expect"}) or any(c.startswith("assert_") for c in called)


def test_every_test_asserts_something() -> None:
    everything = [(path, function) for path in (ROOT / "tests").rglob("*.py") for function in functions_of(path)]
    asserting = {function.name for _, function in everything if asserts_itself(function)}
    silent = [
        f"{path.name}:{function.name}"
        for path, function in everything
        if function.name.startswith("test_") and function.name not in asserting and not calls_of(function) & asserting
    ]
    assert silent == []
