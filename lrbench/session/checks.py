"""Checks of the schedules before anything is trained."""

from collections.abc import Iterator
from itertools import product

from lrbench.errors import Notice, Topic
from lrbench.options import CompareSpec
from lrbench.plan import StepsPerEpoch
from lrbench.schedules import check, early_stop_notices, parse, stretched

FEW_STEPS = 10


def check_early(spec: CompareSpec) -> None:
    """Refuse a schedule that cannot run before torch is imported, where the dataset's size is
    known without opening it."""
    from lrbench.data import train_size

    train = train_size(spec.recipe.dataset)
    if train:
        kept = train - round(train * spec.recipe.val_fraction)
        steps = {each.effective_batch: kept // each.effective_batch for each in spec.recipes}
        if all(steps.values()):  # the task itself says what is wrong with too large a batch
            check_schedules(spec, steps)


def check_schedules(spec: CompareSpec, steps_per_epoch: StepsPerEpoch) -> list[Notice]:
    """Warnings about the schedules, before training.

    Raises:
        UsageError: an LR that is negative, infinite or NaN, or a schedule that cannot be stretched
            to a budget.
    """
    notices = [*stretch_notices(spec), *untuned_notices(spec)]
    for arm, cell in product(spec.entered.values(), spec.cells):
        schedule = stretched(parse(str(arm.schedule)), cell.stretch)
        lr = schedule.fixed_lr or (min(spec.lrs) if spec.lrs else 0.1)
        recipe = arm.recipe(cell.recipe)
        steps = steps_per_epoch[recipe.effective_batch]
        notices += check(schedule, lr, cell.epochs * steps, steps)
        own_batch = recipe.effective_batch != cell.recipe.effective_batch
        notices += short_notices(
            cell.epochs * steps, f" of {arm.name.partition(':')[0]}" * own_batch
        )
    entered = spec.entered.values()
    stopped = dict.fromkeys(a.schedule for a in entered if a.recipe(spec.recipe).early_stop)
    notices += early_stop_notices([parse(str(name)) for name in stopped])
    return list(dict.fromkeys(notices))


def short_notices(steps: int, whose: str) -> Iterator[Notice]:
    """Trainings that are over before a schedule can matter."""
    if steps < FEW_STEPS:
        yield Notice(
            Topic.OTHER,
            f"a trial{whose} has {steps} step{'s' * (steps > 1)}: schedules hardly differ in so "
            "few",
            "train longer (--epochs), or in smaller batches (--batch-size)",
        )


def stretch_notices(spec: CompareSpec) -> Iterator[Notice]:
    """Schedules that change with the budget."""
    for name in spec.trained:
        specs = {
            cell.epochs: str(stretched(parse(name), cell.stretch))
            for cell in spec.cells
            if cell.stretch
        }
        changed = [f"{text} (epochs: {epochs})" for epochs, text in specs.items() if text != name]
        if changed:
            yield Notice(Topic.STRETCHED, f"{name} is trained as {', '.join(changed)}")


def untuned_notices(spec: CompareSpec) -> Iterator[Notice]:
    """Several schedules at the one LR that was named; other optimizers at the LRs of the first."""
    untuned = [name for name in spec.schedules if parse(name).fixed_lr is None]
    if len(spec.lrs) == 1 and len(untuned) > 1:
        yield Notice(
            Topic.OTHER,
            f"every schedule is trained at LR {spec.lrs[0]:g}, which may suit some and not others",
            "name several (--lr 0.05,0.1,0.2) to tune each, or leave --lr out",
        )
    others = [arm.name for arm in spec.arms if "optimizer" in dict(arm.changes)]
    if spec.lrs and others:
        yield Notice(
            Topic.OTHER,
            f"{', '.join(others)}: another optimizer, tried at the LRs that were named for "
            f"{spec.recipe.optimizer}",
            "leave --lr out, and each optimizer gets a grid of its own",
        )
