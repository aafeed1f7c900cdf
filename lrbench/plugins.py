"""The user's own code by name, `module:attribute`: one way in for all that can be plugged in.

The module is imported from where Python finds it, the working folder included. An object that
has no such name is lent one while a call of the Python API lasts.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType
from typing import Any

from lrbench.errors import LrbenchError, UsageError
from lrbench.registry import did_you_mean

RESERVED = frozenset({"folder", "torchvision"})
LENT = "python"
INSTALLED = frozenset({"site-packages", "dist-packages"})

# Packages whose versions are in every manifest.
VERSIONED = frozenset({"lrbench", "torch", "torchvision"})

_lent: dict[str, Any] = {}


class OwnFault(UsageError):
    """The user's code raised; the exception is this one's cause."""


def is_own(name: str) -> bool:
    """Whether a name means the user's own code.

    >>> is_own("my_pkg.nets:build"), is_own("lenet"), is_own("folder:photos")
    (True, False, False)
    """
    prefix, colon, _ = name.partition(":")
    return bool(colon) and prefix not in RESERVED


@contextmanager
def printing_apart() -> Iterator[None]:
    """What the user's code prints goes to stderr: stdout is for answers."""
    with redirect_stdout(sys.stderr):
        yield


@printing_apart()
def load(name: str) -> Any:
    """The object that `module:attribute` names. The user's own exceptions come out unchanged.

    Raises:
        UsageError: there is no such module, or nothing of that name in it.
    """
    if name in _lent:
        return _lent[name]
    path, _, attribute = name.partition(":")
    found = _module(name, path)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{name}: {path} has no {attribute!r}", hint=_near(part, found))
        found = getattr(found, part)
    return found


def load_callable(name: str, option: str) -> Callable[..., Any]:
    """The function or class of that name; whatever goes wrong is one line that names the option.

    Raises:
        UsageError: it cannot be imported, is not there, or cannot be called.
    """
    with blamed(name, option):
        found = load(name)
    if not callable(found):
        raise UsageError(
            f"{option} {name}: it is a {type(found).__name__}, not a function or a class"
        )
    return found  # type: ignore[no-any-return]


@contextmanager
def blamed(name: str, option: str) -> Iterator[None]:
    """Whatever the user's code raises becomes one line: the option, the fault, file and line.

    Raises:
        OwnFault: the code raised.
    """
    try:
        yield
    except UsageError as fault:
        if fault.message.startswith("--"):
            raise
        raise UsageError(f"{option} {fault.message}", hint=fault.hint) from None
    except LrbenchError:
        raise
    except Exception as fault:  # somebody else's code may raise anything
        raise OwnFault(f"{option} {name}: {described(fault)}") from fault


def described(fault: BaseException) -> str:
    """An exception in one line, with the place in the user's code that it came from."""
    words, place = " ".join(str(fault).split()), place_of(fault)
    return f"{type(fault).__name__}: {words}{place}" if words else f"{type(fault).__name__}{place}"


def place_of(fault: BaseException) -> str:
    """Where in the user's own code an exception came from, in brackets; empty for nowhere."""
    strange = (str(Path(__file__).parent), str(_standard_library()), "<")
    own = [
        frame
        for frame in traceback.extract_tb(fault.__traceback__)
        if not frame.filename.startswith(strange) and not _installed(Path(frame.filename))
    ]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


@printing_apart()
def call(
    name: str,
    function: Callable[..., Any],
    offered: Mapping[str, Any],
    *,
    option: str,
    extra: Mapping[str, Any] | None = None,
) -> Any:
    """Call the user's function with what its signature asks for, or bare.

    A parameter gets what is offered under its name (`extra` holds further names). Where names
    are the user's own, all that is offered goes in by position, if as many are required.

    Raises:
        UsageError: the signature asks for something else, or the function raised.
    """
    arguments = _arguments(name, function, offered, {**(extra or {}), **offered}, option)
    with blamed(name, option):
        return function(*arguments[0], **arguments[1])


