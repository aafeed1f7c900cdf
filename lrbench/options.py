"""Options as people type them, on the command line or in a TOML file, and the specs they mean."""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from lrbench import plugins
from lrbench.engine.device import default_threads
from lrbench.errors import MachineError, UsageError
from lrbench.execute.workbench import Host
from lrbench.experiment import SWEEP_SEED, CompareSpec, Contender, FindSpec, Frozen, Recipe
from lrbench.registry import did_you_mean

Kind = TypeVar("Kind", bound=Frozen)
Options = Mapping[str, Any]

RECIPE = (
    "dataset", "model", "optimizer", "momentum", "nesterov", "weight_decay", "batch_size",
    "precision", "augment", "val_fraction", "group", "weights", "opt", "loss", "task",
    "accumulate", "clip_norm", "clip_value", "no_decay_norms", "label_smoothing", "init_from",
)  # fmt: skip
TRAINING = ("early_stop", "ema", "tta")  # what shows at an epoch's end: not in a range test
HOST = ("device", "threads", "data_dir", "download")
TRIALS = (
    "record_steps", "executor", "jobs", "trial_timeout", "max_failures", "retry_failed", "force",
)  # fmt: skip
ONCE = ("retry_failed", "force")  # meant for one call: a run does not remember them
FIND = (
    "start_lr", "end_lr", "points", "mode", "step", "rule", "window", "seeds", "seed", "verify",
    "max_stable", "val_loss", "sweep_group", "batch_sizes", "momenta",
)  # fmt: skip
COMPARE = (
    "schedule", "lr", "lr_points", "lr_factor", "tuner", "tuning_seeds", "epochs", "budgets",
    "seeds", "seed", "metric", "contender", "reference", "target_accuracy", "time_budget",
    "lr_scaling", "base_batch_size",
)  # fmt: skip
BENCH = (
    "dataset", "model", "momentum", "weight_decay", "batch_size", "precision", "device", "threads",
    "data_dir",
)  # fmt: skip

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


def merged(given: Options, config: Path | None, allowed: tuple[str, ...]) -> dict[str, Any]:
    """The options that were given, over those of the TOML file or of a run's manifest.

    Raises:
        UsageError: the file is neither, or holds a key that is no option.
        MachineError: the file cannot be read.
    """
    typed = {
        name: str(given[name]) if isinstance(given[name], Path) else given[name]
        for name in allowed
        if given.get(name) not in (None, [], ())
    }
    if config is None:
        return typed
    return {**read_config(config, allowed), **typed}


def read_config(path: Path, allowed: tuple[str, ...]) -> dict[str, Any]:
    """The options of a TOML file, or those that repeat the run of a `manifest.json`."""
    try:
        text = path.read_text(encoding="utf-8")
        found = _of_manifest(text, path) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as fault:
        raise MachineError(f"--config {path}: {(fault.strerror or str(fault)).lower()}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise UsageError(f"--config {path}: {fault}") from None
    options = {key.replace("-", "_"): value for key, value in found.items()}
    for key in options:
        if key not in allowed:
            raise UsageError(
                f"--config {path}: unknown key {key!r}", hint=did_you_mean(key, allowed)
            )
    return options


def _of_manifest(text: str, path: Path) -> dict[str, Any]:
    """The options of a run; where it was sized to a time budget, the size that it was given."""
    try:
        manifest = json.loads(text)
        options, experiment = dict(manifest["options"]), manifest["experiment"]
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"--config {path}: it is not the manifest of a run") from None
    if options.pop("time_budget", None) is not None:
        options |= {name: experiment[name] for name in SIZE}
    return options


SIZE = ("epochs", "lr_points", "seeds", "tuning_seeds")


