"""The user's own code by name, `module:attribute`: loading, calling, error reports, fingerprints.

The module is imported as usual, also from the working directory. Objects that cannot be imported
get a temporary name for the duration of a Python API call.
"""

import ast
import hashlib
import importlib
import inspect
import io
import sys
import sysconfig
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import resolve_name
from inspect import BoundArguments, Parameter
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from lrbench.errors import STOPS, LrbenchError, UsageError
from lrbench.registry import did_you_mean

RESERVED = frozenset({"folder", "text", "torchvision"})  # prefixes that are not modules
LENT = "python"  # the "module" of temporary names
INSTALLED = frozenset({"site-packages", "dist-packages"})
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib")).resolve()
VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
VERSIONED = frozenset({"lrbench", "torch", "torchvision"})  # their versions are in every manifest

_lent: dict[str, Any] = {}
_names_alone = ContextVar("names_alone", default=False)


class OwnFault(UsageError):
    """The user's code raised the exception that is this one's cause."""


def is_own(name: str) -> bool:
    """True if a name refers to the user's own code.

    >>> is_own("my_pkg.nets:build"), is_own("lenet"), is_own("folder:photos")
    (True, False, False)
    """
    prefix, colon, _ = name.partition(":")
    return bool(colon) and prefix not in RESERVED


@contextmanager
def names_alone() -> Iterator[None]:
    """Inside, the user's code is never imported or called, and all checks of its names pass. For
    commands that only show a run, which may come from someone else."""
    token = _names_alone.set(True)
    try:
        yield
    finally:
        _names_alone.reset(token)


@dataclass(frozen=True)
class NotLoaded:
    """Placeholder for an object inside `names_alone`. Its signature is unknown."""

    name: str
    __signature__ = "unknown"

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise UsageError(f"{self.name}: showing a run does not execute its code")


@contextmanager
def printing_apart() -> Iterator[None]:
    """Send what the user's code prints to stderr: stdout is for data."""
    with redirect_stdout(sys.stderr):
        yield


def load(name: str) -> Any:
    """The object `module:attribute`; raises UsageError if there is none. Exceptions from the user's
    code propagate; what it prints on import is not shown."""
    if name in _lent:
        return _lent[name]
    if _names_alone.get():
        return NotLoaded(name)
    path, _, attribute = name.partition(":")
    with redirect_stdout(io.StringIO()):
        found = _module(name, path)
    for part in attribute.split("."):
        if not hasattr(found, part):
            hint = did_you_mean(part, [known for known in vars(found) if known[0] != "_"])
            hint = hint if hint.startswith("did") else ""  # not the whole module
            raise UsageError(f"{name}: {path} has no {attribute!r}", hint=hint)
        found = getattr(found, part)
    return found


def _module(name: str, path: str) -> Any:
    if "" not in sys.path:
        sys.path.append("")
    if not path or path.startswith("."):
        raise UsageError(f"{name}: write it as module:attribute")
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as fault:
        if fault.name is None or not f"{path}.".startswith(f"{fault.name}."):
            raise
        hint = "it must be importable or in the working folder"
        if path.endswith(".py"):
            hint = f"leave out .py: {name.replace('.py:', ':', 1)}"
        raise UsageError(f"{name}: there is no module {path!r}", hint=hint) from None
    except SyntaxError as fault:
        raise UsageError(f"{name}: {path} is not valid Python ({fault})") from None


def load_callable(name: str, option: str) -> Callable[..., Any]:
    """The function or class of that name; raises UsageError if there is none."""
    with blamed(name, option):
        found = load(name)
    if not callable(found):
        raise UsageError(
            f"{option} {name}: must be a function or a class, not {type(found).__name__}"
        )
    return found  # type: ignore[no-any-return]


@contextmanager
def blamed(name: str, option: str) -> Iterator[None]:
    """Turn any exception from the user's code into one line: option, exception, file and line."""
    try:
        yield
    except UsageError as fault:
        if fault.message.startswith("--"):
            raise
        raise UsageError(f"{option} {fault.message}", hint=fault.hint) from None
    except (LrbenchError, *STOPS):
        raise
    except BaseException as fault:  # the user's code may raise anything
        raise OwnFault(f"{option} {name}: {described(fault)}") from fault


def described(fault: BaseException) -> str:
    """An exception in one line, with its place in the user's code."""
    words = " ".join(str(fault).split())
    return type(fault).__name__ + (f": {words}" if words else "") + place_of(fault)


def place_of(fault: BaseException) -> str:
    """Where in the user's code an exception was raised, such as " (nets.py, line 3)", or ""."""
    elsewhere = (str(Path(__file__).parent), str(STANDARD_LIBRARY), "<")
    for frame in reversed(traceback.extract_tb(fault.__traceback__)):
        path = Path(frame.filename)
        if not frame.filename.startswith(elsewhere) and not _installed(path):
            return f" ({path.name}, line {frame.lineno})"
    return ""


@printing_apart()
def call(
    name: str,
    function: Callable[..., Any],
    offered: Mapping[str, Any],
    *,
    option: str,
    extra: Mapping[str, Any] | None = None,
) -> Any:
    """Call the user's function with the arguments that its signature names, if any.

    A parameter gets the argument offered under its name (`extra` has further ones). If the names
    differ but as many are required as are offered, arguments are passed by position.

    Raises:
        UsageError: the signature requires something else, or the function raised.
    """
    bound = _bound(name, function, offered, {**(extra or {}), **offered}, option)
    with blamed(name, option):
        return function(*bound.args, **bound.kwargs)


