"""Checks of the schedules before anything is trained."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from itertools import product
from typing import Any

from lrbench import plugins
from lrbench.errors import Notice, Topic
from lrbench.options import CompareSpec
from lrbench.plan import StepsPerEpoch
from lrbench.schedules import Schedule, check, early_stop_notices, parse, stretched
from lrbench.tasks.own import ignored_batch_size

FEW_STEPS = 10


def check_early(spec: CompareSpec) -> None:
    """Check the schedules before torch is imported, if the dataset's size is known without opening
    it."""
    from lrbench.data import train_size

    train = train_size(spec.recipe.dataset)
    if train:
        kept = train - round(train * spec.recipe.val_fraction)
        steps = {each.effective_batch: kept // each.effective_batch for each in spec.recipes}
        if all(steps.values()):  # the task itself reports a batch that is too large
            check_schedules(spec, steps)


def checked(schedule: Schedule, lr: float, steps: int, steps_per_epoch: int) -> list[Notice]:
    """As `check`; what the user's own schedule raises is reported in one line."""
    own = ":" in str(schedule)
    with plugins.blamed(str(schedule), "--schedule") if own else nullcontext():
        return check(schedule, lr, steps, steps_per_epoch)


def check_schedules(spec: CompareSpec, steps_per_epoch: StepsPerEpoch) -> list[Notice]:
    """Warnings about the schedules, before training.

    Raises:
        UsageError: a negative, infinite or NaN LR, or a schedule that cannot be stretched to a
            budget.
    """
    notices: list[Notice] = []
    for arm, cell in product(spec.entered.values(), spec.cells):
        schedule = stretched(parse(str(arm.schedule)), cell.stretch)
        lr = schedule.fixed_lr or (min(spec.lrs) if spec.lrs else 0.1)
        batch = arm.recipe(cell.recipe).effective_batch
        steps = cell.epochs * steps_per_epoch[batch]
        notices += checked(schedule, lr, steps, steps_per_epoch[batch])
        if steps < FEW_STEPS:
            own_batch = batch != cell.recipe.effective_batch
            whose = f" of {arm.name.partition(':')[0]}" * own_batch
            few = f"{steps} step{'s' * (steps > 1)}: schedules hardly differ over so few"
            remedy = "train longer (--epochs), or with smaller batches (--batch-size)"
            notices.append(Notice(Topic.OTHER, f"a trial{whose} has {few}", remedy))
    entered = spec.entered.values()
    stopped = dict.fromkeys(a.schedule for a in entered if a.recipe(spec.recipe).early_stop)
    notices += early_stop_notices([parse(str(name)) for name in stopped])
    return list(dict.fromkeys(notices))


def spec_notices(spec: CompareSpec, data: Mapping[str, Any]) -> Iterator[Notice]:
    """Notices given before training and in every report: schedules that change with the budget;
    several schedules at a single named LR; optimizers at LRs named for another; a batch size that
    the task ignores."""
    for name in spec.trained:
        specs = {c.epochs: str(stretched(parse(name), c.stretch)) for c in spec.cells if c.stretch}
        changed = [f"{text} (epochs: {epochs})" for epochs, text in specs.items() if text != name]
        if changed:
            yield Notice(Topic.STRETCHED, f"{name} is trained as {', '.join(changed)}")
    if len(spec.lrs) == 1 and sum(parse(name).fixed_lr is None for name in spec.schedules) > 1:
        yield Notice(
            Topic.OTHER,
            f"every schedule is trained at LR {spec.lrs[0]:g}, which may suit some and not others",
            "name several (--lr 0.05,0.1,0.2) to tune each, or leave --lr out",
        )
    others = [arm.name for arm in spec.arms if "optimizer" in dict(arm.changes)]
    if spec.lrs and others:
        yield Notice(
            Topic.OTHER,
            f"{', '.join(others)}: another optimizer, tried at the LRs named for "
            f"{spec.recipe.optimizer}",
            "leave out --lr to give each optimizer its own grid",
        )
    yield from ignored_batch_size(spec.recipe, data)
