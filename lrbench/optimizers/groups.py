"""Parameter groups with a learning rate, a schedule or a weight decay of their own."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lrbench.errors import UsageError
from lrbench.registry import did_you_mean

KEYS = ("lr", "schedule", "weight_decay")
REST = "*"


@dataclass(frozen=True)
class GroupSpec:
    """What is special about the parameters whose names match `pattern` (fnmatch).

    The learning rate is `lr_factor` times the trial's, unless `lr_absolute` names one. `None`
    for the schedule or the weight decay means that of the trial.
    """

    pattern: str = REST
    lr_factor: float = 1.0
    lr_absolute: float | None = None
    schedule: str | None = None
    weight_decay: float | None = None

    def lr(self, base: float, reference: float | None = None) -> float:
        """The group's learning rate in a trial at `base`.

        An absolute one belongs to the trial at `reference`, and follows the others along a grid
        of learning rates; without a reference it stays as it is.

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
        return " ".join(words)


def parse_group(text: str) -> GroupSpec:
    """Read `PATTERN lr=10x schedule=cosine weight_decay=0`.

    Raises:
        UsageError: not of that form; the message names --group.

    >>> parse_group("*.bias lr=2x weight_decay=0")
    GroupSpec(pattern='*.bias', lr_factor=2.0, lr_absolute=None, schedule=None, weight_decay=0.0)
    """
    pattern, *settings = _split(text)
    if not pattern:
        raise _wrong(text, "it has no pattern")
    if not settings:
        raise _wrong(text, f"it sets nothing; set {', '.join(KEYS[:-1])} or {KEYS[-1]}")
    values: dict[str, str] = {}
    for key, value in (setting.split("=", 1) for setting in settings):
        if key not in KEYS:
            raise _wrong(text, f"unknown key {key!r}", did_you_mean(key, KEYS))
        if key in values:
            raise _wrong(text, f"it sets {key} twice")
        if not value:
            raise _wrong(text, f"{key} has no value")
        values[key] = value
    factor, absolute = _learning_rate(text, values.get("lr", "1x"))
    decay = values.get("weight_decay")
    return GroupSpec(
        pattern=pattern,
        lr_factor=factor,
        lr_absolute=absolute,
        schedule=_schedule(values.get("schedule")),
        weight_decay=None if decay is None else _number(text, "weight_decay", decay),
    )


def parse_groups(texts: Sequence[str]) -> tuple[GroupSpec, ...]:
    """The groups of several texts, and last the group of all other parameters.

    Raises:
        UsageError: a text that cannot be read, or a pattern that is named twice.
    """
    groups = [parse_group(text) for text in texts]
    for place, group in enumerate(groups):
        if any(group.pattern == earlier.pattern for earlier in groups[:place]):
            raise UsageError(f"--group {group.pattern!r}: the pattern is named twice")
    return (*groups, GroupSpec())


def assign(names: Sequence[str], groups: Sequence[GroupSpec]) -> list[tuple[GroupSpec, list[str]]]:
    """Which parameter names belong to each group: the first whose pattern matches has them.

    Groups stay in their order; the last, of all other parameters, is left out when it is empty.

    Raises:
        UsageError: a pattern that matches no name, or only names that earlier groups took.
    """
    left = list(names)
    members = []
    for group in groups:
        found = [name for name in left if fnmatchcase(name, group.pattern)]
        if not found and group is not groups[-1]:
            raise _matches_nothing(group, names)
        left = [name for name in left if name not in found]
        members.append((group, found))
    return [(group, found) for group, found in members if found]


def _matches_nothing(group: GroupSpec, names: Sequence[str]) -> UsageError:
    if any(fnmatchcase(name, group.pattern) for name in names):
        return UsageError(
            f"--group {group.pattern!r}: earlier groups took every parameter that it matches"
        )
    return UsageError(
        f"--group {group.pattern!r} matches no parameter",
        hint="parameters are called " + ", ".join(names[:4]) + (", ..." if names[4:] else ""),
    )


def _split(text: str) -> Iterator[str]:
    """Pattern and settings: a setting begins at a `key=` that stands outside brackets and quotes,
    so that a schedule may hold spaces and settings of its own."""
    depth, quote, start = 0, "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif depth == 0 and re.match(r"\s\w+=", text[place:]):
            yield text[start:place].strip()
            start = place + 1
    yield text[start:].strip()


def _learning_rate(text: str, value: str) -> tuple[float, float | None]:
    if value.endswith("x"):
        return _number(text, "lr", value.removesuffix("x")), None
    return 1.0, _number(text, "lr", value)


def _number(text: str, key: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise _wrong(text, f"{key}={value} is no finite number of at least 0")
    return number


def _schedule(spec: str | None) -> str | None:
    """The spec in its canonical form."""
    if spec is None:
        return None
    from lrbench import schedules

    try:
        return str(schedules.parse(spec))
    except UsageError as fault:
        raise UsageError(f"--group: {fault.message}", hint=fault.hint) from None


def _wrong(text: str, what: str, hint: str = "") -> UsageError:
    return UsageError(f"--group {text!r}: {what}", hint=hint)
