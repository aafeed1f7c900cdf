"""What is asked for: frozen, validated, with a canonical text and a fingerprint."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from lrbench.early_stop import EarlyStop
from lrbench.errors import UsageError
from lrbench.plugins import is_own
from lrbench.schedules import Schedule as ParsedSchedule
from lrbench.schedules import parse, stretched

TUNING_SEED = 1_000_003
SWEEP_SEED = 2_000_003


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _default_or_own(text: str) -> str:
    if text not in ("default", "none") and not is_own(text):
        raise ValueError("must be default, none or module:function")
    return text


def _settings(texts: tuple[str, ...]) -> tuple[str, ...]:
    keys = [text.partition("=")[0].strip() for text in texts]
    for key, text in zip(keys, texts, strict=True):
        if "=" not in text or not key.isidentifier():
            raise UsageError(f"{text!r} is not of the form key=value")
        if keys.count(key) > 1:
            raise UsageError(f"{key} is given twice")
    return tuple(sorted(texts))


def _early_stop(text: str) -> str:
    return str(EarlyStop.parse(text)) if text else ""


Finite = Annotated[float, AfterValidator(_finite)]
Positive = Annotated[Finite, Field(gt=0)]
Fraction = Annotated[Finite, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Epochs = Annotated[int, Field(ge=1, le=100_000)]
BatchSize = Annotated[int, Field(ge=1)]
Momentum = Annotated[Finite, Field(ge=0, lt=1)]
Schedule = Annotated[str, AfterValidator(lambda text: str(parse(text)))]
Schedules = Annotated[
    tuple[Schedule, ...],
    Field(min_length=1, validate_default=True),
    AfterValidator(lambda names: tuple(dict.fromkeys(names))),
]


def _once_each(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sorted(set(values)))


class Frozen(BaseModel):
    """A value: it does not change, refuses unknown fields, and has one canonical text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def canonical(self) -> str:
        """The text that identities are hashes of: equal values have equal texts."""
        return canonical(self.model_dump(mode="json"))


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces, without what is off (None, False or empty).

    A field that is off by default can thus be added later, and older values keep their text.

    >>> canonical({"lr": 0.1, "clip_norm": None, "groups": []})
    '{"lr":0.1}'
    """
    return json.dumps(_without_off(value), sort_keys=True, separators=(",", ":"))


def _without_off(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    kept = {key: _without_off(part) for key, part in value.items()}
    return {key: part for key, part in kept.items() if part or (part == 0 and part is not False)}


def digest(text: str, length: int = 12) -> str:
    """The first `length` hexadecimal characters of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


class Recipe(Frozen):
    """All that fixes a training but its schedule, learning rate, seed and length.

    Where there is a `task`, that is the problem, and there is no dataset and no model here.
    """

    dataset: str = "mnist5k"
    model: str = "lenet"
    optimizer: str = "sgd"
    momentum: Momentum = 0.9
    nesterov: bool = False
    weight_decay: Annotated[Finite, Field(ge=0)] = 5e-4
    batch_size: BatchSize = 128
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    augment: Annotated[str, AfterValidator(_default_or_own)] = "default"
    val_fraction: Fraction = 0.1
    groups: tuple[str, ...] = ()
    weights: str = ""
    optimizer_options: Annotated[tuple[str, ...], AfterValidator(_settings)] = ()
    loss: str = ""
    task: str = ""
    accumulate: Annotated[int, Field(ge=1)] | None = None
    clip_norm: Positive | None = None
    clip_value: Positive | None = None
    no_decay_norms: bool = False
    label_smoothing: Fraction | None = None
    ema: Fraction | None = None
    tta: Literal["", "flip"] = ""
    early_stop: Annotated[str, AfterValidator(_early_stop)] = ""
    init_from: str = ""
    init_digest: str = ""

    @model_validator(mode="before")
    @classmethod
    def _off(cls, fields: Any) -> Any:
        """One micro-batch a step and no smoothing are what there is without the option."""
        if not isinstance(fields, Mapping):
            return fields
        off = {"accumulate": 1, "label_smoothing": 0}
        return {key: None if off.get(key) == value else value for key, value in fields.items()}

    @property
    def micro_batches(self) -> int:
        """Batches whose gradients make one optimizer step."""
        return self.accumulate or 1

    @property
    def effective_batch(self) -> int:
        """Samples that one optimizer step sees."""
        return self.batch_size * self.micro_batches

    @property
    def title(self) -> str:
        """What is trained on what."""
        return self.task or f"{self.model} on {self.dataset}"


