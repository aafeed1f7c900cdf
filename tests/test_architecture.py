"""What a file may import, and what tests may know, read from the syntax trees: imports inside
functions count as well."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lrbench"
FILES = sorted(PACKAGE.rglob("*.py"))
TESTS = [path for path in sorted(ROOT.glob("tests/**/*.py")) if "assets" not in path.parts]
MAX_LINES = 400

TORCH = {"torch", "torchvision"}
SCREEN = {"rich", "typer"}
FRAMES = {"pandas", "scipy"}
PICTURES = {"matplotlib"}
PLAIN = TORCH | SCREEN | FRAMES | PICTURES | {"numpy"}

# room -> (packages that it must not import anywhere, packages that it must not import at the top)
FORBIDDEN: dict[str, tuple[set[str], set[str]]] = {
    **dict.fromkeys(("errors", "plugins"), (PLAIN | {"pydantic"}, set())),
    **dict.fromkeys(
        ("registry", "early_stop", "records", "options", "plan", "files", "run"), (PLAIN, set())
    ),
    **dict.fromkeys(
        ("tasks", "data", "models", "optimizers", "engine", "execute"),
        (SCREEN | FRAMES | PICTURES, TORCH),
    ),
    "schedules": (PLAIN | {"pydantic"}, set()),
    "rangetest": (SCREEN | FRAMES, TORCH | PICTURES),
    "analysis": (TORCH | SCREEN | PICTURES, set()),
    "report": (TORCH, set()),
    "session": (SCREEN, TORCH | FRAMES | PICTURES),
    "inputs": (TORCH | SCREEN | FRAMES | PICTURES, set()),
    "cli": (set(), TORCH | FRAMES | PICTURES),
}

# room -> the only other rooms that it may know
KNOWS: dict[str, set[str]] = {
    "errors": set(),
    "registry": {"errors"},
    "plugins": {"errors", "registry"},
    "schedules": {"errors", "plugins", "registry"},
    "early_stop": {"errors", "registry"},
    "records": {"options"},
    "options": {"early_stop", "errors", "plugins", "registry", "schedules"},
    "plan": {"errors", "options", "records", "schedules"},
    "files": {"errors"},
    "run": {"errors", "options", "files", "optimizers", "plugins", "records", "schedules"},
}

# room -> the rooms that it must not know
ABOVE = {"run", "execute", "report", "cli", "analysis", "session", "inputs"}
WALLS: dict[str, set[str]] = {
    **dict.fromkeys(("tasks", "data", "models", "optimizers", "engine", "rangetest"), ABOVE),
    "analysis": {"engine", "run", "execute", "report", "cli", "session", "inputs", "tasks"},
    "report": {"engine", "run", "execute", "cli", "session", "inputs", "tasks"},
    "execute": {"report", "cli", "analysis", "session", "inputs"},
    "session": {"cli"},
}

EXCEPTIONS = {
    # Classes of layers need torch.nn to be written down; models import them when they are built.
    ("models/layers.py", "torch"),
    # What is imported when data are placed on a device, or a network is passed or trained.
    ("data/resident.py", "torch"),
    ("engine/checkpoint.py", "torch"),
    ("engine/graphs/*.py", "torch"),
    ("engine/method.py", "torch"),
    ("engine/train.py", "torch"),
    ("tasks/images.py", "torch"),
    ("tasks/loaders.py", "torch"),
    ("tasks/randomness.py", "torch"),
    ("tasks/text.py", "torch"),
    # An optimizer that is a class of its own; it is imported when it is made.
    ("optimizers/muon.py", "torch"),
    # The bridge to torch's scheduler classes is where the pure schedules end.
    ("schedules/torch_bridge.py", "torch"),
    ("schedules/torch_run.py", "torch"),
    # `result.plot()` and the progress bar of the Python API are the report's.
    ("rangetest/result.py", "lrbench.report"),
    ("rangetest/api.py", "lrbench.report"),
}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(dotted name, whether the import runs when the module is imported); `from a import b` is
    `a.b`."""

    def visit(node: ast.AST, at_top: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((name.name, at_top) for name in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                yield from ((f"{child.module}.{name.name}", at_top) for name in child.names)
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from visit(child, at_top and not inside)

    return visit(ast.parse(path.read_text(encoding="utf-8")), True)


def is_wrong(here: str, module: str, at_top: bool) -> bool:
    """Whether the file `here` of the package must not import a module."""
    first, *rest = module.split(".")
    room = here.split("/")[0].removesuffix(".py")
    if any(
        fnmatch(here, file) and f"{module}.".startswith(f"{name}.") for file, name in EXCEPTIONS
    ):
        return False
    if first == "lrbench" and rest and rest[0] not in (room, "__version__"):
        return rest[0] in WALLS.get(room, ()) or (room in KNOWS and rest[0] not in KNOWS[room])
    never, not_at_top = FORBIDDEN.get(room, (set(), set()))
    return first in never or (at_top and first in not_at_top)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_room_keeps_to_its_imports(path: Path) -> None:
    here = str(path.relative_to(PACKAGE))
    assert [name for name, at_top in imports(path) if is_wrong(here, name, at_top)] == []


def test_the_walls_are_real(tmp_path: Path) -> None:
    """Also inside a function."""
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    import torch\n    from lrbench import run\n")
    found = list(imports(bad))
    assert found == [("torch", False), ("lrbench.run", False)]
    assert all(is_wrong("plan/bad.py", *each) for each in found)
    assert [is_wrong("tasks/bad.py", *each) for each in found] == [False, True]
    assert is_wrong("tasks/bad.py", "torch.nn", True)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which reaches all others.

    >>> circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}})
    [['b', 'c']]
    """
    reach = {start: set(found) for start, found in edges.items()}
    while more := {s: reach[s].union(*(reach[m] for m in reach[s])) for s in reach}:
        if more == reach:
            break
        reach = more
    groups = {tuple(sorted(m for m in reach[s] if s in reach[m])) for s in reach}
    return sorted(list(group) for group in groups if len(group) > 1)


def test_no_module_imports_itself_in_a_circle() -> None:
    modules = {module_of(path): path for path in FILES}
    edges = {
        module: {
            known
            for name, _ in imports(path)
            for known in (name if name in modules else name.rpartition(".")[0],)
            if known in modules and known != module
        }
        for module, path in modules.items()
    }
    assert circles(edges) == []


def test_no_way_to_run_text_as_code() -> None:
    """No eval, exec, shell or pickles anywhere in the package, also not in what torch and numpy
    read."""
    banned = {"eval", "exec", "os.system", "os.popen", "marshal.loads"}
    loads = 0
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                given = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert name not in banned and not name.startswith("pickle."), path
                assert given.get("shell", "False") == given.get("allow_pickle", "False") == "False"
                assert name != "torch.load" or given["weights_only"] == "True", path
                loads += name == "torch.load"
    assert loads


@pytest.mark.parametrize("path", [*FILES, *TESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < MAX_LINES


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_import_no_private_names(path: Path) -> None:
    private = [
        name
        for name, _ in imports(path)
        if name.startswith("lrbench.")
        and any(part.startswith("_") and not part.endswith("__") for part in name.split("."))
    ]
    assert private == []


def test_every_room_has_its_folder_of_tests() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    folders = {path.parent.name for path in ROOT.glob("tests/*/test_*.py")}
    assert rooms - folders == set()
    assert folders - rooms == {"benchmarks", "peers", "reliability"}
