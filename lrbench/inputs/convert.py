"""From options to specs, and from specs back to all their options."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from lrbench import optimizers
from lrbench.engine.device import default_threads
from lrbench.errors import UsageError
from lrbench.execute import EXECUTORS
from lrbench.files import read_file
from lrbench.inputs.checks import (
    check_arm,
    check_find,
    check_metric,
    check_problem,
    check_recipe,
    check_rule,
    foreign,
)
from lrbench.inputs.commands import ONCE, own_defaults, to_toml
from lrbench.options import (
    Arm,
    CompareSpec,
    FindSpec,
    Host,
    Options,
    Recipe,
    counted_seeds,
    listed,
    options_of,
    problem_of,
    refused,
    split,
    typed_arm,
)
from lrbench.options.host import ONE_JOB
from lrbench.options.option import plain_digits
from lrbench.registry import did_you_mean
from lrbench.schedules import parse

Spec = TypeVar("Spec")


def made(kind: type[Spec], options: Options, **fields: Any) -> Spec:
    """The spec with these options and further fields. A UsageError names the first invalid
    option."""
    declared = options_of(kind)
    try:
        for key in options.keys() & declared.keys():
            if declared[key].settings or declared[key].kind in (int, float, object):
                plain_digits(options[key])
    except ValueError as fault:
        raise UsageError(f"{declared[key].flag} {options[key]}: {fault}") from None
    typed = {option.field: options[key] for key, option in declared.items() if key in options}
    try:
        return kind(**{**typed, **fields})
    except ValidationError as fault:
        raise refused(fault, {option.field: option.flag for option in declared.values()}) from None


def recipe_of(options: Options) -> Recipe:
    """Raises UsageError for an unknown name or an invalid value."""
    given, options = options, completed(options)
    problem = problem_of(options.get("task"), options.get("dataset"))
    check_problem(given, problem)
    fields: dict[str, Any] = {"dataset": "", "model": ""} if problem == "task" else {}
    if path := options.get("init_from"):
        content = read_file(Path(path).expanduser(), "--init-from")
        fields["init_digest"] = hashlib.sha256(content).hexdigest()[:16]
    recipe = made(Recipe, options, **fields)
    check_recipe(recipe, given)
    return recipe


def completed(options: Options) -> Options:
    """The options plus the defaults of their dataset and optimizer. For `--batch-size all`, reads
    the dataset and inserts the number of training images."""
    options = {**own_defaults(options), **options}
    sizes = split(options.get("batch_size", ()))
    if "all" not in sizes:
        return options
    made(
        CompareSpec, {"batch_size": [size for size in sizes if size != "all"]}
    )  # raises if invalid
    problem = problem_of(options.get("task"), options.get("dataset"))
    if problem != "images":
        raise UsageError("--batch-size all is for images; give a number")
    return {**options, "batch_size": [_all(options) if size == "all" else size for size in sizes]}


def _all(options: Options) -> int:
    """The number of training images after the split."""
    from lrbench.data import load
    from lrbench.data.split import stratified

    recipe, host = made(Recipe, {**options, "batch_size": 1}), host_of(options)
    data = load(recipe.dataset, host.data_dir, host.download)
    kept, _ = stratified(data.train_labels, recipe.val_fraction)
    return len(kept)


def find_spec(options: Options, kind: type[FindSpec] = FindSpec) -> FindSpec:
    """Raises UsageError for an unknown name or an invalid value."""
    spec = made(kind, options, seeds=counted_seeds(options), recipe=recipe_of(options))
    check_find(spec)
    return spec


def compare_spec(options: Options, kind: type[CompareSpec] = CompareSpec) -> CompareSpec:
    """Raises UsageError for an unknown name or an invalid value."""
    if "budgets" in options and "time_budget" in options:
        raise UsageError("--budgets and --time-budget both set the length: give one of them")
    if options.get("race") and "seeds" in options:
        raise UsageError("--seeds: with --race, give --most-seeds instead")
    if "base_batch_size" in options and "lr_scaling" not in options:
        raise UsageError("--base-batch-size needs --lr-scaling sqrt or linear")
    if options.get("rank_lrs"):
        options = {**options, "schedule": _at_each_lr(options)}
    options = completed(options)
    several = [key for key in ("batch_size", "weight_decay") if key in options]
    plain = {**options, **{key: split(options[key])[0] for key in several}}
    recipe = recipe_of(plain)
    kept = {key for key in several if len(split(options[key])) > 1}
    arms = tuple(_arm(text, recipe, plain, kept) for text in dict.fromkeys(options.get("arm", ())))
    spec = made(kind, options, recipe=recipe, arms=arms)
    check_metric(spec.metric, recipe.problem)
    if "range_test" in options:
        check_rule(spec.find, "--range-test rule=")
    find = spec.find if spec.auto else FindSpec()
    find = find.model_copy(update={"recipe": recipe})
    return spec.model_copy(update={"find": find})


def _at_each_lr(options: Options) -> list[str]:
    """The entries that `--rank-lrs` ranks: each schedule at each LR."""
    named = {key: options[key] for key in ("schedule", "lr") if key in options}
    spec = made(CompareSpec, named)
    if not spec.lrs:
        raise UsageError("--rank-lrs needs the LRs to rank: --lr 0.05,0.1")
    return [
        name if parse(name).fixed_lr else f"{name} @ {lr!r}"
        for name in spec.schedules
        for lr in spec.lrs
    ]


def extrapolating(spec: CompareSpec, size: str | None) -> CompareSpec:
    """The comparison, extrapolated to this size unless that is None."""
    fields = {**dict(spec), "extrapolate": size}
    return spec if size is None else made(CompareSpec, {}, **fields)


def _arm(text: str, plain: Recipe, options: Options, kept: set[str]) -> Arm:
    """The arm that a text describes. With another optimizer, it uses that optimizer's defaults,
    except for the options in `kept`."""
    name, settings = typed_arm(text)
    try:
        if _is_schedule(name):
            raise UsageError("a schedule has this name; choose another")
        typed = _typed(settings)
        other = {**options, **typed}
        if typed.get("optimizer", plain.optimizer) != plain.optimizer:
            own = {"momentum", "nesterov", "weight_decay", "opt"} - {*typed} - kept
            other = {key: value for key, value in other.items() if key not in own}
        recipe = recipe_of(other)
        check_arm(recipe, plain, options.get("metric", ""))
        before, after = plain.model_dump(), recipe.model_dump()
        return made(
            Arm,
            {},
            name=name,
            settings=settings,
            changes=tuple((key, after[key]) for key in after if after[key] != before[key]),
            lr=optimizers.usual_lr(recipe.optimizer) if "optimizer" in typed else None,
            **{key: typed[key] for key in OF_AN_ARM if key in typed},
        )
    except UsageError as fault:
        raise UsageError(f"--arm {name}: {fault.message}", hint=fault.hint) from None


def _is_schedule(name: str) -> bool:
    with suppress(UsageError):
        return bool(parse(name))
    return False


OF_AN_ARM = ("schedule", "lr_scaling")  # in addition to the options of a recipe


def _typed(settings: Sequence[str]) -> dict[str, Any]:
    """The options that an arm's settings stand for; `none` unsets an option."""
    known, typed = options_of(Recipe), dict[str, Any]()
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(
                f"{text!r} is not of the form key=value", hint="quote a value with spaces"
            )
        if key not in known and key not in OF_AN_ARM:
            if other := {**options_of(CompareSpec), **options_of(Host)}.get(key):
                raise UsageError(f"{key} is the same for all entries: use {other.flag}")
            hint = did_you_mean(key, [*known, *OF_AN_ARM])
            raise UsageError(f"unknown setting {key!r}", hint=hint)
        if key == "batch_size" and "," in value:
            raise UsageError(f"batch_size={value}: an arm has one", hint="write one arm for each")
        repeated = key in known and known[key].repeatable
        if key in typed and not repeated:
            raise UsageError(f"{key} is given twice")
        if value == "none" and key in known and known[key].field_default in (None, "", ()):
            value = [] if repeated else known[key].default
        typed[key] = [*typed.get(key, ()), *listed(value)] if repeated else value
    return typed


