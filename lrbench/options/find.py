"""The spec of a range test."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo

from lrbench.errors import UsageError
from lrbench.options.option import Opt, Options, listed, options_of
from lrbench.options.recipe import Recipe
from lrbench.options.values import (
    EPOCHS,
    BatchSize,
    Epochs,
    Frozen,
    Momentum,
    Positive,
    Schedule,
    Seed,
    digest,
    joined,
    numbers,
    pairs,
    refused,
    whole_number,
)
from lrbench.registry import did_you_mean
from lrbench.schedules import expand, parse

SWEEP_SEED = 2_000_003
SEEDS = 3
MOST_SEEDS = 10_000


def _rising(value: Any) -> tuple[float, ...]:
    return tuple(sorted({*numbers(value)}))


def counted_seeds(options: Options) -> tuple[int, ...]:
    """`--seeds` consecutive seeds, starting at `--seed`."""
    first = whole_number(options.get("seed", 0), "--seed", 0, 2**31 - 1)
    count = whole_number(options.get("seeds", SEEDS), "--seeds", 1, MOST_SEEDS)
    return tuple(range(first, first + count))


def _alone(value: Any) -> Any:
    """The only schedule in a text or a list."""
    if value is None:
        return None
    texts = [str(text) for text in listed(value)]
    names = [one for text in texts for one in expand(text)]
    if len(names) != 1:
        said = f"lrbench find takes one schedule; {len(names)} are named: {', '.join(texts)}"
        raise UsageError(said)
    return names[0]


def _without_lr(text: str | None) -> str | None:
    """Refuse a schedule that names its LR, or whose LRs depend on the training."""
    schedule = None if text is None else parse(text)
    if schedule is not None and schedule.fixed_lr is not None:
        raise ValueError("it names its own LR; leave that out")
    if schedule is not None and schedule.adaptive:
        raise ValueError(f"it follows {schedule.metric}, so no shorter training can replace it")
    return text


def _with_schedule(epochs: int | None, info: ValidationInfo) -> int | None:
    if epochs is not None and info.data.get("schedule", "") is None:
        raise ValueError("the length also needs a schedule, such as constant")
    return epochs


class FindSpec(Frozen):
    """A range test: `points` learning rates from `start_lr` to `end_lr`, once for each seed.

    `window` is the smoothing width in decades; a point of the curve is one `step`, a batch or an
    epoch. `verify` trains `verify_steps` steps at constant learning rates around the suggestion,
    from the weights of `verify_seeds` seeds; `max_stable` searches for the largest stable LR; for
    both, None means only if cheap. With `val_loss`, the loss is that of a fixed part of the
    validation data. `sweep_group` sweeps one parameter group, by pattern or index, while the others
    keep their absolute learning rates. With `schedule`, the answer is the base learning rate of a
    run of `epochs` or `steps` under that schedule. `batch_sizes` and `momenta` add a table with a
    range test for each pair.
    """

    PANEL: ClassVar = "Range test"
    COMMAND: ClassVar = "find"

    # fmt: off
    recipe: Recipe = Recipe()
    points: Annotated[int, Field(ge=2, le=100_000), Opt(
        "--points", "LRs of each sweep.", common=True
    )] = 100
    start_lr: Annotated[Positive, Opt(
        "--start-lr", "The lowest LR of the sweep.", common=True
    )] = 1e-6
    end_lr: Annotated[Positive, Opt("--end-lr", "The highest LR of the sweep.", common=True)] = 10.0
    mode: Annotated[Literal["exp", "linear"], Opt("--mode", "Spacing of the LRs:")] = "exp"
    step: Annotated[Literal["batch", "epoch"], Opt(
        "--step", "Raise the LR at every batch or every epoch."
    )] = "batch"
    rule: Annotated[str, Opt(
        "--rule", "The rule that reads the LR off the curve: {choices}.", common=True,
        choices="lrbench.rangetest.rules:RULES"
    )] = "steepest"
    window: Annotated[Positive, Opt("--window", "Smoothing width, in decades.")] = 1.0
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), Opt(
        "--seeds", "Number of seeds.", common=True, kind=int, default=SEEDS,
        show=lambda spec: len(spec.seeds)
    ), Opt(
        "--seed", "The first seed.", kind=int, default=0,
        show=lambda spec: spec.seeds[0]
    )] = tuple(range(SWEEP_SEED, SWEEP_SEED + SEEDS))
    schedule: Annotated[Schedule | None, BeforeValidator(_alone), AfterValidator(_without_lr), Opt(
        "--schedule -s", "Schedule of the run that the LR is for.", common=True, swept=False,
        kind=list[str], choices="lrbench.schedules:catalogue"
    )] = None
    epochs: Annotated[Epochs | None, AfterValidator(_with_schedule), Opt(
        "--epochs", f"Epochs of that run; {EPOCHS} by default.", common=True, swept=False
    )] = None
    steps: Annotated[int, Field(ge=1)] | None = None
    whole_range: Annotated[bool, Opt(
        "--whole-range/--stop-early", "Continue after the loss blows up."
    )] = False
    verify: Annotated[bool | None, Opt(
        "--verify/--no-verify", "Check the LR by short trainings; by default if cheap."
    )] = None
    verify_steps: Annotated[int, Field(ge=8)] = 64
    verify_seeds: Annotated[int, Field(ge=1)] = 3
    max_stable: Annotated[bool | None, Opt(
        "--max-stable/--no-max-stable", "Find the largest stable LR; by default if cheap, or "
        "for a table."
    )] = None
    val_loss: Annotated[bool, Opt(
        "--val-loss/--train-loss", "Use the loss on a batch of validation data."
    )] = False
    sweep_group: Annotated[str | None, Opt(
        "--sweep-group", "Sweep one --group, by pattern or number; the others stay at their lr=.",
        swept=False
    )] = None
    batch_sizes: Annotated[tuple[BatchSize, ...], BeforeValidator(_rising), Opt(
        "--batch-sizes", "Tabulate the LR over these batch sizes: 32,128,512.", kind=object,
        swept=False, show=lambda spec: joined(spec.batch_sizes)
    )] = ()
    momenta: Annotated[tuple[Momentum, ...], BeforeValidator(_rising), Opt(
        "--momenta", "Tabulate the LR over these momenta: 0,0.9.", kind=object, swept=False,
        show=lambda spec: joined(spec.momenta)
    )] = ()
    # fmt: on

    @property
    def run_epochs(self) -> int:
        """The epochs of the run that the LR is for."""
        return self.epochs or EPOCHS

    @property
    def cells(self) -> tuple[Recipe, ...]:
        """The recipes of the table: each batch size with each momentum; empty without a table."""
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


_ALONE = {option.field for option in options_of(FindSpec).values() if not option.swept}
SWEPT = tuple(name for name in FindSpec.model_fields if name not in {"recipe", "steps", *_ALONE})
"""The options that `--range-test` can set."""


def with_range_test(text: str, find: FindSpec) -> FindSpec:
    """`find` changed by the text of `--range-test`; raises UsageError if that is invalid.

    >>> find = with_range_test("points=50,seeds=1", FindSpec())
    >>> find.points, len(find.seeds), find.end_lr
    (50, 1, 10.0)
    """
    given = pairs(str(text).split(","), "write it like points=100,seeds=3")
    for key in given:
        if key not in SWEPT:
            raise UsageError(f"unknown key {key!r}", hint=did_you_mean(key, SWEPT))
    fields: dict[str, Any] = {
        key: None if value.lower() == "none" else value for key, value in given.items()
    }
    if "seeds" in given:
        count = int(given["seeds"]) if given["seeds"].isdecimal() else given["seeds"]
        count = whole_number(count, "--range-test seeds", 1, MOST_SEEDS)
        fields["seeds"] = range(SWEEP_SEED, SWEEP_SEED + count)
    try:
        found = FindSpec(**{**dict(find), **fields})
    except ValidationError as fault:
        raise refused(fault, {key: f"--range-test {key}" for key in fields}) from None
    if found.start_lr >= found.end_lr:
        raise UsageError(f"start_lr={found.start_lr:g} must lie below end_lr={found.end_lr:g}")
    return found


def range_test_text(find: FindSpec) -> str:
    """The inverse of `with_range_test`: the text that turns any range test into this one.

    >>> range_test_text(FindSpec())[:47]
    'points=100,start_lr=1e-06,end_lr=10.0,mode=exp,'
    """
    fields: Mapping[str, Any] = {**dict(find), "seeds": len(find.seeds)}
    return ",".join(f"{key}={fields[key]}".lower() for key in SWEPT)
