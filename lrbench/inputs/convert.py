"""Options to the specs that they mean, and specs back to all their options."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from lrbench import optimizers
from lrbench.engine.device import default_threads
from lrbench.errors import UsageError
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
from lrbench.inputs.commands import FIND, ONCE, own_defaults, to_toml
from lrbench.options import (
    Arm,
    CompareSpec,
    FindSpec,
    Host,
    Options,
    Recipe,
    batch_sizes,
    listed,
    numbers,
    options_of,
    problem_of,
    refuse_schedule_name,
    refused,
    typed_arm,
)
from lrbench.registry import did_you_mean

Kind = TypeVar("Kind")


def fields_of(kind: type, options: Options) -> dict[str, Any]:
    """The fields of a spec that options set. Raises UsageError: an invalid value."""
    fields = {}
    for key, option in options_of(kind).items():
        if key in options:
            fields[option.field] = option.read(options)
    return fields


def made(kind: type[Kind], fields: Mapping[str, Any]) -> Kind:
    """The spec of these fields; a UsageError names the first invalid option."""
    try:
        return kind(**fields)
    except ValidationError as fault:
        flags = {option.field: option.flag for option in options_of(kind).values()}
        raise refused(fault, flags) from None


def recipe_of(options: Options) -> Recipe:
    """Raises UsageError: an unknown name, or an invalid value."""
    options = _with_batch_size(options)
    fields = {
        key: value for key, value in own_defaults(options).items() if key in options_of(Recipe)
    } | fields_of(Recipe, options)
    problem = problem_of(fields.get("task"), fields.get("dataset"))
    check_problem(options, problem)
    if problem == "task":
        fields |= {"dataset": "", "model": ""}
    if fields.get("init_from"):
        fields["init_digest"] = _file_digest(fields["init_from"], "--init-from")
    recipe = made(Recipe, fields)
    check_recipe(recipe, options)
    return recipe


def find_spec(options: Options, kind: type[FindSpec] = FindSpec) -> FindSpec:
    """Raises UsageError: an unknown name, or an invalid value."""
    fields = fields_of(kind, {"seeds": FIND["seeds"].default, **options})  # from --seed on
    spec = made(kind, {**fields, "recipe": recipe_of(options)})
    check_find(spec)
    return spec


def compare_spec(options: Options, kind: type[CompareSpec] = CompareSpec) -> CompareSpec:
    """Raises UsageError: an unknown name, or an invalid value."""
    if "budgets" in options and "time_budget" in options:
        raise UsageError("--budgets and --time-budget set the length: give one of them")
    if options.get("race") and "seeds" in options:
        raise UsageError("--seeds: a race has its seeds from --most-seeds")
    if "base_batch_size" in options and "lr_scaling" not in options:
        raise UsageError("--base-batch-size needs --lr-scaling sqrt or linear")
    options = _with_batch_size(options)
    fields = {**_own_metric(options), **fields_of(kind, options)}
    if sizes := fields.get("batch_sizes"):
        options = {**options, "batch_size": sizes[0]}
    decays = fields.get("weight_decays", ())
    if "weight_decay" in options:
        options = {**options, "weight_decay": numbers(options["weight_decay"])[0]}
    recipe = recipe_of(options)
    metric = fields.get("metric", kind.model_fields["metric"].default)
    check_metric(metric, recipe.problem)
    fields["arms"] = tuple(
        _arm(text, recipe, options, metric, decays)
        for text in dict.fromkeys(fields.get("arms", ()))
    )
    if "range_test" in options:
        check_rule(fields["find"], "--range-test rule=")
    find = FindSpec() if fields.get("lrs") else fields.get("find", FindSpec())
    return made(
        kind, {**fields, "recipe": recipe, "find": find.model_copy(update={"recipe": recipe})}
    )


def _own_metric(options: Options) -> dict[str, Any]:
    return {key: value for key, value in own_defaults(options).items() if key == "metric"}


def extrapolating(spec: CompareSpec, size: str | None) -> CompareSpec:
    """The same comparison, asked for the best LR at this size too."""
    if size is None:
        return spec
    return made(CompareSpec, {**dict(spec), **fields_of(CompareSpec, {"extrapolate": size})})


def _arm(text: str, plain: Recipe, options: Options, metric: str, decays: Sequence[float]) -> Arm:
    """The arm that a text names, next to the recipe of the options. Another optimizer has its own
    defaults, but for the weight `decays` that are tuned for all."""
    name, settings = typed_arm(text)
    refuse_schedule_name(name)
    try:
        typed = _typed(settings)
        own: dict[str, Any] = {
            key: typed.pop(key) for key in ("schedule", "lr_scaling") if key in typed
        }
        other = {**options, **typed}
        if typed.get("optimizer", plain.optimizer) != plain.optimizer:
            of_the_other = {"momentum", "nesterov", "weight_decay", "opt"} - {*typed}
            of_the_other -= {"weight_decay"} if decays else set()
            other = {key: value for key, value in other.items() if key not in of_the_other}
        recipe = recipe_of(other)
        check_arm(recipe, plain, metric)
        before, after = plain.model_dump(), recipe.model_dump()
        return made(
            Arm,
            {
                "name": name,
                "settings": settings,
                "changes": tuple((key, after[key]) for key in after if after[key] != before[key]),
                "lr": optimizers.usual_lr(recipe.optimizer) if "optimizer" in typed else None,
                **own,
            },
        )
    except UsageError as fault:
        raise UsageError(f"--arm {name}: {fault.message}", hint=fault.hint) from None


def _typed(settings: Sequence[str]) -> dict[str, Any]:
    """The options that an arm's settings stand for; `none` for the absent one."""
    known, typed = options_of(Recipe), dict[str, Any]()
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(
                f"{text!r} is not of the form key=value", hint="put quotes around a value of words"
            )
        if key not in known and key not in ("schedule", "lr_scaling"):
            if key in {**options_of(CompareSpec), **options_of(Host)}:
                raise UsageError(f"{key} is the same for all that is ranked: --{key}")
            hint = did_you_mean(key, [*known, "schedule", "lr_scaling"])
            raise UsageError(f"unknown setting {key!r}", hint=hint)
        if key == "batch_size" and "," in value:
            raise UsageError(f"batch_size={value}: an arm has one", hint="write an arm for each")
        repeated = key in known and known[key].repeatable
        if key in typed and not repeated:
            raise UsageError(f"{key} is given twice")
        if value == "none" and key in known and known[key].field_default in (None, "", ()):
            value = [] if repeated else known[key].default
        typed[key] = [*typed.get(key, ()), *listed(value)] if repeated else value
    return typed


