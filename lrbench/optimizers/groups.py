"""Parameter groups with their own learning rate, schedule or weight decay."""

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from lrbench.errors import UsageError
from lrbench.options.option import plain_digits
from lrbench.registry import did_you_mean
from lrbench.schedules import parse
from lrbench.schedules.tokens import outside_quotes

KEYS = ("lr", "schedule", "weight_decay", "freeze")
REST = "*"


@dataclass(frozen=True)
class GroupSpec:
    """The parameters whose names match `pattern` (fnmatch), and how to train them.

    The learning rate is `lr_factor` times the trial's, unless `lr_absolute` is set. A schedule or
    weight decay of None means the trial's. The group is frozen for its first `freeze` epochs.
    """

    pattern: str = REST
    lr_factor: float = 1.0
    lr_absolute: float | None = None
    schedule: str | None = None
    weight_decay: float | None = None
    freeze: int = 0

    def frozen_epochs(self, stretch: float | None = None) -> int:
        """The number of frozen epochs in a training `stretch` times as long as intended.

        >>> GroupSpec("body*", freeze=2).frozen_epochs(stretch=0.5)
        1
        """
        return int(self.freeze * (stretch or 1.0) + 0.5)

    def lr(self, base: float, reference: float | None = None) -> float:
        """The group's learning rate in a trial at `base`.

        `lr_absolute` applies to the trial at `reference` and scales with `base` along a grid of
        learning rates; without a reference it is constant.

        >>> GroupSpec("head*", lr_factor=10).lr(0.1)
        1.0
        >>> GroupSpec("head*", lr_absolute=0.5).lr(0.2, reference=0.1)
        1.0
        """
        if self.lr_absolute is None:
            return self.lr_factor * base
        return self.lr_absolute * (base / reference if reference is not None else 1.0)

    def __str__(self) -> str:
        words = [self.pattern]
        if self.lr_absolute is not None:
            words.append(f"lr={self.lr_absolute!r}")
        elif self.lr_factor != 1:
            words.append(f"lr={self.lr_factor!r}x")
        if self.schedule is not None:
            words.append(f"schedule={self.schedule}")
        if self.weight_decay is not None:
            words.append(f"weight_decay={self.weight_decay!r}")
        if self.freeze:
            words.append(f"freeze={self.freeze}ep")
        return " ".join(words)


def parse_group(text: str) -> GroupSpec:
    """Parse `PATTERN lr=10x schedule=cosine weight_decay=0 freeze=2ep`.

    >>> str(parse_group("*.bias lr=2x weight_decay=0"))
    '*.bias lr=2.0x weight_decay=0.0'
    """
    pattern, *rest = _split(text)
    settings = [setting.split("=", 1) for setting in rest]
    if not pattern:
        raise _wrong(text, "it has no pattern")
    if not settings:
        raise _wrong(text, f"it sets nothing; set {', '.join(KEYS[:-1])} or {KEYS[-1]}")
    fields: dict[str, Any] = {}
    for key, value in settings:
        if sum(key == other for other, _ in settings) > 1:
            raise _wrong(text, f"it sets {key} twice")
        match key:
            case "lr" if value.endswith("x"):
                fields["lr_factor"] = _number(text, key, value.removesuffix("x"))
            case "lr":
                fields["lr_absolute"] = _number(text, key, value)
            case "schedule":
                try:
                    fields[key] = str(parse(value))
                except UsageError as fault:
                    raise UsageError(f"--group: {fault.message}", hint=fault.hint) from None
            case "weight_decay":
                fields[key] = _number(text, key, value)
            case "freeze":
                count = value.removesuffix("ep")
                if not (count.isascii() and count.isdecimal()):
                    raise _wrong(
                        text, f"{key}={value} is not a whole number of epochs, such as 2ep"
                    )
                fields[key] = int(count)
            case _:
                raise _wrong(text, f"unknown key {key!r}", did_you_mean(key, KEYS))
    return GroupSpec(pattern, **fields)


def parse_groups(texts: Sequence[str]) -> tuple[GroupSpec, ...]:
    """The groups of several texts, followed by the group of all other parameters."""
    groups = {}
    for group in map(parse_group, texts):
        if group.pattern in groups:
            raise UsageError(f"--group {group.pattern!r}: the pattern is given twice")
        groups[group.pattern] = group
    return (*groups.values(), GroupSpec())


def assign(names: Sequence[str], groups: Sequence[GroupSpec]) -> list[tuple[GroupSpec, list[str]]]:
    """The parameter names of each group; the first matching pattern wins.

    Groups keep their order. The last one, for all other parameters, is omitted if empty.
    """
    left = list(names)
    members = []
    for group in groups:
        found = [name for name in left if fnmatchcase(name, group.pattern)]
        if not found and group is not groups[-1]:
            hint = f"parameters are called {', '.join(names[:4])}{', ...' * (len(names) > 4)}"
            if any(fnmatchcase(name, group.pattern) for name in names):
                hint = "earlier groups already match all of them"
            raise UsageError(f"--group {group.pattern!r} matches no parameter", hint=hint)
        left = [name for name in left if name not in found]
        members.append((group, found))
    return [(group, found) for group, found in members if found]


def without_decay(
    members: Sequence[tuple[GroupSpec, list[str]]], names: Collection[str]
) -> Iterator[tuple[GroupSpec, list[str]]]:
    """Move each group's parameters in `names` to a group without weight decay, unless the group
    sets its own weight decay."""
    for group, found in members:
        spared = [name for name in found if name in names and group.weight_decay is None]
        rest = [name for name in found if name not in spared]
        parts = ((group, rest), (replace(group, weight_decay=0.0), spared))
        yield from ((spec, part) for spec, part in parts if part)


def _split(text: str) -> Iterator[str]:
    """The pattern and settings. A setting starts at a `key=` outside brackets and quotes, so that a
    schedule may contain spaces and arguments."""
    start = 0
    for place, _, depth in outside_quotes(text):
        if depth == 0 and re.match(r"\s\w+=", text[place:]):
            yield text[start:place].strip()
            start = place + 1
    yield text[start:].strip()


def _number(text: str, key: str, value: str) -> float:
    try:
        number = float(plain_digits(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise _wrong(text, f"{key}={value} is not a finite number of at least 0")
    return number


def _wrong(text: str, what: str, hint: str = "") -> UsageError:
    return UsageError(f"--group {text!r}: {what}", hint=hint)
