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


def test_half_of_the_modules_are_at_most_120_lines() -> None:
    lengths = sorted(path.read_text().count("\n") for path in MODULES)
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


def test_every_test_asserts_something() -> None:
    words = ("assert", "raises", "warns", "check", "expect", "verify")
    silent = [
        f"{path.name}:{function.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for function in functions_of(path)
        if function.name.startswith("test_") and not any(word in ast.unparse(function) for word in words)
    ]
    assert silent == []
