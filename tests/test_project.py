"""The house rules, checked on the source itself: walls, sizes, names, and what README promises."""

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gridbot"
FILES = sorted(PACKAGE.rglob("*.py"))

LINES_MAX = 28_500  # docs/ARCHITECTURE.md says why it is no longer 12,000
FILE_LINES_MAX = 700
FILE_LINES_MEDIAN_MAX = 300
FUNCTION_LINES_MAX = 70
FUNCTION_LINES_MEDIAN_MAX = 15
NAMES_FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "misc"}

# A room may import from itself and from every room to its right.
ROOMS = ("cli", "tui", "engine", "exchange", "core")
FRONT = {"__main__", "commands", "tools"}  # at the front door, like cli
CORE_IMPURE = {
    "asyncio", "datetime", "fcntl", "httpx", "io", "logging", "multiprocessing", "os", "pathlib",
    "random", "secrets", "shutil", "signal", "socket", "subprocess", "sys", "tempfile",
    "threading", "time", "uuid",
}  # fmt: skip
CORE_IMPURE_CALLS = {"open", "print", "input", "id", "hash"}

RUN_LINE = "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/gridbot tui"
TEST_LINE = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/pytest -n 3"


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"), str(file))


def room_of(module: str) -> str:
    """The room of ``gridbot.<room>...``; config and its parts are a room of their own."""
    parts = module.split(".")
    first = parts[1] if len(parts) > 1 else ""
    if first.startswith("config"):
        return "config"
    return "cli" if first in FRONT else first


def imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def functions() -> Iterator[tuple[str, int]]:
    for file in FILES:
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield f"{file.relative_to(ROOT)}:{node.name}", node.end_lineno - node.lineno + 1


def lines_of(file: Path) -> int:
    return len(file.read_text("utf-8").splitlines())


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_one_way(file: Path) -> None:
    room = room_of(module_of(file))
    if room == "config":
        allowed = {"config", "core"}
    elif room == "":  # gridbot/__init__.py
        allowed = set()
    else:
        allowed = set(ROOMS[ROOMS.index(room) :]) | ({"config"} if room == "cli" else set())
    for name in imports_of(file):
        if name.startswith("gridbot."):
            top = name.split(".")[1]
            known = (PACKAGE / top).is_dir() or (PACKAGE / f"{top}.py").exists()
            assert not known or room_of(name) in allowed, f"{room} must not import {name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_heavy_libraries_stay_in_their_rooms(file: Path) -> None:
    room, path = room_of(module_of(file)), file.relative_to(PACKAGE)
    for name in imports_of(file):
        top = name.split(".")[0]
        assert top not in ("textual", "rich") or room == "tui", f"{path}: {name}"
        assert top != "httpx" or room == "exchange" or path.name.startswith("remote"), path
        assert top != "click" or room == "cli", f"{path}: {name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_core_asks_nobody_outside(file: Path) -> None:
    if room_of(module_of(file)) != "core":
        return
    outside = CORE_IMPURE & {name.split(".")[0] for name in imports_of(file)}
    assert not outside, f"core imports {outside}"
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in CORE_IMPURE_CALLS, f"{file}:{node.lineno}: {node.func.id}()"


def test_the_product_can_be_read_by_one_person() -> None:
    assert sum(map(lines_of, FILES)) < LINES_MAX


def test_files_hold_one_idea() -> None:
    sizes = {str(file.relative_to(ROOT)): lines_of(file) for file in FILES}
    assert {name: size for name, size in sizes.items() if size > FILE_LINES_MAX} == {}
    assert median(size for size in sizes.values() if size > 1) <= FILE_LINES_MEDIAN_MAX


def test_functions_are_short() -> None:
    sizes = dict(functions())
    assert {name: size for name, size in sizes.items() if size > FUNCTION_LINES_MAX} == {}
    assert median(sizes.values()) <= FUNCTION_LINES_MEDIAN_MAX


def test_no_file_is_a_drawer_for_everything() -> None:
    names = {path.stem for path in [*PACKAGE.rglob("*"), *(ROOT / "tests").rglob("*")]}
    assert names & NAMES_FORBIDDEN == set()


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_every_module_says_what_it_is_for(file: Path) -> None:
    assert ast.get_docstring(tree_of(file)), f"{file}: no docstring"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_asset_is_written_into_the_code(file: Path) -> None:
    if file == PACKAGE / "exchange" / "instruments.py":
        return
    table = json.loads((PACKAGE / "exchange" / "instruments.json").read_text("utf-8"))
    symbols = {*table["assets"], *(s for others in table["assets"].values() for s in others)}
    pattern = re.compile(rf"(?<![A-Za-z])({'|'.join(sorted(symbols))})(?![A-Za-z])")
    tree = tree_of(file)
    docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if _has_doc(node)}
    for node in ast.walk(tree):
        text = ""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = "" if node.value in docstrings else node.value
        elif isinstance(node, ast.Name):
            text = node.id
        found = pattern.search(text)
        assert found is None, f"{file}:{getattr(node, 'lineno', 0)}: {found and found[1]}"


def _has_doc(node: ast.AST) -> bool:
    return isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)


def test_the_readme_has_the_two_lines() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert lines.count(RUN_LINE) == 1
    assert lines.count(TEST_LINE) == 1


def test_ci_runs_the_readmes_own_test_line() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    start = re.search(r"grep -m1 \"(.*)\" README\.md", script)
    assert start is not None, "the line is taken from the README"
    found = subprocess.run(
        ["grep", start[1], "README.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == [TEST_LINE]


def test_links_of_the_documents_lead_somewhere() -> None:
    for document in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text("utf-8")):
            assert "://" in target or (document.parent / target).exists(), f"{document}: {target}"


def test_the_package_carries_its_data() -> None:
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    patterns = setup["tool"]["setuptools"]["package-data"]["gridbot"]
    kinds = {pattern.rpartition(".")[2] for pattern in patterns}
    data = {
        path.suffix[1:] or path.name
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".py"
    }
    assert {kind for kind in data if kind != "typed"} <= kinds
