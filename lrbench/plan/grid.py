"""The range test's answer as a plan needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrbench.errors import NoLearningRate
from lrbench.schedules.units import tidy


def defended(answer: Mapping[str, Any]) -> float:
    """The range test's LR, to two digits: its third one would be a pretence."""
    lr = answer.get("lr")
    if lr is None:
        reasons = ", ".join(answer.get("reasons", ())) or "no reason given"
        raise NoLearningRate(
            f"the range test found no learning rate that it can defend ({reasons})",
            hint=advice(answer) + ", or look at the curve with lrbench find",
        )
    return tidy(float(lr), 2)


def advice(answer: Mapping[str, Any]) -> str:
    """Which `--lr` to try where the range test gave none, and why."""
    rules = [lr for lr in (answer.get("rules") or {}).values() if lr]
    guess = sorted(rules)[len(rules) // 2] if rules else 0.01
    why = "the middle of what its rules say" if rules else "a usual start"
    return f"try --lr {tidy(guess, 1):g} ({why})"