def host_of(options: Options) -> Host:
    """Raises UsageError for an invalid value, or for options that contradict each other."""
    host = made(Host, options)
    if str(options.get("jobs")) == "0":
        raise UsageError(f"--jobs 0: {ONE_JOB}")
    apart = host.jobs != 1 or host.trial_timeout_s is not None
    name = EXECUTORS.get(host.executor, option="--executor").name
    if name == "auto" and (apart or host.graph or host.at_once != 1 or "jobs" in options):
        name = "pool" if apart else "serial"
    if host.at_once != 1 and (apart or name != "serial"):
        raise UsageError("--at-once is for one process: leave out --jobs, --trial-timeout and pool")
    if host.at_once != 1 and not host.graph:
        raise UsageError("--at-once: trials share a graph; add --graph")
    if name == "serial" and apart:
        raise UsageError(
            "--executor serial takes neither --jobs nor --trial-timeout", hint="use --executor pool"
        )
    if name != "ray" and "address" in options:
        raise UsageError("--address needs --executor ray")
    jobs, at_once = host.jobs, host.at_once
    if name == "ray" and "jobs" not in options:
        jobs = 0
    elif name != "ray" and (jobs == 0 or (name == "pool" and "jobs" not in options and not apart)):
        jobs = default_threads()
    if host.graph and name == "serial" and "at_once" not in options:
        at_once = None
    return replace(host, executor=name, jobs=jobs, at_once=at_once)


def resolved_toml(spec: CompareSpec | FindSpec, given: Options) -> str:
    """TOML for `--config` that reproduces `spec`, with the `given` options of `Host`."""
    host = {key: given[key] for key in options_of(Host) if key in given and key not in ONCE}
    return to_toml({**all_options(spec), "device": "auto", **host})


def all_options(spec: CompareSpec | FindSpec) -> dict[str, Any]:
    """All options, defaults included, except those that would clash with others, such as a model
    next to a task. They give the same spec again, apart from the order of batch sizes if smaller
    ones than the first were added later."""
    recipe = spec.recipe
    silent = {*foreign(recipe.problem)}
    silent |= {name for name in ("momentum", "weight_decay") if not _is_taken(recipe, name)}
    return {
        key: typed
        for part in (recipe, spec)
        for key, option in options_of(type(part)).items()
        if part is spec or key not in silent
        if (typed := option.shown(part)) not in (None, "")
    }


def _is_taken(recipe: Recipe, name: str) -> bool:
    """True if the optimizer takes the option."""
    with suppress(UsageError):
        optimizers.check_given(recipe, (name,))
        return True
    return False
