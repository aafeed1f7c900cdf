"""One option's text to its value: lists, budgets, durations."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lrbench.errors import MachineError, UsageError
from lrbench.experiment import Contender
from lrbench.options.names import FLAGS, REPEATABLE, TEXTS


def learning_rates(value: Any) -> tuple[float, ...]:
    """`auto` is no learning rate at all: the range test's; otherwise the numbers, rising.

    >>> learning_rates("0.2,0.1")
    (0.1, 0.2)
    """
    parts = listed(value if not isinstance(value, str) else value.split(","))
    if parts == ["auto"]:
        return ()
    try:
        found = sorted({float(part) for part in parts})
    except (TypeError, ValueError):
        raise UsageError(f"--lr {value}: give auto, a number, or numbers with commas") from None
    if not found or not all(math.isfinite(lr) and lr > 0 for lr in found):
        raise UsageError(f"--lr {value}: a learning rate is a finite number above 0")
    return tuple(found)


def contenders(value: Any) -> tuple[Contender, ...]:
    """Optimizers by name, each with the learning rate that it is usually run at, if it has one.

    Raises:
        UsageError: no optimizer of that name, or a package that is not there.
    """
    from lrbench.optimizers import check_contender

    names = dict.fromkeys(listed(value))
    return tuple(Contender(optimizer=name, lr=check_contender(name)) for name in names)


def budgets_of(value: Any, epochs: int) -> tuple[int, ...]:
    """Numbers of epochs, rising, from shares of the whole training or from numbers.

    >>> budgets_of("25%,50%,100%", 20), budgets_of([5, 10], 20)
    ((5, 10, 20), (5, 10))

    Raises:
        UsageError: something else, or a share of less than an epoch.
    """
    found = set()
    for part in listed(value.split(",") if isinstance(value, str) else value):
        text = str(part).strip()
        try:
            exact = epochs * float(text[:-1]) / 100 if text.endswith("%") else float(text)
            whole = int(exact + 0.5)
        except (ValueError, OverflowError, TypeError):
            raise UsageError(
                f"--budgets {value}: give shares such as 25%,50%,100%, or numbers of epochs"
            ) from None
        if exact < 1 or (not text.endswith("%") and whole != exact):
            raise UsageError(f"--budgets {text}: that is {exact:g} of an epoch; give whole ones")
        found.add(whole)
    return tuple(sorted(found))


def numbers(value: Any, name: str) -> tuple[float, ...]:
    """The numbers of a list, or of a text with commas."""
    parts = listed(value.split(",") if isinstance(value, str) else value)
    try:
        return tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        option = name.replace("_", "-")
        raise UsageError(f"--{option} {value}: give numbers with commas") from None


def file_digest(path: str, option: str) -> str:
    """The start of a file's SHA-256.

    Raises:
        MachineError: it cannot be read.
    """
    try:
        with Path(path).expanduser().open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except (OSError, ValueError) as fault:  # ValueError: a name with a zero byte
        words = getattr(fault, "strerror", None) or str(fault)
        raise MachineError(f"{option} {path}: {words.lower()}") from None


def duration_s(text: Any, option: str = "time-budget") -> float:
    """Seconds in a text such as `90s`, `20m` or `1h30m`; a bare number means seconds.

    >>> duration_s("1h30m")
    5400.0
    """
    found = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s?)?", str(text).strip())
    try:
        parts = [float(part or 0) for part in found.groups()] if found else []
    except ValueError:
        parts = []
    seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if seconds <= 0:
        raise UsageError(f"--{option} {text}: write it like 90s, 20m or 1h30m")
    return seconds


SETTINGS: Mapping[str, Callable[[Iterable[str]], Any]] = {
    "opt": list, "early_stop": ",".join, "range_test": ",".join,
}  # fmt: skip


def flat(name: str, value: Any) -> Any:
    """An option's value from a file or from Python, as the command line knows it: a mapping of
    settings is their text.

    >>> flat("early_stop", {"patience": 5}), flat("opt", {"betas": (0.9, 0.95)}), flat("lr", 0.1)
    ('patience=5', ['betas=0.9,0.95'], 0.1)

    Raises:
        UsageError: a mapping for an option that is none, or another value that cannot be meant.
    """
    option = "--" + name.replace("_", "-")
    if not isinstance(value, Mapping):
        if name in FLAGS and not isinstance(value, bool):
            raise UsageError(f"{option} {value}: must be true or false")
        parts = listed(value) if name in REPEATABLE else [value]
        if name in TEXTS and not all(isinstance(part, (str, Path)) for part in parts):
            raise UsageError(f"{option} {value}: must be text")
        return value
    if name not in SETTINGS:
        raise UsageError(f"{option}: it is one value, not a table of settings")
    return SETTINGS[name](f"{key}={','.join(map(str, listed(v)))}" for key, v in value.items())


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple, range)) else [value]


def count(value: Any, *, least: int = 1, most: int = 2**31 - 1, name: str = "seeds") -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"--{name} {value}: must be a whole number from {least} to {most:,}")
    return value