class TrialSpec(Frozen):
    """One training run, fully named: two equal specs mean the same training.

    `lr_reference` is the LR at which absolute LRs of parameter groups hold; at another LR they
    are scaled with it. `stretch` is this training's length as a share of the one that the
    schedules were written for, where that is another. A `contender` stands for its optimizer.
    """

    recipe: Recipe
    schedule: str
    lr: Positive
    seed: Seed
    stage: Literal["tune", "final"]
    epochs: Epochs
    lr_reference: Positive | None = None
    stretch: Positive | None = None
    contender: bool = False

    @property
    def name(self) -> str:
        """What the ranking calls it: the schedule, or the optimizer of a contender."""
        return self.recipe.optimizer if self.contender else self.schedule

    @property
    def id(self) -> str:
        return digest(self.canonical())

    def trained(self, schedule: str) -> ParsedSchedule:
        """A schedule as this trial trains it: on its own budget.

        Raises:
            UsageError: it cannot be stretched to that.
        """
        parsed = parse(schedule)
        return parsed if self.stretch is None else stretched(parsed, self.stretch)


class FindSpec(Frozen):
    """A range test: `points` learning rates from `start_lr` to `end_lr`, once for each seed.

    `window` is the smoothing's width in decades; a point of the curve is a batch, or an epoch.
    `verify` trains `verify_steps` steps at constant learning rates around the suggestion, from
    the weights of `verify_seeds` seeds, and `max_stable` looks for the largest stable one; None
    for either means where that is cheap. With `val_loss` the curve is that of a fixed part of the
    validation data. `sweep_group` sweeps one parameter group, by pattern or number, while the
    others stay at their absolute learning rates. `batch_sizes` and `momenta` make a table of
    further range tests, one for each pair.
    """

    recipe: Recipe = Recipe()
    start_lr: Positive = 1e-6
    end_lr: Positive = 10.0
    points: Annotated[int, Field(ge=2, le=100_000)] = 100
    mode: Literal["exp", "linear"] = "exp"
    step: Literal["batch", "epoch"] = "batch"
    rule: Literal["steepest", "valley", "minimum", "slide"] = "steepest"
    window: Positive = 1.0
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (
        SWEEP_SEED,
        SWEEP_SEED + 1,
        SWEEP_SEED + 2,
    )
    verify: bool | None = None
    verify_steps: Annotated[int, Field(ge=8)] = 64
    verify_seeds: Annotated[int, Field(ge=1)] = 2
    max_stable: bool | None = None
    val_loss: bool = False
    sweep_group: str | None = None
    batch_sizes: Annotated[tuple[BatchSize, ...], AfterValidator(_once_each)] = ()
    momenta: Annotated[tuple[Momentum, ...], AfterValidator(_once_each)] = ()

    @property
    def cells(self) -> tuple[Recipe, ...]:
        """The recipes of the table: each batch size with each momentum; none unasked."""
        if not self.batch_sizes and not self.momenta:
            return ()
        return tuple(
            self.recipe.model_copy(update={"batch_size": size, "momentum": momentum})
            for momentum in self.momenta or (self.recipe.momentum,)
            for size in self.batch_sizes or (self.recipe.batch_size,)
        )

    @property
    def id(self) -> str:
        return digest(self.canonical())


Metric = Literal[
    "test_accuracy", "test_loss", "val_accuracy", "val_loss", "test_balanced_accuracy",
    "val_balanced_accuracy",
]  # fmt: skip

DEFAULT_SCHEDULES = (
    "constant",
    "step",
    "cosine",
    "linear",
    "warmup(5%) + cosine",
    "onecycle",
)


class Cell(Frozen):
    """One ranking: all schedules under one recipe, for one number of epochs. `stretch` is that
    number as a share of the one that the schedules are written for, None where it is that."""

    recipe: Recipe
    epochs: int
    stretch: Positive | None = None


class Contender(Frozen):
    """An optimizer that is ranked beside the schedules, at a constant learning rate. `lr` centres
    its grid, where the optimizer has a usual one; None: a range test of its own does."""

    optimizer: str
    lr: Positive | None = None

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe under which it is trained: the comparison's, but for the optimizer."""
        own = {"optimizer": self.optimizer, "nesterov": False, "optimizer_options": ()}
        return recipe.model_copy(update=own)


