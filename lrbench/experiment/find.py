"""A range test."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from lrbench.experiment.recipe import Recipe
from lrbench.experiment.values import BatchSize, Frozen, Momentum, Positive, Seed, digest

SWEEP_SEED = 2_000_003


def _once_each(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sorted(set(values)))


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
    rule: str = "steepest"
    window: Positive = 1.0
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (
        SWEEP_SEED,
        SWEEP_SEED + 1,
        SWEEP_SEED + 2,
    )
    verify: bool | None = None
    verify_steps: Annotated[int, Field(ge=8)] = 64
    verify_seeds: Annotated[int, Field(ge=1)] = 3
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
