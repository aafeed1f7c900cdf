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
    "plan": (TORCH | SCREEN | FRAMES | PICTURES | {"numpy"}, set()),
    "files": (TORCH | SCREEN | FRAMES | PICTURES | {"numpy"}, set()),
    "run": (TORCH | SCREEN | FRAMES | PICTURES | {"numpy"}, set()),
    "schedules": (SCREEN | FRAMES | PICTURES | {"numpy", "pydantic"} | TORCH, set()),
    "tasks": (SCREEN | FRAMES | PICTURES, TORCH),
    "data": (SCREEN | FRAMES | PICTURES, TORCH),
    "models": (SCREEN | FRAMES | PICTURES, TORCH),
    "optimizers": (SCREEN | FRAMES | PICTURES, TORCH),
    "engine": (SCREEN | FRAMES | PICTURES, TORCH),
    "rangetest": (SCREEN | FRAMES, TORCH | PICTURES),
    "execute": (SCREEN | FRAMES | PICTURES, TORCH),
    "analysis": (TORCH | SCREEN | PICTURES, {"scipy", "pandas"}),
    "report": (TORCH, PICTURES | {"scipy", "pandas"}),
    "session": (SCREEN, TORCH | FRAMES | PICTURES),
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
    "plan": {"*", "-errors", "-experiment", "-records", "-schedules"},
    "files": {"*", "-errors"},
    "run": {
        "*",
        "-errors",
        "-experiment",
        "-files",
        "-optimizers",
        "-plugins",
        "-records",
        "-schedules",
    },
    "tasks": {"run", "execute", "report", "cli", "analysis", "session", "options"},
    "data": {"run", "execute", "report", "cli", "analysis", "session", "options"},
    "models": {"run", "execute", "report", "cli", "analysis", "session", "options"},
    "optimizers": {"run", "execute", "report", "cli", "analysis", "session", "options"},
    "engine": {"run", "execute", "report", "cli", "analysis", "session", "options"},
    "rangetest": {"run", "execute", "report", "cli", "analysis", "session", "options"},
    "analysis": {"engine", "run", "execute", "report", "cli", "session", "options", "tasks"},
    "report": {"engine", "run", "execute", "cli", "session", "options", "tasks"},
    "execute": {"report", "cli", "analysis", "session", "options"},
    "session": {"cli"},
}

EXCEPTIONS = {
    # Classes of layers need torch.nn to be written down; models import them when they are built.
    ("models/layers.py", "torch"),
    # An optimizer that is a class of its own; it is imported when it is made.
    ("optimizers/muon.py", "torch"),
    # The bridge to torch's scheduler classes is where the pure schedules end.
    ("schedules/torch_bridge.py", "torch"),
    ("schedules/torch_run.py", "torch"),
    # `result.plot()` of the Python API hands over to the report's drawing.
    ("rangetest/result.py", "lrbench.report"),
}

# Still to be broken.
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def is_excused(here: str, parts: list[str]) -> bool:
    named = {parts[0], ".".join(parts[:2])}
    return any(fnmatch(here, file) and module in named for file, module in EXCEPTIONS)


def imports(path: Path, *, names: bool = False) -> list[tuple[str, bool]]:
    """(dotted module, whether the import runs when the module is imported); with `names`,
    `from a import b` is `a.b`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, at_top: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((name.name, at_top) for name in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                if child.module == "lrbench" or names:
                    found.extend((f"{child.module}.{name.name}", at_top) for name in child.names)
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


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def graph() -> dict[str, set[str]]:
    """module -> the modules of the package that it imports, inside functions as well."""
    modules = {module_of(path) for path in FILES}
    found: dict[str, set[str]] = {}
    for path in FILES:
        targets = {name for name, _ in imports(path, names=True)}
        known = {name if name in modules else name.rpartition(".")[0] for name in targets}
        found[module_of(path)] = known & modules - {module_of(path)}
    return found


def circles(edges: dict[str, set[str]]) -> list[set[str]]:
    """Groups of modules each of which reaches all others.

    >>> circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}]
    True
    """
    reach = {start: reachable(start, edges) for start in edges}
    groups = {frozenset(m for m in reach[start] if start in reach[m]) for start in edges}
    return sorted((set(group) for group in groups if len(group) > 1), key=sorted)


def reachable(start: str, edges: dict[str, set[str]]) -> set[str]:
    """What a module imports, and what that imports, and so on; itself only in a circle."""
    found: set[str] = set()
    waiting = [*edges[start]]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += edges.get(module, ())
    return found


def test_no_module_imports_itself_in_a_circle() -> None:
    found = circles(graph())
    assert not found, "\n".join(", ".join(sorted(circle)) for circle in found)


def test_the_walls_are_real(tmp_path: Path) -> None:
    """A file that breaks a rule inside a function is seen."""
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    import torch\n    from lrbench import run\n")
    assert imports(bad) == [("torch", False), ("lrbench.run", False)]


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
