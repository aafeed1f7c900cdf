"""A comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lrbench.errors import UsageError
from lrbench.experiment.find import FindSpec
from lrbench.experiment.recipe import Recipe
from lrbench.experiment.values import (
    BatchSize,
    Epochs,
    Finite,
    Fraction,
    Frozen,
    Positive,
    Schedules,
    Seed,
    canonical,
    digest,
)

TUNING_SEED = 1_000_003
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


# What a time budget decides.
SIZE = ("epochs", "lr_points", "seeds", "tuning_seeds")


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
    reference: str | None = None
    target_accuracy: Fraction | None = None
    time_budget_s: Positive | None = None
    find: FindSpec = FindSpec()

    @model_validator(mode="after")
    def _consistent(self) -> CompareSpec:
        if self.reference is not None and self.reference not in self.entrants:
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
        if older.recipe.batch_size in self.batch_sizes:
            return self._at(older.recipe.batch_size)._joined_with(older)
        return self._joined_with(older)

    def _at(self, batch_size: int) -> CompareSpec:
        """The same comparison, another of its batch sizes named first."""
        find = self.find.model_copy(
            update={"recipe": self.find.recipe.model_copy(update={"batch_size": batch_size})}
        )
        return self.model_copy(update={"recipe": self.recipe_at(batch_size), "find": find})

    def _joined_with(self, older: CompareSpec) -> CompareSpec:
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
    """`--option old -> new` for each leaf that differs between two nested mappings; a field that
    is off differs from none at all as little as in an identity: older runs lack newer fields."""
    found = []
    for key in new:
        if key not in old and canonical({key: new[key]}) == "{}":
            continue
        before, after = old.get(key), new[key]
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after)
        elif before != after:
            found.append(
                f"--{OPTIONS.get(key, key.replace('_', '-'))} {said(before)} -> {said(after)}"
            )
    return found


# The options behind fields of another name.
OPTIONS = {
    "batch_sizes": "batch-size", "contenders": "contender", "groups": "group", "halving": "tuner",
    "lrs": "lr", "optimizer_options": "opt", "schedules": "schedule",
    "time_budget_s": "time-budget",
}  # fmt: skip


def said(value: Any) -> str:
    """A field's value as people would type it.

    >>> said([64, 128]), said(None), said(True)
    ('64,128', 'none', 'on')
    """
    if isinstance(value, (list, tuple)):
        return ",".join(map(said, value)) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value in (None, "") else str(value)