def to_toml(options: Options) -> str:
    """The options as TOML; strings of JSON are strings of TOML, but for what is no ASCII."""

    def value_of(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")

    return "".join(
        f"{name} = {value_of(value)}\n" for name, value in options.items() if value is not None
    )


def recipe_of(options: Options) -> Recipe:
    """Raises UsageError: an unknown name, or a value that cannot be meant."""
    fields = {name: options[name] for name in (*RECIPE, *TRAINING) if name in options}
    fields["groups"] = tuple(_listed(fields.pop("group", ())))
    fields["optimizer_options"] = tuple(_listed(fields.pop("opt", ())))
    if "batch_size" in fields:
        fields["batch_size"], *more = batch_sizes(fields["batch_size"], options)
        if more:
            raise UsageError("--batch-size: several are compared by lrbench compare only")
    if fields.get("task"):
        fields |= _without_images(options)
    if fields.get("init_from"):
        fields["init_digest"] = file_digest(fields["init_from"], "--init-from")
    recipe = _valid(Recipe, fields)
    check_names(recipe)
    check_given(recipe, options)
    return recipe


# What only an image classification has.
IMAGES = (
    "dataset", "model", "augment", "weights", "loss", "val_fraction", "label_smoothing", "tta",
    "init_from",
)  # fmt: skip


def _without_images(options: Options) -> dict[str, str]:
    """Raises UsageError: options of an image classification beside a task."""
    clash = next((name for name in IMAGES if name in options), None)
    if clash is not None:
        option = "--" + clash.replace("_", "-")
        raise UsageError(f"{option}: a --task brings its own; leave one of the two out")
    return {"dataset": "", "model": ""}


def check_given(recipe: Recipe, options: Options) -> None:
    """Refuse options that were given and would change nothing."""
    from lrbench import optimizers

    optimizers.check_given(recipe, options)


def check_names(recipe: Recipe) -> None:
    """Refuse names that nobody knows, and a batch that no epoch can hold, without torch."""
    from lrbench import models, optimizers
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
    if recipe.label_smoothing and recipe.loss:
        raise UsageError("--label-smoothing belongs to cross-entropy; a --loss smooths by itself")


def find_spec(options: Options) -> FindSpec:
    """Raises UsageError: a value that cannot be meant."""
    fields = {name: options[name] for name in FIND if name in options}
    count, first = (
        _count(fields.pop("seeds", 3)),
        _count(fields.pop("seed", 0), least=0, name="seed"),
    )
    if "rule" in fields:
        from lrbench.rangetest.rules import get_rule

        get_rule(fields["rule"])
    for name in ("batch_sizes", "momenta"):
        if name in fields:
            fields[name] = _numbers(fields[name], name)
    spec = _valid(
        FindSpec, {**fields, "recipe": recipe_of(options), "seeds": range(first, first + count)}
    )
    if spec.start_lr >= spec.end_lr:
        raise UsageError(f"--start-lr {spec.start_lr:g} must lie below --end-lr {spec.end_lr:g}")
    check_find(spec)
    return spec


def check_find(spec: FindSpec) -> None:
    """Refuse, without torch, a group that cannot be swept alone and cells that cannot be trained.

    Raises:
        UsageError: as said.
    """
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
        fields["schedules"] = tuple(_listed(fields.pop("schedule")))
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
    if fields.get("lr_scaling") == "none":
        fields["lr_scaling"] = ""
    sizes = batch_sizes(options.get("batch_size", Recipe().batch_size), options)
    recipe = recipe_of({**options, "batch_size": sizes[0]})
    fields["batch_sizes"] = sizes if len(sizes) > 1 else ()
    find = fields.get("find", FindSpec()).model_copy(update={"recipe": recipe})
    return _valid(CompareSpec, {**fields, "recipe": recipe, "find": find})


def host_of(options: Options) -> Host:
    """Raises UsageError: a device or a number of threads that cannot be meant."""
    names = [name for name in (*HOST, *TRIALS) if name != "executor"]
    fields = {name: options[name] for name in names if name in options}
    for name, most in (("threads", 1024), ("jobs", 1024), ("max_failures", 2**31 - 1)):
        if name in fields:
            fields[name] = _count(fields[name], most=most, name=name.replace("_", "-"))
    if "trial_timeout" in fields:
        timeout = fields.pop("trial_timeout")
        fields["trial_timeout_s"] = duration_s(timeout, "trial-timeout")
    elif options.get("executor") == "pool":
        fields.setdefault("jobs", default_threads())
    if "data_dir" in fields:
        fields["data_dir"] = Path(fields["data_dir"]).expanduser()
    device = fields.get("device", "auto")
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", str(device)):
        raise UsageError(f"--device {device}: choose auto, cpu, cuda or cuda:N")
    return Host(**fields)


def executor_of(options: Options) -> str:
    """Where trials run: processes of their own where more than one is wanted at a time, or where
    one may have to be ended from outside.

    Raises:
        UsageError: there is no such executor.
    """
    from lrbench.execute import EXECUTORS

    apart = options.get("jobs", 1) != 1 or "trial_timeout" in options
    name = options.get("executor", "pool" if apart else "serial")
    EXECUTORS.get(name, option="--executor")
    if name == "serial" and apart:
        raise UsageError(
            "--executor serial takes neither --jobs nor --trial-timeout", hint="use --executor pool"
        )
    return str(name)


def learning_rates(value: Any) -> tuple[float, ...]:
    """`auto` is no learning rate at all: the range test's; otherwise the numbers, rising.

    >>> learning_rates("0.2,0.1")
    (0.1, 0.2)
    """
    parts = _listed(value if not isinstance(value, str) else value.split(","))
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

    names = dict.fromkeys(_listed(value))
    return tuple(Contender(optimizer=name, lr=check_contender(name)) for name in names)


def budgets_of(value: Any, epochs: int) -> tuple[int, ...]:
    """Numbers of epochs, rising, from shares of the whole training or from numbers.

    >>> budgets_of("25%,50%,100%", 20), budgets_of([5, 10], 20)
    ((5, 10, 20), (5, 10))

    Raises:
        UsageError: something else, or a share of less than an epoch.
    """
    found = set()
    for part in _listed(value.split(",") if isinstance(value, str) else value):
        text = str(part).strip()
        try:
            exact = epochs * float(text[:-1]) / 100 if text.endswith("%") else float(text)
            whole = int(exact + 0.5)
        except (ValueError, OverflowError, TypeError):
            raise UsageError(
                f"--budgets {value}: give shares such as 25%,50%,100%, or numbers of epochs"
            ) from None
        if whole < 1 or (not text.endswith("%") and whole != exact):
            raise UsageError(f"--budgets {text}: that is {exact:g} of an epoch; give whole ones")
        found.add(whole)
    return tuple(sorted(found))


def batch_sizes(value: Any, options: Options | None = None) -> tuple[int, ...]:
    """The numbers; `all` is the size of the whole training split, which is read for that.

    >>> batch_sizes(128), batch_sizes("64,128")
    ((128,), (64, 128))

    Raises:
        UsageError: no whole numbers of at least 1.
        MachineError: the dataset is not there.
    """
    parts = _listed(value.split(",") if isinstance(value, str) else value)
    parts = [_whole_split(options or {}) if part == "all" else part for part in parts]
    try:
        found = tuple(dict.fromkeys(int(str(part).strip()) for part in parts))
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise UsageError(f"--batch-size {value}: give whole numbers of at least 1, or all")
    return found


def _numbers(value: Any, name: str) -> tuple[float, ...]:
    """The numbers of a list, or of a text with commas."""
    parts = _listed(value.split(",") if isinstance(value, str) else value)
    try:
        return tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        option = name.replace("_", "-")
        raise UsageError(f"--{option} {value}: give numbers with commas") from None


def _whole_split(options: Options) -> int:
    """How many images a training really trains on."""
    from lrbench.data import load
    from lrbench.data.split import stratified

    if options.get("task"):
        raise UsageError("--batch-size all: only the --task knows its samples; name the number")
    host, default = host_of(options), Recipe()
    data = load(options.get("dataset", default.dataset), host.data_dir, host.download)
    fraction = options.get("val_fraction", default.val_fraction)
    kept, _ = stratified(data.train_labels, float(fraction))
    return len(kept)


def file_digest(path: str, option: str) -> str:
    """The start of a file's SHA-256.

    Raises:
        MachineError: it cannot be read.
    """
    try:
        with Path(path).expanduser().open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as fault:
        raise MachineError(f"{option} {path}: {(fault.strerror or str(fault)).lower()}") from None


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


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple, range)) else [value]


def _count(value: Any, *, least: int = 1, most: int = 2**31 - 1, name: str = "seeds") -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"--{name} {value}: must be a whole number from {least} to {most:,}")
    return value


def _valid(kind: type[Kind], fields: Mapping[str, Any]) -> Kind:
    try:
        return kind(**fields)
    except ValidationError as fault:
        raise _usage(fault) from None


def _usage(fault: ValidationError) -> UsageError:
    """The first thing that is wrong, in one line that names the option."""
    first = fault.errors()[0]
    cause = first.get("ctx", {}).get("error")
    words = str(cause) if cause is not None else first["msg"]
    words = words.replace("Input should be", "must be").splitlines()[0]
    if not first["loc"]:
        named = ("reference", "contender", "lr-scaling")
        return UsageError(f"--{words}" if words.startswith(named) else words)
    field = str(first["loc"][0])
    option = "--" + FIELD_OPTIONS.get(field, field).replace("_", "-")
    if isinstance(cause, UsageError):
        return UsageError(f"{option}: {cause.message}", hint=cause.hint)
    return UsageError(f"{option} {first['input']}: {words}")