class CompareSpec(Frozen):
    """A comparison: each schedule, its LR tuned on validation data, over the same seeds.

    The schedules are written for `epochs`; `budgets` are the numbers of epochs that they are
    stretched to, and `batch_sizes` the batch sizes of the recipe, each with a ranking of its own.
    Schedules, seeds, tuning seeds, learning rates, budgets and batch sizes may grow: a larger spec
    reuses the trials of a smaller one.
    """

    recipe: Recipe = Recipe()
    schedules: Schedules = DEFAULT_SCHEDULES
    epochs: Epochs = 2
    budgets: tuple[Epochs, ...] = ()
    batch_sizes: tuple[BatchSize, ...] = ()
    contenders: tuple[Contender, ...] = ()
    lrs: tuple[Positive, ...] = ()
    lr_scaling: Literal["", "sqrt", "linear"] = ""
    base_batch_size: BatchSize | None = None
    halving: bool = False
    lr_points: Annotated[int, Field(ge=1, le=1000)] = 5
    lr_factor: Annotated[Finite, Field(gt=1)] = 2.0
    tuning_seeds: Annotated[int, Field(ge=1, le=1000)] = 2
    seeds: Annotated[int, Field(ge=1, le=10_000)] = 5
    seed: Seed = 0
    metric: Metric = "test_accuracy"
    reference: Schedule | None = None
    target_accuracy: Fraction | None = None
    time_budget_s: Positive | None = None
    find: FindSpec = FindSpec()

    @model_validator(mode="after")
    def _consistent(self) -> CompareSpec:
        if self.reference is not None and self.reference not in self.schedules:
            raise ValueError(f"reference {self.reference!r} is not one of the schedules")
        if self.contenders and self.lrs:
            raise ValueError("contender needs --lr auto: its learning rates are not the schedules'")
        if self.lr_scaling and self.base_batch_size is None:
            raise ValueError(f"lr-scaling {self.lr_scaling} needs --base-batch-size")
        if self.lr_scaling and self.auto:
            raise ValueError(
                f"lr-scaling {self.lr_scaling} scales LRs that --lr names; the range test of --lr "
                "auto has its LR from this batch size already"
            )
        return self

    def lr_scale(self, recipe: Recipe) -> float:
        """What the learning rates that were named are multiplied by under a recipe: √k or k, for
        k = its effective batch over the base batch."""
        if not self.lr_scaling or self.base_batch_size is None:
            return 1.0
        times = recipe.effective_batch / self.base_batch_size
        return math.sqrt(times) if self.lr_scaling == "sqrt" else times

    @property
    def auto(self) -> bool:
        """Whether the range test sets the learning rates."""
        return not self.lrs

    @property
    def final_seeds(self) -> tuple[int, ...]:
        return tuple(range(self.seed, self.seed + self.seeds))

    @property
    def all_tuning_seeds(self) -> tuple[int, ...]:
        """The seeds that choose learning rates: far from the final ones."""
        first = TUNING_SEED + self.seed
        return tuple(range(first, first + self.tuning_seeds))

    @property
    def entrants(self) -> tuple[str, ...]:
        """All that is ranked, by name: schedules, then contenders."""
        return (*self.schedules, *(each.optimizer for each in self.contenders))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """What is ranked: for each batch size, each budget, the longest first."""
        return tuple(
            Cell(recipe=self.recipe_at(size), epochs=epochs, stretch=self._share(epochs))
            for size in self.batch_sizes or (self.recipe.batch_size,)
            for epochs in sorted(self.budgets or (self.epochs,), reverse=True)
        )

    def recipe_at(self, batch_size: int) -> Recipe:
        return self.recipe.model_copy(update={"batch_size": batch_size})

    def _share(self, epochs: int) -> float | None:
        return None if epochs == self.epochs else epochs / self.epochs

    def range_test(self, recipe: Recipe) -> FindSpec:
        """The range test that centres a recipe's grid of learning rates."""
        return self.find.model_copy(update={"recipe": recipe, "max_stable": False})

    def fixed_part(self) -> dict[str, Any]:
        """What may not change within one run directory."""
        growing = {
            "schedules", "lrs", "seeds", "tuning_seeds", "budgets", "batch_sizes", "contenders",
            "reference", "target_accuracy",
        }  # fmt: skip
        if not self.auto:
            growing |= {"lr_points", "lr_factor", "find"}
        return {**self.model_dump(mode="json", exclude=growing), "auto": self.auto}

    @property
    def fingerprint(self) -> str:
        return digest(canonical(self.fixed_part()), 64)

    def grown_from(self, older: CompareSpec) -> CompareSpec:
        """This spec with the schedules, seeds and learning rates of an older one added.

        Raises:
            UsageError: something else differs; the message names it.
        """
        mine, theirs = self.fixed_part(), older.fixed_part()
        changed = differences(theirs, mine)
        if changed:
            raise UsageError(
                "this run was made with another experiment: " + ", ".join(changed),
                hint="choose another folder with --out, or repeat the old options",
            )
        return self.model_copy(
            update={
                "schedules": tuple(dict.fromkeys((*older.schedules, *self.schedules))),
                "contenders": tuple(dict.fromkeys((*older.contenders, *self.contenders))),
                "lrs": tuple(sorted({*older.lrs, *self.lrs})),
                "seeds": max(older.seeds, self.seeds),
                "tuning_seeds": max(older.tuning_seeds, self.tuning_seeds),
                "budgets": joined(older.budgets, self.budgets, (self.epochs,)),
                "batch_sizes": joined(
                    older.batch_sizes, self.batch_sizes, (self.recipe.batch_size,)
                ),
            }
        )


def joined(old: tuple[int, ...], new: tuple[int, ...], silent: tuple[int, ...]) -> tuple[int, ...]:
    """The values of both, where none at all means `silent`; none at all where both say nothing.

    >>> joined((), (5,), (10,)), joined((), (), (10,))
    ((5, 10), ())
    """
    return tuple(sorted({*(old or silent), *(new or silent)})) if old or new else ()


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """`--option old -> new` for each leaf that differs between two nested mappings."""
    found = []
    for key in new:
        before, after = old.get(key), new[key]
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after)
        elif before != after:
            found.append(f"--{key.replace('_', '-')} {before} -> {after}")
    return found