def _bound(
    name: str,
    function: Callable[..., Any],
    offered: Mapping[str, Any],
    named: Mapping[str, Any],
    option: str,
) -> BoundArguments:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C, without a signature
        return inspect.signature(lambda *_: None).bind(*offered.values())
    plain = [p for p in signature.parameters.values() if p.kind not in VARIADIC]
    required = [p for p in plain if p.default is p.empty]
    if all(p.name in named for p in required):
        known = {p.name: named[p.name] for p in plain if p.name in named}
        return BoundArguments(signature, OrderedDict(known))
    if len(required) == len(offered):
        with suppress(TypeError):  # some are keyword-only
            return signature.bind(*offered.values())
    raise UsageError(
        f"{option} {name}: it needs ({', '.join(p.name for p in required)}), but is called as "
        f"{_call(name, offered)}; it may take any of these by name, or none"
    )


def check_call(
    name: str,
    function: Callable[..., Any],
    places: Sequence[str],
    words: Iterable[str] = (),
    *,
    option: str,
    hint: str = "",
) -> None:
    """Refuse a user's function that cannot be called with `places` by position and `words` by
    name."""
    try:
        inspect.signature(function).bind(*places, **dict.fromkeys(words))
    except ValueError:
        pass  # written in C, without a signature
    except TypeError as fault:
        what = f"it is called as {_call(name, (*places, *words))}, but {fault}"
        raise UsageError(f"{option} {name}: {what}", hint=hint) from None


def kind_of(value: Any) -> str:
    """A value's type or shape, for a message.

    >>> kind_of(0.5)
    'a float'
    """
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" if shape is None else f"shape {list(shape)}"


def _call(name: str, arguments: Iterable[str]) -> str:
    return f"{name.rpartition(':')[2]}({', '.join(arguments)})"


def name_of(thing: Any) -> str:
    """The name under which `load` finds an object: its own if it has one.

    An object that cannot be imported (a closure, an instance) is called `python:NAME` until
    `lending` ends; a trial's identity depends on this name alone.
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
    """On exit, forget temporary names given inside."""
    before = dict(_lent)
    try:
        yield
    finally:
        _lent.clear()
        _lent.update(before)


def sources(name: str) -> dict[str, str]:
    """SHA-256 of the source files behind a name, by path relative to the import folder.

    These are the module, the file that defines the object, and what they import from the same
    package or, for the user's own code, from the same folder; for an installed package only the
    first two; for a script or a notebook the object's source text, under its name.
    """
    thing = load(name)
    if "__main__" in _homes(name, thing):
        try:
            text = inspect.getsource(thing if hasattr(thing, "__qualname__") else type(thing))
        except (OSError, TypeError):
            return {}
        return {name: hashlib.sha256(text.encode()).hexdigest()}
    found = source_files(name)
    return {label: hashlib.sha256(path.read_bytes()).hexdigest() for label, path in found.items()}


def source_files(name: str, *, installed: bool = True) -> dict[str, Path]:
    """The files that `sources` hashes, optionally without those of installed packages."""
    found: dict[Path, str] = {}
    for home in _homes(name, load(name)) & {*sys.modules}:
        if home.partition(".")[0] not in VERSIONED:
            _collect(sys.modules[home], found)
    kept = {label: path for path, label in found.items() if installed or not _installed(path)}
    return dict(sorted(kept.items()))


def _homes(name: str, thing: Any) -> set[str]:
    return {name.partition(":")[0], getattr(thing, "__module__", None) or type(thing).__module__}


def _collect(home: ModuleType, found: dict[Path, str]) -> None:
    """Add the module's file, then the files it imports."""
    top, start = home.__name__.partition(".")[0], _file(home)
    if start is None:
        return
    root = start.parents[home.__name__.count(".") + (start.name == "__init__.py")]
    todo = [home]
    while todo:
        module = todo.pop()
        path = _file(module)
        if path is None or path in found:
            continue
        inside = root in path.parents
        ours = inside and not _installed(path) and root != STANDARD_LIBRARY
        if ours or module.__name__.partition(".")[0] == top:
            found[path] = str(path.relative_to(root)) if inside else path.name
            todo += [] if _installed(path) else _imported(module, path)


def _imported(module: ModuleType, path: Path) -> Iterator[ModuleType]:
    """The loaded modules named in a file's imports, and their packages."""
    names = {module.__name__}
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {part.name for part in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = "." * node.level + (node.module or "")
            base = resolve_name(above, module.__package__ or "") if node.level else above
            names |= {base, *(f"{base}.{part.name}" for part in node.names)}
    names |= {name.rpartition(".")[0] for name in names}
    yield from (sys.modules[name] for name in sorted(names) if name in sys.modules)


def _file(module: ModuleType) -> Path | None:
    path = Path(getattr(module, "__file__", None) or "").resolve()
    return path if path.suffix == ".py" and path.is_file() else None


def _installed(path: Path) -> bool:
    return not INSTALLED.isdisjoint(path.parts)
