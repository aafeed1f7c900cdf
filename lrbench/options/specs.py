"""Options to the specs that they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from lrbench import optimizers, plugins
from lrbench.errors import UsageError
from lrbench.experiment import SWEEP_SEED, CompareSpec, FindSpec, Frozen, Recipe, refusal
from lrbench.options.batch import batch_sizes
from lrbench.options.names import COMPARE, FIND, RECIPE, TRAINING, Options
from lrbench.options.range_test import with_range_test
from lrbench.options.values import (
    budgets_of,
    contenders,
    count,
    duration_s,
    file_digest,
    learning_rates,
    listed,
    numbers,
)
from lrbench.schedules import parse
from lrbench.tasks.own import takes_batch_size

Kind = TypeVar("Kind", bound=Frozen)
# What lets 6 schedules, their tuning and 5 final seeds be shown within 400,000 images of mnist5k.
QUICK = {
    "epochs": 2,
    "lr_points": 3,
    "tuning_seeds": 1,
    "find": FindSpec(
        points=75, seeds=(SWEEP_SEED, SWEEP_SEED + 1), verify_seeds=1, verify_steps=40
    ),
}
TUNERS = ("grid", "halving")
FIELD_OPTIONS = {
    "groups": "group",
    "optimizer_options": "opt",
    "schedules": "schedule",
    "lrs": "lr",
    "time_budget_s": "time_budget",
}


def recipe_of(options: Options) -> Recipe:
    """Raises UsageError: an unknown name, or a value that cannot be meant."""
    fields = {name: options[name] for name in (*RECIPE, *TRAINING) if name in options}
    fields["groups"] = tuple(listed(fields.pop("group", ())))
    fields["optimizer_options"] = tuple(listed(fields.pop("opt", ())))
    if "batch_size" in fields:
        fields["batch_size"], *more = batch_sizes(fields["batch_size"], options)
        if more:
            raise UsageError("--batch-size: several are compared by lrbench compare only")
    if fields.get("loss") == "cross-entropy":
        fields["loss"] = ""
    if fields.get("task"):
        fields |= _without_images(options)
    if fields.get("init_from"):
        fields["init_digest"] = file_digest(fields["init_from"], "--init-from")
    recipe = _valid(Recipe, fields)
    check_names(recipe)
    optimizers.check_given(recipe, options)
    return recipe


# What only an image classification has.
IMAGES = (
    "dataset", "model", "augment", "weights", "loss", "val_fraction", "label_smoothing", "tta",
)  # fmt: skip


def _without_images(options: Options) -> dict[str, str]:
    """Raises UsageError: options of an image classification beside a task."""
    clash = next((name for name in IMAGES if name in options), None)
    if clash is not None:
        option = "--" + clash.replace("_", "-")
        raise UsageError(f"{option}: a --task brings its own; leave one of the two out")
    batches = next((name for name in BATCHES if options.get(name) not in (None, "none")), None)
    if batches is not None and not takes_batch_size(options["task"]):
        option = "--" + batches.replace("_", "-")
        raise UsageError(
            f"{option} {options[batches]}: this task sets its own batch size",
            hint="leave it out, or let the task take batch_size",
        )
    return {"dataset": "", "model": ""}


BATCHES = ("batch_sizes", "lr_scaling")  # nonsense for a task that sets its own batch size


def check_names(recipe: Recipe) -> None:
    """Refuse names that nobody knows, and a batch that no epoch can hold, without torch."""
    from lrbench import models
    from lrbench.data import train_size

    if recipe.task:
        with plugins.blamed(recipe.task, "--task"):
            plugins.load(recipe.task)
        optimizers.check(recipe)
        return
    train = train_size(recipe.dataset)
    kept = train and train - round(train * recipe.val_fraction)
    if kept and recipe.batch_size > kept:
        raise UsageError(
            f"--batch-size {recipe.batch_size} is more than the {kept} training images "
            f"of {recipe.dataset}"
        )
    check_parts(recipe)
    models.check(recipe.model, recipe.weights)
    optimizers.check(recipe)
    for option, name in (("--loss", recipe.loss), ("--augment", recipe.augment)):
        if plugins.is_own(name):
            plugins.load_callable(name, option)


def check_parts(recipe: Recipe) -> None:
    """Refuse what would change nothing, or could not."""
    if recipe.loss and not plugins.is_own(recipe.loss):
        raise UsageError(f"--loss {recipe.loss}: must be cross-entropy or module:function")
    if recipe.label_smoothing and recipe.loss:
        raise UsageError("--label-smoothing belongs to cross-entropy; a --loss smooths by itself")


def find_spec(options: Options) -> FindSpec:
    """Raises UsageError: a value that cannot be meant."""
    fields = {name: options[name] for name in FIND if name in options}
    how_many, first = (
        count(fields.pop("seeds", 3)),
        count(fields.pop("seed", 0), least=0, name="seed"),
    )
    if "rule" in fields:
        from lrbench.rangetest.rules import get_rule

        get_rule(fields["rule"])
    for name in ("batch_sizes", "momenta"):
        if name in fields:
            fields[name] = numbers(fields[name], name)
    spec = _valid(
        FindSpec, {**fields, "recipe": recipe_of(options), "seeds": range(first, first + how_many)}
    )
    if spec.start_lr >= spec.end_lr:
        raise UsageError(f"--start-lr {spec.start_lr:g} must lie below --end-lr {spec.end_lr:g}")
    check_find(spec)
    return spec


def check_find(spec: FindSpec) -> None:
    """Raises UsageError: a group that cannot be swept alone, or a cell that cannot be trained."""
    from lrbench.optimizers import OPTIMIZERS, parse_groups
    from lrbench.rangetest.groups import swept_place

    if spec.sweep_group is not None:
        swept_place(parse_groups(spec.recipe.groups), spec.sweep_group, rest_known=False)
    name = spec.recipe.optimizer
    if spec.momenta and (
        plugins.is_own(name) or OPTIMIZERS.get(name).facts.get("momentum") is False
    ):
        raise UsageError(f"--momenta: {name} takes no --momentum")
    for recipe in spec.cells:
        check_names(recipe)


def compare_spec(options: Options) -> CompareSpec:
    """Without a length of the training the plan is the quick one.

    Raises:
        UsageError: a value that cannot be meant.
    """
    fields = {name: options[name] for name in COMPARE if name in options}
    if not {"epochs", "time_budget"} & set(fields):
        fields = {**QUICK, **fields}
    if "schedule" in fields:
        fields["schedules"] = tuple(listed(fields.pop("schedule")))
    fields["lrs"] = learning_rates(fields.pop("lr", "auto"))
    if "time_budget" in fields:
        fields["time_budget_s"] = duration_s(fields.pop("time_budget"))
    if "budgets" in fields:
        if "time_budget" in fields or "time_budget_s" in fields:
            raise UsageError("--budgets and --time-budget set the length: give one of them")
        epochs = fields.get("epochs", CompareSpec().epochs)
        fields["budgets"] = budgets_of(fields["budgets"], epochs)
    if "tuner" in fields:
        tuner = fields.pop("tuner")
        if tuner not in TUNERS:
            raise UsageError(f"--tuner {tuner}: choose {' or '.join(TUNERS)}")
        fields["halving"] = tuner == "halving"
    if "contender" in fields:
        fields["contenders"] = contenders(fields.pop("contender"))
    if "reference" in fields:
        known = [each.optimizer for each in fields.get("contenders", ())]
        fields["reference"] = _reference(str(fields["reference"]), known)
    if "base_batch_size" in fields and "lr_scaling" not in fields:
        raise UsageError("--base-batch-size says nothing without --lr-scaling sqrt or linear")
    if fields.get("lr_scaling") == "none":
        fields["lr_scaling"] = ""
    sizes = batch_sizes(options.get("batch_size", Recipe().batch_size), options)
    recipe = recipe_of({**options, "batch_size": sizes[0]})
    fields["batch_sizes"] = sizes if len(sizes) > 1 else ()
    find = _range_test(fields).model_copy(update={"recipe": recipe})
    return _valid(CompareSpec, {**fields, "recipe": recipe, "find": find})


def _range_test(fields: dict[str, Any]) -> FindSpec:
    """The range test behind the learning rates, as nothing else where they are named."""
    find, text = fields.pop("find", FindSpec()), fields.pop("range_test", None)
    if text is not None:
        find = with_range_test(text, find)
    return FindSpec() if fields["lrs"] else find


def _reference(name: str, contenders: Sequence[str]) -> str:
    """What the ranking calls it: a contender, or a schedule in its canonical text."""
    if name in contenders:
        return name
    try:
        return str(parse(name))
    except UsageError as fault:
        raise UsageError(f"--reference: {fault.message}", hint=fault.hint) from None


def _valid(kind: type[Kind], fields: Mapping[str, Any]) -> Kind:
    try:
        return kind(**fields)
    except ValidationError as fault:
        raise _usage(fault) from None


def _usage(fault: ValidationError) -> UsageError:
    """The first thing that is wrong, in one line that names the option."""
    first = fault.errors()[0]
    cause = first.get("ctx", {}).get("error")
    words = refusal(first).splitlines()[0]
    if not first["loc"]:
        named = ("reference", "contender", "lr-scaling")
        return UsageError(f"--{words}" if words.startswith(named) else words)
    field = str(first["loc"][0])
    option = "--" + FIELD_OPTIONS.get(field, field).replace("_", "-")
    if isinstance(cause, UsageError):
        return UsageError(f"{option}: {cause.message}", hint=cause.hint)
    return UsageError(f"{option} {first['input']}: {words}")
