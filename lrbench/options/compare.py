"""The spec of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from lrbench.errors import UsageError
from lrbench.options.arm import Arm, Scaling, check_arms, entered, scaled
from lrbench.options.find import FindSpec, range_test_text, with_range_test
from lrbench.options.option import Opt
from lrbench.options.recipe import BATCH_SIZES, WEIGHT_DECAYS, Cell, Recipe
from lrbench.options.values import (
    EPOCHS,
    BatchSize,
    Duration,
    Epochs,
    Finite,
    Fraction,
    Frozen,
    OneSize,
    Positive,
    Schedules,
    Seed,
    SeveralDecays,
    SeveralSizes,
    aim_of,
    canonical,
    differences,
    digest,
    epoch_budgets,
    joined,
    learning_rates,
)
from lrbench.schedules import parse

TUNING_SEED = 1_000_003
Metric = Literal[
    "test_accuracy", "test_loss", "val_accuracy", "val_loss", "test_balanced_accuracy",
    "val_balanced_accuracy", "test_bits", "val_bits",
]  # fmt: skip
DEFAULT_SCHEDULES = (
    "constant",
    "step",
    "cosine",
    "warmup(5%) + cosine",
    "onecycle",
)
SIZE = ("epochs", "lr_points", "seeds", "tuning_seeds")
"""The fields that a time budget determines."""
ONLY_AUTO = ("lr_points", "lr_factor", "range_test")
"""The options that only --lr auto uses."""

RACE_SHARES = (0.25, 0.4, 0.6, 1.0)
FIRST_LOOK = 5
STUDY_SEEDS = 10_000


def _budgets(value: Any, info: ValidationInfo) -> tuple[int, ...]:
    return epoch_budgets(value, info.data.get("epochs", EPOCHS))


def _range_test(typed: Any) -> Any:
    return with_range_test(typed, FindSpec()) if isinstance(typed, str) else typed


def _canonical_name(value: str | None, info: ValidationInfo) -> str | None:
    """The name in the ranking: an arm's, or a schedule's canonical text."""
    arms = {arm.name for arm in info.data.get("arms", ())}
    is_arm = value in arms or any(str(value).startswith(f"{name}: ") for name in arms)
    return value if value is None or is_arm else str(parse(value))


def _is_halving(value: Any) -> Any:
    if value not in ("grid", "halving", True, False):
        raise ValueError("choose grid or halving")
    return value in ("halving", True)


def _every_batch_size(spec: CompareSpec) -> str | None:
    sizes = dict.fromkeys((spec.recipe.batch_size, *spec.batch_sizes))
    return joined(sizes) if spec.batch_sizes else None


class CompareSpec(Frozen):
    """A comparison: schedules trained over the same seeds, each at an LR tuned on validation data.

    Schedules are written for `epochs` and stretched to each of `budgets`, in epochs. Each budget
    and each of `batch_sizes` has its own ranking. `weight_decays` are tuned together with the LRs;
    the range test uses the recipe's. `looked` holds the numbers of final seeds at which the run was
    compared before it grew. Schedules, studies, seeds, tuning seeds, learning rates, budgets and
    batch sizes may grow: a larger spec reuses the trials of a smaller one.
    """

    PANEL: ClassVar = "Comparison"

    # fmt: off
    recipe: Recipe = Recipe()
    batch_sizes: Annotated[SeveralSizes, Opt(
        "--batch-size", "Images per batch, or all for the whole training set; several (64,128) are "
        "ranked separately.", panel="Optimizer", common=True, kind=object,
        default=Recipe().batch_size, default_note=BATCH_SIZES,
        show=lambda spec: _every_batch_size(spec)
    )] = ()
    weight_decays: Annotated[SeveralDecays, Opt(
        "--weight-decay", "Weight decay; several (1e-4,5e-4) are tuned with the LR.",
        panel="Optimizer", kind=object, default=Recipe().weight_decay, default_note=WEIGHT_DECAYS,
        show=lambda spec: joined(spec.weight_decays) or None
    )] = ()
    schedules: Annotated[Schedules, Opt(
        "--schedule -s", "A schedule, such as 'warmup(5%) + cosine'; repeatable.", common=True,
        choices="lrbench.schedules:catalogue"
    )] = DEFAULT_SCHEDULES
    lrs: Annotated[tuple[Positive, ...], BeforeValidator(learning_rates), Opt(
        "--lr", "auto (range test), one LR, or several: 0.05,0.1.", common=True, kind=object,
        default="auto", show=lambda spec: joined(spec.lrs) or "auto"
    )] = ()
    rank_lrs: Annotated[bool, Opt(
        "--rank-lrs", "Skip tuning: rank each schedule at each LR of --lr, like 'cosine @ 0.1'."
    )] = False
    lr_points: Annotated[int, Field(ge=1, le=1000), Opt(
        "--lr-points", "LRs tried per schedule with --lr auto."
    )] = 3
    lr_factor: Annotated[Finite, Field(gt=1), Opt(
        "--lr-factor", "Ratio of neighbouring LRs."
    )] = 2.0
    halving: Annotated[bool, BeforeValidator(_is_halving), Opt(
        "--tuner", "grid (train every LR in full) or halving (drop the worse LRs early).",
        kind=str, values=("grid", "halving"), default="grid",
        show=lambda spec: "halving" if spec.halving else "grid"
    )] = False
    tuning_seeds: Annotated[int, Field(ge=1, le=1000), Opt(
        "--tuning-seeds", "Seeds for tuning each LR."
    )] = 2
    epochs: Annotated[Epochs, Opt("--epochs", "Epochs of each trial.", common=True)] = EPOCHS
    budgets: Annotated[tuple[Epochs, ...], BeforeValidator(_budgets), Opt(
        "--budgets", "Rank at several training lengths, with schedules stretched to each: "
        "25%,50%,100% or epochs.", kind=object, show=lambda spec: joined(spec.budgets)
    )] = ()
    extrapolate: Annotated[OneSize | None, Opt(
        "--extrapolate", "Also predict the best LR at this length (40ep) or batch size (512), from "
        "a power law over --budgets or --batch-size.", kind=object
    )] = None
    seeds: Annotated[int, Field(ge=1, le=10_000), Opt(
        "--seeds", "Final trials per schedule.", common=True,
        show=lambda spec: None if spec.race else spec.seeds
    )] = 20
    looked: tuple[int, ...] = ()
    race: Annotated[bool, Opt(
        "--race/--no-race", "Compare after 5, 8, 12 and 20 final seeds, and stop training "
        "schedules that are behind.", common=True
    )] = False
    most_seeds: Annotated[int | None, Field(ge=2, le=10_000), Opt(
        "--most-seeds", "Last look of --race, in seeds; earlier looks scale with it. 20 by default."
    )] = None
    margin: Annotated[Positive | None, Opt(
        "--margin", "Also test which schedules are equal to within this many points."
    )] = None
    studies: Annotated[int, Field(ge=1, le=100), Opt(
        "--studies", "Independent repeats of tuning and finals."
    )] = 1
    seed: Annotated[Seed, Opt("--seed", "The first seed.")] = 0
    metric: Annotated[Metric, Opt(
        "--metric", "The metric to rank by:", common=True, default_note="test_bits for text"
    )] = "test_accuracy"
    arms: Annotated[tuple[Arm, ...], Opt(
        "--arm --contender", "Also rank a changed recipe: 'NAME: key=value ...', where keys are "
        "recipe options, schedule and lr_scaling; or an optimizer's name, at a constant LR. "
        "Repeatable.", kind=list[str], common=True, choices="lrbench.optimizers:OPTIMIZERS",
        show=lambda spec: [arm.typed for arm in spec.arms]
    )] = ()
    reference: Annotated[str | None, AfterValidator(_canonical_name), Opt(
        "--reference", "The schedule that the others are compared with.",
        choices="lrbench.schedules:catalogue"
    )] = None
    target_accuracy: Annotated[Fraction | None, Opt(
        "--target-accuracy", "Target of `epochs to target`; 99 % of the best by default.",
        only=("images", "task")
    )] = None
    time_budget_s: Annotated[Duration | None, Opt(
        "--time-budget", "Fit the plan into this time, like 20m.", common=True, kind=object,
        show=lambda spec: spec.time_budget_s and f"{spec.time_budget_s!r}s"
    )] = None
    lr_scaling: Annotated[Scaling, Opt(
        "--lr-scaling", "Multiply the LRs of --lr by k (linear), √k (sqrt) or 1 (none), where k is "
        "images per step / --base-batch-size.", off="none"
    )] = ""
    base_batch_size: Annotated[BatchSize | None, Opt(
        "--base-batch-size", "The batch size that the LRs of --lr are for."
    )] = None
    find: Annotated[FindSpec, BeforeValidator(_range_test), Opt(
        "--range-test", "The range test of --lr auto, as in lrbench find: 'points=100, seeds=3, "
        "end_lr=10'.", kind=str, settings=True,
        show=lambda spec: range_test_text(spec.find) if spec.auto else None
    )] = FindSpec()
    # fmt: on

    @model_validator(mode="after")
    def _consistent(self) -> CompareSpec:
        if self.reference is not None and self.reference not in self.entered:
            raise ValueError(f"--reference {self.reference!r} is not one of the schedules")
        if self.race and len(self.entrants) < 2:
            raise ValueError("--race: one schedule has nothing to race against")
        if self.most_seeds and not self.race:
            raise ValueError("--most-seeds needs --race")
        _ = self.aim  # raises if invalid
        self._check_arms()
        if self.weight_decays and any(parse(name).fixed_lr for name in self.trained):
            raise ValueError("several --weight-decay are tuned with the LR: leave out @ LR")
        if self.lr_scaling and self.base_batch_size is None:
            raise ValueError(f"--lr-scaling {self.lr_scaling} needs --base-batch-size")
        if self.lr_scaling and self.auto:
            raise ValueError(
                f"--lr-scaling {self.lr_scaling} scales LRs that --lr names; the range test of "
                "--lr auto already runs at this batch size"
            )
        return self

    @property
    def aim(self) -> tuple[str, int] | None:
        """What to extrapolate (epochs or batch size), and to which value; None if nothing."""
        typed = self.extrapolate
        return None if typed is None else aim_of(typed, self.budgets, self.batch_sizes)

    def _check_arms(self) -> None:
        several = ["batch_size"] * bool(self.batch_sizes)
        several += ["weight_decay"] * bool(self.weight_decays)
        check_arms(self.arms, self.schedules, self.recipe, auto=self.auto, several=several)

    def lr_scale(self, recipe: Recipe) -> float:
        """The factor on `lrs` under a recipe: 1, √k or k; k is its batch over the base batch."""
        if not self.lr_scaling or self.base_batch_size is None:
            return 1.0
        return scaled(self.lr_scaling, recipe.effective_batch / self.base_batch_size)

    @property
    def auto(self) -> bool:
        """Whether the range test sets the learning rates."""
        return not self.lrs

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of final seeds at which the schedules are compared: one number, unless this
        is a race or the run was compared before it grew."""
        if not self.race:
            return (*self.looked, self.seeds)
        most = self.most_seeds or 20
        return tuple(sorted({min(most, max(FIRST_LOOK, round(most * x))) for x in RACE_SHARES}))

    def final_seeds(self, study: int | None = None) -> Sequence[int]:
        first = self.seed + STUDY_SEEDS * (study or 0)
        return range(first, first + self.looks[-1])

    def all_tuning_seeds(self, study: int | None = None) -> Sequence[int]:
        """The seeds for tuning, far from the final seeds."""
        first = TUNING_SEED + self.seed + STUDY_SEEDS * (study or 0)
        return range(first, first + self.tuning_seeds)

    @property
    def entered(self) -> Mapping[str, Arm]:
        """Everything ranked, by name: schedules, then arms."""
        return entered(self.schedules, self.arms)

    @property
    def entrants(self) -> tuple[str, ...]:
        return tuple(self.entered)

    @property
    def trained(self) -> tuple[str, ...]:
        """The schedules of all entries, each once."""
        return tuple(dict.fromkeys(str(each.schedule) for each in self.entered.values()))

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """The distinct recipes to train, the plain one first."""
        arms = (None, *self.arms)
        cells = dict.fromkeys(cell.recipe for cell in self.cells)
        return tuple(dict.fromkeys(a.recipe(r) if a else r for a in arms for r in cells))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """One ranking per study, batch size and budget, the longest budget first."""
        return tuple(
            Cell(
                recipe=self.recipe.model_copy(update={"batch_size": size}),
                epochs=epochs,
                stretch=None if epochs == self.epochs else epochs / self.epochs,
                study=study or None,
            )
            for study in range(self.studies)
            for size in self.batch_sizes or (self.recipe.batch_size,)
            for epochs in sorted(self.budgets or (self.epochs,), reverse=True)
        )

    def range_test(self, recipe: Recipe) -> FindSpec:
        """The range test that centres a recipe's LR grids. It skips verification unless requested,
        because tuning does the same; the largest stable LR bounds the grids."""
        stable = self.find.max_stable is not False
        update = {"recipe": recipe, "verify": bool(self.find.verify), "max_stable": stable}
        return self.find.model_copy(update=update)

    def fixed_part(self) -> dict[str, Any]:
        """What must not change within one run directory."""
        growing = {
            "schedules", "lrs", "seeds", "tuning_seeds", "budgets", "batch_sizes",
            "weight_decays", "arms", "reference", "target_accuracy", "extrapolate", "looked",
            "studies",
        }  # fmt: skip
        if not self.auto:
            growing |= {"lr_points", "lr_factor", "find"}
        if self.race:
            growing.remove("reference")
        return {**self.model_dump(mode="json", exclude=growing), "auto": self.auto}

    @property
    def fingerprint(self) -> str:
        return digest(canonical(self.fixed_part()), 64)

    def grown_from(self, older: CompareSpec) -> CompareSpec:
        """This spec extended by the schedules, seeds and learning rates of an older one. The older
        spec's first batch size and weight decay stay first.

        Raises:
            UsageError: something else differs; the message names it.
        """
        several = {"batch_size": self.batch_sizes, "weight_decay": self.weight_decays}
        first = {field: getattr(older.recipe, field) for field in several}
        first = {field: value for field, value in first.items() if value in several[field]}
        recipe = self.recipe.model_copy(update=first)
        find = self.find.model_copy(update={"recipe": self.find.recipe.model_copy(update=first)})
        budget = self.time_budget_s or older.time_budget_s  # a sized run may grow without it
        spec = self.model_copy(update={"recipe": recipe, "find": find, "time_budget_s": budget})
        if changed := differences(older.fixed_part(), spec.fixed_part(), CompareSpec):
            raise UsageError(
                "this run holds a different experiment: " + ", ".join(changed),
                hint="choose another folder with --out, or repeat the old options",
            )
        silent = {
            "lrs": (), "budgets": (self.epochs,), "batch_sizes": (recipe.batch_size,),
            "weight_decays": (recipe.weight_decay,),
        }  # fmt: skip
        grown: dict[str, Any] = {"looked": older.looked}
        for field in ("schedules", "arms"):
            grown[field] = tuple(dict.fromkeys((*getattr(older, field), *getattr(self, field))))
        for field in ("seeds", "tuning_seeds", "studies"):
            grown[field] = max(getattr(older, field), getattr(self, field))
        for field, alone in silent.items():
            old, new = getattr(older, field), getattr(self, field)
            grown[field] = tuple(sorted({*(old or alone), *(new or alone)})) if old or new else ()
        spec = spec.model_copy(update=grown)
        spec._check_arms()
        return spec