def _arguments(
    name: str,
    function: Callable[..., Any],
    offered: Mapping[str, Any],
    named: Mapping[str, Any],
    option: str,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # made in C: it has no signature to read
        return tuple(offered.values()), {}
    plain = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    required = [p for p in plain if p.default is p.empty]
    if all(p.name in named for p in required):
        places = [p for p in plain if p.name in named and p.kind is p.POSITIONAL_ONLY]
        words = {p.name: named[p.name] for p in plain if p.name in named and p not in places}
        return tuple(named[p.name] for p in places), words
    if len(required) == len(offered) and not any(p.kind is p.KEYWORD_ONLY for p in required):
        return tuple(offered.values()), {}
    label = name.rpartition(":")[2]
    asked = ", ".join(p.name for p in required)
    raise UsageError(
        f"{option} {name}: it needs ({asked}), but is called as "
        f"{label}({', '.join(offered)}), with those of them that it names, or bare"
    )


def name_of(thing: Any) -> str:
    """The name under which `load` finds the object: its own where it has one.

    What cannot be imported (a closure, an instance) is lent `python:NAME` until `lending` ends;
    the name alone stands for it in a trial's identity.
    """
    module, label = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    found: Any = sys.modules.get(module or "")
    for part in (label or "<none>").split("."):
        found = getattr(found, part, None)
    if found is thing and found is not None:
        return f"{module}:{label}"
    base = f"{LENT}:{label or type(thing).__qualname__}"
    names = (base, *(f"{base}-{count}" for count in range(2, 1000)))
    name = next(name for name in names if _lent.get(name, thing) is thing)
    _lent[name] = thing
    return name


@contextmanager
def lending() -> Iterator[None]:
    """Names that are lent inside are taken back at the end."""
    before = dict(_lent)
    try:
        yield
    finally:
        _lent.clear()
        _lent.update(before)


def sources(name: str) -> dict[str, str]:
    """SHA-256 of the source files behind a name: the module, the file in which the object is
    written, and what they import of the same package or, of the user's own, from the same
    folder. Keys are paths relative to the folder that the module is imported from. Of a script
    or a notebook it is the object's own text, by its name; of an installed package the first two
    files alone.
    """
    thing = load(name)
    homes = {name.partition(":")[0], getattr(thing, "__module__", None) or type(thing).__module__}
    if "__main__" in homes:
        return _own_text(name, thing)
    found: dict[Path, str] = {}
    for home in homes & set(sys.modules):
        module, top = sys.modules[home], home.partition(".")[0]
        if top not in VERSIONED:
            _collect(module, top, _root(module), found)
    return dict(sorted((label, _digest(path)) for path, label in found.items()))


def _own_text(name: str, thing: Any) -> dict[str, str]:
    written = thing if hasattr(thing, "__qualname__") else type(thing)
    try:
        text = inspect.getsource(written)
    except (OSError, TypeError):
        return {}
    return {name: hashlib.sha256(text.encode()).hexdigest()}


def _collect(module: ModuleType, top: str, root: Path | None, found: dict[Path, str]) -> None:
    """Add the module's file, then those of what it imports."""
    path = _file(module)
    if path is None or path in found or not _belongs(module, path, top, root):
        return
    inside = root is not None and root in path.parents
    found[path] = str(path.relative_to(root)) if root and inside else path.name
    for other in () if _installed(path) else _imported(module, path):
        _collect(other, top, root, found)


def _imported(module: ModuleType, path: Path) -> Iterator[ModuleType]:
    """The modules that a file names in its imports, and their packages, as far as loaded."""
    names = {module.__name__}
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {part.name for part in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = "." * node.level + (node.module or "")
            base = resolve_name(above, module.__package__ or "") if node.level else above
            names |= {base, *(f"{base}.{part.name}" for part in node.names)}
    parents = {name.rpartition(".")[0] for name in names}
    for name in sorted(names | parents):
        if name in sys.modules:
            yield sys.modules[name]


def _belongs(module: ModuleType, path: Path, top: str, root: Path | None) -> bool:
    """Whether a module is part of the same package, or lies in the same folder of the user's."""
    if module.__name__.partition(".")[0] == top:
        return True
    ours = root is not None and root in path.parents
    return ours and not _installed(path) and root != _standard_library()


def _root(module: ModuleType) -> Path | None:
    """The folder that the module's topmost package is imported from."""
    path = _file(module)
    if path is None:
        return None
    depth = module.__name__.count(".") + (path.name == "__init__.py")
    return path.parents[depth]


def _file(module: ModuleType) -> Path | None:
    name = getattr(module, "__file__", None)
    path = Path(name).resolve() if name else None
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


def _installed(path: Path) -> bool:
    return bool(INSTALLED & set(path.parts))


def _standard_library() -> Path:
    return Path(sysconfig.get_path("stdlib")).resolve()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _module(name: str, path: str) -> Any:
    """The module, from where Python finds it or from the working folder."""
    if "" not in sys.path:
        sys.path.append("")
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as fault:
        if fault.name is None or not f"{path}.".startswith(f"{fault.name}."):
            raise
        raise UsageError(
            f"{name}: there is no module {path!r}",
            hint="it must be importable, or lie in the working folder",
        ) from None
    except SyntaxError as fault:
        raise UsageError(f"{name}: {path} is not Python ({fault})") from None
    except ValueError:
        raise UsageError(f"{name}: write it as module:attribute") from None


def _near(part: str, module: Any) -> str:
    public = [known for known in vars(module) if not known.startswith("_")]
    hint = did_you_mean(part, public)
    return hint if hint.startswith("did") else ""
