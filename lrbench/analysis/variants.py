"""Schedules of a ranking that differ in one parameter: how long should warm-up be?"""

from collections.abc import Iterable

from lrbench.analysis.names import is_schedule
from lrbench.analysis.standing import Standing
from lrbench.analysis.words import listed
from lrbench.schedules import Variants, variants

FEWEST = 3  # schedules that make a series
MOST_SAID = 2


def groups_of(names: Iterable[str]) -> list[Variants]:
    """The groups that can be plotted against their parameter, largest first."""
    schedules = filter(is_schedule, names)
    return [one for one in variants(schedules) if len(one.amounts) >= FEWEST]


def variants_text(standing: Standing) -> str:
    """What the verdicts say about the largest groups; empty without any."""
    groups = groups_of(standing.names)[:MOST_SAID]
    return " ".join(_said(standing, group) for group in groups)


def _said(standing: Standing, group: Variants) -> str:
    values = group.values
    best = min(values, key=standing.names.index)
    others = [name for name in values if name != best]
    worse = [name for name in others if _better(standing, best, name)]
    parts = {
        "better than": [values[name] for name in worse],
        "not told apart from": [values[name] for name in others if name not in worse],
    }
    said = ", ".join(f"{words} {listed(them)}" for words, them in parts.items() if them)
    return f"By {group.parameter}: {values[best]} has the best mean, {said}."


def _better(standing: Standing, name: str, other: str) -> bool:
    row, column = standing.names.index(name), standing.names.index(other)
    return bool(standing.verdicts.better[row, column])