def host_of(options: Options) -> Host:
    """Raises UsageError: an invalid value, or options that contradict each other."""
    from lrbench.execute import EXECUTORS

    fields = fields_of(Host, options)
    host = made(Host, fields)
    apart = host.jobs != 1 or host.trial_timeout_s is not None
    name = options.get("executor", "auto")
    EXECUTORS.get(name, option="--executor")
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
        raise UsageError("--address belongs to --executor ray")
    found: dict[str, Any] = {"executor": name}
    if name == "ray":
        found["jobs"] = fields.get("jobs", 0)
    elif host.jobs == 0 or (name == "pool" and not apart and "jobs" not in options):
        found["jobs"] = default_threads()
    if host.graph and name == "serial" and "at_once" not in options:
        found["at_once"] = None
    return replace(host, **found)


def _file_digest(path: str, flag: str) -> str:
    """The start of a file's SHA-256; raises MachineError if it cannot be read."""
    return hashlib.sha256(read_file(Path(path).expanduser(), flag)).hexdigest()[:16]


def _with_batch_size(options: Options) -> Options:
    """The options with the dataset's own batch size where none is given, and with the number that
    `--batch-size all` means."""
    typed = options.get("batch_size")
    if typed is None:
        own = own_defaults(options).get("batch_size")
        return {**options, "batch_size": own} if own else options
    parts = typed.split(",") if isinstance(typed, str) else listed(typed)
    if "all" not in parts:
        return options
    try:
        batch_sizes([part for part in parts if part != "all"] or 1)
    except ValueError as fault:
        raise UsageError(f"--batch-size {typed}: {fault}") from None
    size = _whole_split(options)
    return {**options, "batch_size": [size if part == "all" else part for part in parts]}


def _whole_split(options: Options) -> int:
    """How many images a training really trains on; reads the dataset."""
    from lrbench.data import load
    from lrbench.data.split import stratified

    problem = problem_of(options.get("task"), options.get("dataset"))
    if problem == "task":
        raise UsageError("--batch-size all: only the --task knows its samples; name the number")
    if problem == "text":
        raise UsageError("--batch-size all: it is for images; name the number of windows")
    recipe, host = made(Recipe, fields_of(Recipe, {**options, "batch_size": 1})), host_of(options)
    data = load(recipe.dataset, host.data_dir, host.download)
    kept, _ = stratified(data.train_labels, recipe.val_fraction)
    return len(kept)


def resolved_toml(spec: CompareSpec | FindSpec, given: Options) -> str:
    """A file for `--config` that means `spec` again, with what was `given` of where it runs."""
    host = {key: given[key] for key in options_of(Host) if key in given and key not in ONCE}
    return to_toml({**all_options(spec), "device": "auto", **host})


def all_options(spec: CompareSpec | FindSpec) -> dict[str, Any]:
    """All options, defaults included: read again they give the spec, unless it has grown by batch
    sizes below its first, which is named first here. Options that would be refused next to others,
    such as a model next to a task, are left out."""
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
    """Whether the optimizer takes what the option sets."""
    try:
        optimizers.check_given(recipe, (name,))
    except UsageError:
        return False
    return True
