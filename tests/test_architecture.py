"""The import rules, read from the syntax trees: imports inside functions count as well."""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "lrbench"

TORCH = {"torch", "torchvision"}
SCREEN = {"rich", "typer"}
FRAMES = {"pandas", "scipy"}
PICTURES = {"matplotlib"}

# room -> (what it must not import anywhere, what it must not import at module level)
FORBIDDEN = {
    "errors": (TORCH | SCREEN | FRAMES | PICTURES | {"numpy", "pydantic"}, set()),
    "registry": (TORCH | SCREEN | FRAMES | PICTURES | {"numpy"}, set()),
    "plugins": (TORCH | SCREEN | FRAMES | PICTURES | {"numpy", "pydantic"}, set()),
    "early_stop": (TORCH | SCREEN | FRAMES | PICTURES | {"numpy"}, set()),
    "records": (TORCH | SCREEN | FRAMES | PICTURES | {"numpy"}, set()),
    "experiment": (TORCH | SCREEN | FRAMES | PICTURES | {"numpy"}, set()),
    "material": (TORCH | SCREEN | FRAMES | PICTURES | {"numpy"}, set()),
    "plan": (TORCH | SCREEN | FRAMES | PICTURES | {"numpy"}, set()),
    "files": (TORCH | SCREEN | FRAMES | PICTURES | {"numpy"}, set()),
    "store": (TORCH | SCREEN | FRAMES | PICTURES | {"numpy"}, set()),
    "schedules": (SCREEN | FRAMES | PICTURES | {"numpy", "pydantic"} | TORCH, set()),
    "tasks": (SCREEN | FRAMES | PICTURES, TORCH),
    "data": (SCREEN | FRAMES | PICTURES, TORCH),
    "models": (SCREEN | FRAMES | PICTURES, TORCH),
    "optimizers": (SCREEN | FRAMES | PICTURES, TORCH),
    "engine": (SCREEN | FRAMES | PICTURES, TORCH),
    "rangetest": (SCREEN | FRAMES, TORCH | PICTURES),
    "execute": (SCREEN | FRAMES | PICTURES, TORCH),
    "pipeline": (SCREEN | FRAMES | PICTURES, TORCH),
    "analysis": (TORCH | SCREEN | PICTURES, {"scipy", "pandas"}),
    "report": (TORCH, PICTURES | {"scipy", "pandas"}),
    "bench": (SCREEN | FRAMES | PICTURES, TORCH),
    "comparing": (SCREEN, TORCH | FRAMES | PICTURES),
    "options": (TORCH | SCREEN | FRAMES | PICTURES, set()),
    "cli": (set(), TORCH | FRAMES | PICTURES),
}

# room -> the other rooms that it must not know
ROOMS = {
    "errors": {"*"},
    "registry": {"*", "-errors"},
    "plugins": {"*", "-errors", "-registry"},
    "schedules": {"*", "-errors", "-plugins", "-registry", "-schedules"},
    "early_stop": {"*", "-errors", "-registry"},
    "records": {"*", "-experiment"},
    "experiment": {"*", "-early_stop", "-errors", "-plugins", "-registry", "-schedules"},
    "material": {"*", "-errors", "-experiment", "-optimizers", "-plugins", "-schedules"},
    "plan": {"*", "-errors", "-experiment", "-records", "-schedules"},
    "files": {"*", "-errors"},
    "store": {"*", "-errors", "-experiment", "-files", "-records"},
    "tasks": {"store", "execute", "report", "cli", "analysis", "pipeline", "options"},
    "data": {"store", "execute", "report", "cli", "analysis", "pipeline", "options"},
    "models": {"store", "execute", "report", "cli", "analysis", "pipeline", "options"},
    "optimizers": {"store", "execute", "report", "cli", "analysis", "pipeline", "options"},
    "engine": {"store", "execute", "report", "cli", "analysis", "pipeline", "options"},
    "rangetest": {"store", "execute", "cli", "analysis", "pipeline", "options"},
    "analysis": {"engine", "store", "execute", "report", "cli", "pipeline", "options", "tasks"},
    "report": {"engine", "store", "execute", "cli", "pipeline", "options", "tasks"},
    "execute": {"report", "cli", "analysis", "pipeline", "options"},
    "pipeline": {"report", "cli", "analysis", "options"},
    "bench": {"report", "cli", "analysis", "options"},
}

EXCEPTIONS = {
    # Classes of layers need torch.nn to be written down; models import them when they are built.
    ("models/layers/*", "torch"),
    # An optimizer that is a class of its own; it is imported when it is made.
    ("optimizers/muon.py", "torch"),
    # The loops by hand look as people write them; only processes of their own import them.
    ("bench/reference.py", "torch"),
    ("bench/reference.py", "torchvision"),
    ("bench/tuned.py", "torch"),
    # The bridge to torch's scheduler classes is where the pure schedules end.
    ("schedules/torch_bridge.py", "torch"),
    ("schedules/torch_run.py", "torch"),
    # `result.plot()` of the Python API hands over to the report's drawing.
    ("rangetest/find.py", "lrbench.report"),
}

FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def is_excused(here: str, parts: list[str]) -> bool:
    named = {parts[0], ".".join(parts[:2])}
    return any(fnmatch(here, file) and module in named for file, module in EXCEPTIONS)


def imports(path: Path) -> list[tuple[str, bool]]:
    """(dotted module, whether the import runs when the module is imported)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, at_top: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((name.name, at_top) for name in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                if child.module == "lrbench":
                    found.extend((f"lrbench.{name.name}", at_top) for name in child.names)
                else:
                    found.append((child.module, at_top))
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            visit(child, at_top and not inside)

    visit(tree, True)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_room_keeps_to_its_imports(path: Path) -> None:
    room = room_of(path)
    never, not_at_top = FORBIDDEN.get(room, (set(), set()))
    walls = ROOMS.get(room, set())
    here = str(path.relative_to(PACKAGE))
    wrong = []
    for module, at_top in imports(path):
        parts = module.split(".")
        if is_excused(here, parts):
            continue
        if parts[0] in never or (at_top and parts[0] in not_at_top):
            wrong.append(module)
        if parts[0] == "lrbench" and len(parts) > 1:
            other = parts[1]
            allowed = other == room or f"-{other}" in walls or other == "__version__"
            if not allowed and (other in walls or "*" in walls):
                wrong.append(module)
    assert not wrong, f"{here} must not import {', '.join(wrong)}"


def test_the_walls_are_real(tmp_path: Path) -> None:
    """A file that breaks a rule inside a function is seen."""
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    import torch\n    from lrbench import store\n")
    assert imports(bad) == [("torch", False), ("lrbench.store", False)]


def test_no_way_to_run_text_as_code() -> None:
    """No eval, exec, pickle.load or shell=True anywhere in the package."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            assert name not in {"eval", "exec", "pickle.load", "pickle.loads"}, (path, node.lineno)
            for keyword in node.keywords:
                text = ast.unparse(keyword.value)
                assert not (keyword.arg == "shell" and text == "True"), (path, node.lineno)
                assert not (keyword.arg == "weights_only" and text == "False"), (path, node.lineno)
