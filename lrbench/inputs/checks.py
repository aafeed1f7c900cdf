"""Checks that need more than one option: unknown names, without importing torch, and options
that exclude each other."""

from collections.abc import Iterator

from lrbench import models, optimizers, plugins
from lrbench.data import train_size
from lrbench.errors import UsageError
from lrbench.options import CompareSpec, FindSpec, Options, Problem, Recipe, options_of
from lrbench.registry import did_you_mean
from lrbench.tasks.own import takes_batch_size

BATCHES = ("batch_sizes", "lr_scaling")
"""Options with no effect on a task that sets its own batch size."""


def foreign(problem: Problem) -> Iterator[str]:
    """The keys of options that are for other kinds of problem."""
    for key, option in {**options_of(Recipe), **options_of(CompareSpec)}.items():
        if option.only and problem not in option.only:
            yield key


def check_problem(options: Options, problem: Problem) -> None:
    """Raises UsageError if an option is for another kind of problem."""
    for key in foreign(problem):
        if key in options:
            flag = f"--{key.replace('_', '-')}"
            if problem == "task":
                raise UsageError(f"{flag}: a --task brings its own; leave out one of them")
            raise UsageError(f"{flag} is for images, but {options['dataset']} is text")
    for key in BATCHES if problem == "task" else ():
        if options.get(key) not in (None, "none") and not takes_batch_size(options["task"]):
            raise UsageError(
                f"--{key.replace('_', '-')} {options[key]}: this task sets its own batch size",
                hint="leave it out, or let the task take batch_size",
            )


def check_metric(metric: str, problem: Problem) -> None:
    """Raises UsageError if the problem does not measure the metric."""
    if problem == "text" and metric.endswith("accuracy"):
        raise UsageError(f"--metric {metric}: text has none", hint="use test_bits")
    if problem != "text" and metric.endswith("bits"):
        raise UsageError(f"--metric {metric}: bits per character need --dataset text:FILE")


def check_recipe(recipe: Recipe, given: Options) -> None:
    """Refuse unknown names, a batch larger than the training set, and `given` options that would
    have no effect; does not need torch."""
    if recipe.problem == "task":
        with plugins.blamed(recipe.task, "--task"):
            plugins.load(recipe.task)
    elif recipe.problem == "text":
        models.check(recipe.model, reads="text")
    else:
        _check_images(recipe)
    optimizers.check(recipe)
    optimizers.check_given(recipe, given)


def _check_images(recipe: Recipe) -> None:
    train = train_size(recipe.dataset)
    kept = train and train - round(train * recipe.val_fraction)
    if kept and recipe.batch_size > kept:
        raise UsageError(
            f"--batch-size {recipe.batch_size} is more than the {kept} training images "
            f"of {recipe.dataset}"
        )
    if recipe.label_smoothing and recipe.loss:
        raise UsageError("--label-smoothing belongs to cross-entropy; a --loss does its own")
    models.check(recipe.model, recipe.weights)
    for flag, name in (("--loss", recipe.loss), ("--augment", recipe.augment)):
        if plugins.is_own(name):
            plugins.load_callable(name, flag)


def check_arm(recipe: Recipe, plain: Recipe, metric: str) -> None:
    """Refuse an arm that cannot be paired with the plain recipe: both need the same data and
    metric."""
    for field in ("dataset", "val_fraction", "task"):
        if getattr(recipe, field) != getattr(plain, field):
            raise UsageError(
                f"{field} is the same for all entries: pairs need the same data and metric"
            )
    if recipe.loss != plain.loss and metric.endswith("loss"):
        raise UsageError(f"{metric} of another loss is not comparable", hint="rank by an accuracy")
    if recipe.ema != plain.ema:
        raise UsageError("ema changes no ranking: the average is evaluated next to the weights")
    if recipe.precision != plain.precision and "tf32" in (recipe.precision, plain.precision):
        raise UsageError("precision tf32 applies to the whole process: use it for all")
    if recipe.batch_size != plain.batch_size and plain.task and not takes_batch_size(plain.task):
        raise UsageError("batch_size changes nothing: this task sets its own")


def check_rule(spec: FindSpec, typed: str) -> None:
    """Raises UsageError for an unknown rule; the message begins with `typed`."""
    from lrbench.rangetest.rules import RULES

    if spec.rule not in RULES.names():
        raise UsageError(
            f"{typed}{spec.rule}: unknown rule", hint=did_you_mean(spec.rule, RULES.names())
        )


def check_find(spec: FindSpec) -> None:
    """Refuse an empty range of LRs, an unknown rule, a group that cannot be swept alone, and a
    table cell that cannot be trained."""
    from lrbench.rangetest.groups import swept_place

    check_rule(spec, "--rule ")
    groups = optimizers.parse_groups(spec.recipe.groups)
    if spec.start_lr >= spec.end_lr:
        raise UsageError(f"--start-lr {spec.start_lr:g} must lie below --end-lr {spec.end_lr:g}")
    if spec.schedule and (own := next((g for g in groups if g.schedule), None)):
        raise UsageError(
            f"--group '{own}': a run of --schedule {spec.schedule} has one schedule for all groups",
            hint="leave out its schedule=",
        )
    if spec.sweep_group is not None:
        swept_place(groups, spec.sweep_group, rest_known=False)
    name = spec.recipe.optimizer
    if spec.momenta and (plugins.is_own(name) or optimizers.ignored(dict(spec.recipe))):
        raise UsageError(f"--momenta: {name} takes no --momentum")
    for recipe in spec.cells:
        check_recipe(recipe, {})
