"""Specs as values: frozen, hashable, each with a canonical text that parses back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lrbench.schedules.definitions import SCHEDULES, Definition
from lrbench.schedules.expression import Formula
from lrbench.schedules.units import Length, number_text


@dataclass(frozen=True)
class Call:
    """One schedule by name, with the arguments that differ from its defaults.

    `factors` are the schedules before it in `A * B`; `clock` is `run` for a phase on the clock of
    the whole run.
    """

    name: str
    args: tuple[tuple[str, Any], ...] = ()
    update: str | None = None
    duration: Length | None = None
    clock: str | None = None
    factors: tuple[Call, ...] = ()

    @property
    def is_plugin(self) -> bool:
        return ":" in self.name

    @property
    def definition(self) -> Definition:
        """The definition of the name; does not load a plug-in's code."""
        if self.is_plugin:
            return Definition(self.name, lambda *_: None, jumps=True, own_scale=True)
        return SCHEDULES.get(self.name).make

    @property
    def arguments(self) -> dict[str, Any]:
        """All arguments by their names in specs, with defaults filled in."""
        defaults = {param.name: param.default for param in self.definition.params}
        return {**defaults, **dict(self.args)}

    @property
    def common(self) -> dict[str, Any]:
        """The arguments that every schedule takes."""
        return {key: getattr(self, key) for key in ("duration", "update", "clock")}

    @cached_property
    def length(self) -> Length | None:
        """Its length; None if it fills the rest of the run."""
        found: Length | None = self.arguments.get("length", self.duration)
        return found

    def calls(self) -> tuple[Call, ...]:
        return (self,)

    def count(self) -> int:
        """The number of phases."""
        return 1

    def fixed_lrs(self) -> Iterator[float]:
        """The LRs named by the arguments of torch's classes."""
        if not self.is_plugin:
            if self.arguments.get("max_lr") is not None:
                yield self.arguments["max_lr"]
            for nested in self.arguments.get("schedulers", ()):
                yield from nested.fixed_lrs()

    def __str__(self) -> str:
        params, shown = self.definition.params, []
        for place, (name, value) in enumerate(self.args):
            param = self.definition.param(name)
            by_place = place == 0 and param is not None and param.positional and param == params[0]
            text = value_text(value, word=param is not None and param.is_word)
            shown.append(text if by_place else f"{name}={text}")
        shown += [f"{key}={value}" for key, value in self.common.items() if value is not None]
        own = f"{self.name}({', '.join(shown)})" if shown else self.name
        return " * ".join([*map(str, self.factors), own])


@dataclass(frozen=True)
class Phases:
    """Specs in sequence, each on its own clock and starting from the base LR; the whole sequence is
    repeated `times` times, if given."""

    parts: tuple[Spec, ...]
    times: int | None = None

    def calls(self) -> tuple[Call, ...]:
        return tuple(call for part in self.parts for call in part.calls()) * (self.times or 1)

    def count(self) -> int:
        return sum(part.count() for part in self.parts) * (self.times or 1)

    def __str__(self) -> str:
        row = " + ".join(map(str, self.parts))
        return f"{self.times}*({row})" if self.times else row


Spec = Call | Phases


def value_text(value: Any, *, word: bool = False) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(value_text(item, word=word) for item in value) + "]"
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, str) and not word:
        return str(Formula(value))
    return str(value)
