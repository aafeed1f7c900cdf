"""Names for everything that can be plugged in: datasets, models, optimizers, executors,
renderers."""

import difflib
import importlib
import io
import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from lrbench.errors import STOPS, Notice, Topic, UsageError

T = TypeVar("T")
_notices: list[Notice] = []


def broken_plugins() -> list[Notice]:
    """The plug-ins that could not be imported so far; each is reported once."""
    found = list(dict.fromkeys(_notices))
    _notices.clear()
    return found


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered object: its name, a one-line summary, the object, and facts to list."""

    name: str
    summary: str
    make: T
    facts: dict[str, Any]


@dataclass(eq=False)
class Registry(Generic[T]):
    """The entries of one kind, filled by the files of one folder and by other packages.

    Importing the modules of `package`, except those in `skip`, registers their entries. To add an
    entry, add a file there, or an entry point of another distribution in the group
    `lrbench.<kind>s`, such as `lrbench.datasets`. `besides` lists other valid forms of names, for
    error messages.
    """

    kind: str
    package: str = ""
    skip: Collection[str] = ()
    besides: Collection[str] = ()
    _entries: dict[str, Entry[T]] = field(default_factory=dict, init=False)
    _loaded: bool = field(default=False, init=False)

    def register(self, name: str, summary: str, **facts: Any) -> Callable[[T], T]:
        """Decorate an object to register it under a name, which must be free."""

        def add(thing: T) -> T:
            if name in self._entries:
                raise ValueError(f"two {self.kind}s are called {name!r}")
            self._entries[name] = Entry(name, summary, thing, facts)
            return thing

        return add

    def get(self, name: str, *, option: str = "") -> Entry[T]:
        """The entry of that name; raises UsageError if there is none."""
        if name in self:
            return self._entries[name]
        where = f"{option}: " if option else ""
        hint = did_you_mean(name, [*self._entries, *self.besides])
        raise UsageError(f"{where}unknown {self.kind} {name!r}", hint=hint)

    def names(self) -> list[str]:
        return [entry.name for entry in self]

    def __iter__(self) -> Iterator[Entry[T]]:
        self._load()
        return iter(self._entries.values())

    def __contains__(self, name: str) -> bool:
        self._load()
        return name in self._entries

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        folder = importlib.import_module(self.package).__path__ if self.package else ()
        for name in sorted(module.name for module in pkgutil.iter_modules(folder)):
            if name not in self.skip:
                importlib.import_module(f"{self.package}.{name}")
        for point in entry_points(group=f"lrbench.{self.kind}s"):
            try:
                with redirect_stdout(io.StringIO()):  # stdout is for data
                    point.load()
            except STOPS:
                raise
            except BaseException as fault:  # a plug-in may raise anything
                what = f"plug-in {point.value!r} for {self.kind}s was skipped ({fault!r})"[:500]
                remedy = "update or uninstall its package"
                _notices.append(Notice(Topic.PLUGIN_BROKEN, what, remedy))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint with the closest known names, or with all of them if none is close.

    >>> did_you_mean("lenets", ["lenet", "resnet8"]), did_you_mean("lion", ["adam", "muon"])
    ('did you mean lenet?', 'known: adam, muon')
    """
    names = list(known)
    likeness = {other: difflib.SequenceMatcher(None, name, other).ratio() for other in names}
    likeness |= {other: 0.99 for other in names if sorted(other) == sorted(name) and other != name}
    best = max(likeness.values(), default=0.0)
    if best < 0.6:
        return "known: " + ", ".join(names)
    names.sort(key=likeness.__getitem__, reverse=True)
    near = [other for other in names if likeness[other] > best - 0.1]
    return "did you mean " + " or ".join(near[:3]) + "?"
