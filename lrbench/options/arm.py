"""Arms: changes to the recipe, ranked next to the schedules under their own names."""

import math
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Annotated, Literal

from pydantic import StringConstraints

from lrbench.errors import UsageError
from lrbench.options.recipe import Recipe
from lrbench.options.values import Frozen, Positive, Schedule, word_off
from lrbench.plugins import is_own
from lrbench.schedules import parse

Scaling = Annotated[Literal["", "sqrt", "linear"], word_off("none")]
Value = bool | int | float | str | tuple[str, ...] | None
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=60, pattern=r"^[^\r\n:]+(:[^ ]+)?$")
]


class Arm(Frozen):
    """A recipe and a schedule ranked under a `name`.

    `settings` is what was typed, `changes` the recipe fields that this sets, with their values.
    Without a `schedule`, the arm is trained under each schedule of the comparison. With
    `lr_scaling`, its LRs are the comparison's times √k or k, where k is the ratio of its images per
    step to the comparison's. Otherwise its grid is centred on its optimizer's usual `lr`, or by its
    own range test.
    """

    name: Name
    settings: tuple[str, ...] = ()
    changes: tuple[tuple[str, Value], ...] = ()
    schedule: Schedule | None = None
    lr_scaling: Scaling = ""
    lr: Positive | None = None

    def recipe(self, plain: Recipe) -> Recipe:
        """The arm's recipe, given the comparison's."""
        return plain.model_copy(update=dict(self.changes))

    def lr_factor(self, plain: Recipe) -> float:
        """The factor from the comparison's LRs to the arm's; 1 without `lr_scaling`."""
        times = self.recipe(plain).effective_batch / plain.effective_batch
        return scaled(self.lr_scaling, times)

    @property
    def typed(self) -> str:
        return f"{self.name}: {shlex.join(self.settings)}"


def scaled(rule: Scaling, times: float) -> float:
    """The factor on the LR when the batch is `times` as large."""
    return {"": 1.0, "sqrt": math.sqrt(times), "linear": times}[rule]


def typed_arm(text: str) -> tuple[str, list[str]]:
    """Name and settings of an arm. The name of an optimizer alone means that optimizer at a
    constant LR.

    >>> typed_arm("big batch: batch_size=512 lr_scaling=sqrt")
    ('big batch', ['batch_size=512', 'lr_scaling=sqrt'])
    >>> typed_arm("prodigy")
    ('prodigy', ['optimizer=prodigy', 'schedule=constant'])
    """
    name, colon, rest = text.partition(":")
    if (colon and not (rest.strip() and name.strip())) or (not colon and "=" in text):
        raise UsageError(f"--arm {text}: write it like 'big batch: batch_size=512'")
    if not {" ", "="} & {*text.strip()} and (is_own(text) or not rest):
        return text.strip(), [f"optimizer={text.strip()}", "schedule=constant"]
    try:
        return name.strip(), sorted(shlex.split(rest))
    except ValueError:
        raise UsageError(f"--arm {text}: unclosed quotation mark") from None


def entered(schedules: Sequence[str], arms: Iterable[Arm]) -> dict[str, Arm]:
    """Everything ranked, by name: the comparison's recipe under each schedule, and each arm under
    its own schedule or, without one, under each."""
    found = {name: Arm.model_construct(name=name, schedule=name) for name in schedules}
    for arm in arms:
        for each in _crossed(arm, schedules):
            if each.name in found:
                raise UsageError(
                    f"--arm {each.name}: two arms of this name have different settings",
                    hint="give the new one another name: a run keeps its earlier arms",
                )
            found[each.name] = each
    return found


def _crossed(arm: Arm, schedules: Sequence[str]) -> Iterator[Arm]:
    if arm.schedule or len(schedules) == 1:
        yield arm.model_copy(update={"schedule": arm.schedule or schedules[0]})
        return
    for schedule in schedules:
        yield arm.model_copy(update={"name": f"{arm.name}: {schedule}", "schedule": schedule})


def check_arms(
    arms: Sequence[Arm],
    schedules: Sequence[str],
    plain: Recipe,
    *,
    auto: bool,
    several: Collection[str],
) -> None:
    """Raises UsageError for an arm that equals another entry, that changes a field of which the
    comparison has several values, or whose LRs do not fit the comparison's."""
    for arm in arms:
        if arm.lr and not auto:
            raise UsageError(f"--arm {arm.name} needs --lr auto: its LR is usually {arm.lr:g}")
        for field in {*several} & {*dict(arm.changes)}:
            flag = f"--{field.replace('_', '-')}"
            raise UsageError(
                f"--arm {arm.name}: {flag} has several values, and each is tried with every arm",
                hint=f"leave {field} out of the arm, or name one {flag}",
            )
        if arm.lr_scaling and any(parse(name).fixed_lr for name in schedules):
            raise UsageError(f"--arm {arm.name}: lr_scaling cannot scale an LR of SCHEDULE @ LR")
    trained: dict[tuple[Recipe, str | None], str] = {}
    for each in entered(schedules, arms).values():
        twin = trained.setdefault((each.recipe(plain), each.schedule), each.name)
        if twin != each.name:
            raise UsageError(f"--arm {each.name} changes nothing: it equals {twin!r}")
