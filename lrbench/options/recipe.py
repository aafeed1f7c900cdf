"""The specs of a training: its recipe, its ranking, and the trial itself."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from lrbench.options.early_stop import EarlyStop
from lrbench.options.option import Opt
from lrbench.options.values import (
    BatchSize,
    Epochs,
    Finite,
    Fraction,
    Frozen,
    Momentum,
    Positive,
    Seed,
    canonical,
    digest,
    off,
    one_batch_size,
    pairs,
    word_off,
)
from lrbench.plugins import is_own
from lrbench.schedules import Schedule as ParsedSchedule
from lrbench.schedules import parse, stretched

Problem = Literal["images", "text", "task"]
IMAGES, DATA = ("images",), ("images", "text")
TEXT_PREFIX = "text:"
BATCH_SIZES = "32 for mnist5k, 8 for text"
WEIGHT_DECAYS = "0.01 for adamw and muon, 0 for the other adaptive ones"
"""Defaults that differ by dataset or optimizer, for the help."""


def problem_of(task: Any, dataset: Any) -> Problem:
    if task:
        return "task"
    return "text" if str(dataset).startswith(TEXT_PREFIX) else "images"


def _own_or(*words: str) -> AfterValidator:
    """For a field that takes these words or the user's own `module:function`."""

    def check(text: str) -> str:
        if text not in words and not is_own(text):
            raise ValueError(f"must be {', '.join(filter(None, words))} or module:function")
        return text

    return AfterValidator(check)


def _settings(texts: tuple[str, ...]) -> tuple[str, ...]:
    pairs(texts)
    return tuple(sorted(texts))


def _without_scaler(text: Any) -> Any:
    if text == "fp16":
        raise ValueError(
            "must be fp32, tf32 or bf16: the gradient scaler of fp16 skips steps, which a schedule "
            "would count"
        )
    return text


def _early_stop(text: str) -> str:
    return str(EarlyStop.parse(text)) if text else ""


class Recipe(Frozen):
    """Everything that determines a training except its schedule, LR, seed and length.

    A `task` brings its own data and model: `dataset` and `model` are then empty.
    """

    # fmt: off
    dataset: Annotated[str, Opt(
        "--dataset", "{choices}, folder:PATH (train/CLASS/* and test/CLASS/*, or CLASS/* alone), "
        "text:FILE or text:default, or your own module:function.", panel="Data", common=True,
        own=True, only=DATA, choices="lrbench.data:DATASETS"
    )] = "mnist5k"
    model: Annotated[str, Opt(
        "--model", "{choices}, torchvision:NAME, or your own module:function or module:Class.",
        panel="Model", common=True, own=True, only=DATA, choices="lrbench.models:MODELS"
    )] = "lenet"
    optimizer: Annotated[str, Opt(
        "--optimizer", "{choices}, or your own module:Class.", panel="Optimizer", common=True,
        own=True, choices="lrbench.optimizers:OPTIMIZERS"
    )] = "sgd"
    momentum: Annotated[Momentum, Opt(
        "--momentum", "Momentum of sgd and rmsprop.", panel="Optimizer"
    )] = 0.9
    nesterov: Annotated[bool, Opt(
        "--nesterov/--no-nesterov", "Nesterov momentum, for sgd.", panel="Optimizer"
    )] = False
    weight_decay: Annotated[Finite, Field(ge=0), Opt(
        "--weight-decay", "Weight decay.", panel="Optimizer",
        default_note=WEIGHT_DECAYS
    )] = 5e-4
    batch_size: Annotated[BatchSize, BeforeValidator(one_batch_size), Opt(
        "--batch-size", "Images per batch, or all for the whole training set.", panel="Optimizer",
        common=True, kind=object, default_note=BATCH_SIZES
    )] = 128
    precision: Annotated[Literal["fp32", "tf32", "bf16"], BeforeValidator(_without_scaler), Opt(
        "--precision", "Training precision:"
    )] = "fp32"
    augment: Annotated[str, _own_or("default", "none"), Opt(
        "--augment", "default (crop, flip), none, or your own module:function of (images, "
        "generator).", panel="Data", own=True, only=IMAGES
    )] = "default"
    val_fraction: Annotated[Fraction, Opt(
        "--val-fraction", "Share of the training set held out for validation.", panel="Data",
        only=DATA
    )] = 0.1
    groups: Annotated[tuple[str, ...], Opt(
        "--group", "A parameter group with its own settings: 'PATTERN lr=10x schedule=cosine "
        "weight_decay=0 freeze=2ep'. Repeatable; the first match wins.", panel="Optimizer"
    )] = ()
    weights: Annotated[str, Opt(
        "--weights", "Pretrained weights: DEFAULT for torchvision:NAME, or a file for any model; "
        "a last layer of another shape starts from scratch.", panel="Model", only=IMAGES
    )] = ""
    optimizer_options: Annotated[tuple[str, ...], AfterValidator(_settings), Opt(
        "--opt", "An argument of the optimizer's class, such as betas=0.9,0.95. "
        "Repeatable.", panel="Optimizer", settings=True
    )] = ()
    loss: Annotated[str, word_off("cross-entropy"), _own_or("", "cross-entropy"), Opt(
        "--loss", "cross-entropy, or your own module:function: (logits, labels) -> mean loss.",
        panel="Model", own=True, only=IMAGES, default="cross-entropy",
        show=lambda recipe: recipe.loss
    )] = ""
    task: Annotated[str, Opt(
        "--task", "Your own module:Task in place of dataset and model, for anything but images "
        "and text.", panel="Model", own=True
    )] = ""
    accumulate: Annotated[Annotated[int, Field(ge=1)] | None, off(1), Opt(
        "--accumulate", "Batches to accumulate per optimizer step; schedules count those steps.",
        panel="Optimizer", default=1, show=lambda recipe: recipe.micro_batches
    )] = None
    clip_norm: Annotated[Positive | None, Opt(
        "--clip-norm", "Clip the global gradient norm to this.", panel="Optimizer"
    )] = None
    clip_value: Annotated[Positive | None, Opt(
        "--clip-value", "Clip each gradient element to this.", panel="Optimizer"
    )] = None
    no_decay_norms: Annotated[bool, Opt(
        "--no-decay-norms", "No weight decay for biases and normalisation layers.",
        panel="Optimizer"
    )] = False
    label_smoothing: Annotated[Fraction | None, off(0), Opt(
        "--label-smoothing", "Label smoothing, for the training loss only.", panel="Model",
        only=IMAGES
    )] = None
    init_from: Annotated[str, Opt(
        "--init-from", "Start from the weights in this file, such as a checkpoint; a last layer of "
        "another shape starts from scratch.", panel="Model"
    )] = ""
    init_digest: str = ""
    compile: Annotated[bool, Opt(
        "--compile/--no-compile", "Use torch.compile: takes a minute, pays off in long runs."
    )] = False
    early_stop: Annotated[str, AfterValidator(_early_stop), Opt(
        "--early-stop", "End a trial that no longer improves: "
        "'patience=5, metric=val_loss, min_delta=0.001'.", panel="Comparison", command="compare",
        settings=True
    )] = ""
    ema: Annotated[Fraction | None, Opt(
        "--ema", "Also evaluate a moving average of the weights, such as 0.999.", panel="Model",
        command="compare"
    )] = None
    tta: Annotated[Literal["", "flip"], Opt(
        "--tta", "Test-time augmentation: flip averages over each image and its mirror image.",
        panel="Model", command="compare", only=IMAGES, values=("flip",)
    )] = ""
    # fmt: on

    @property
    def problem(self) -> Problem:
        """What is learnt: image classes, the next character of a text, or the user's own task."""
        return problem_of(self.task, self.dataset)

    @property
    def micro_batches(self) -> int:
        """Batches whose gradients are accumulated in one optimizer step."""
        return self.accumulate or 1

    @property
    def effective_batch(self) -> int:
        """Samples per optimizer step."""
        return self.batch_size * self.micro_batches

    @property
    def title(self) -> str:
        """What is trained, and on what data."""
        return self.task or f"{self.model} on {self.dataset}"


class Cell(Frozen):
    """One ranking: all schedules under one recipe, for one number of epochs. `stretch` is the ratio
    of that number to the one the schedules are written for, or None if they are equal. `study`
    numbers the repetition; None is the first."""

    recipe: Recipe
    epochs: int
    stretch: Positive | None = None
    study: int | None = None


class TrialSpec(Frozen):
    """One training, fully specified: equal specs mean the same training.

    `lr_reference` is the LR for which absolute LRs of parameter groups are given; at another LR
    they are scaled in proportion. `stretch` is the ratio of this training's length to the one the
    schedules were written for, if they differ. `study` numbers repetitions of the whole comparison;
    None is the first. `arm` (its name) and `ranked_with` (the batch size of its ranking, if the
    arm's own differs) are labels, not part of the training or its id.
    """

    LABELS: ClassVar = {"arm", "ranked_with"}

    recipe: Recipe
    schedule: str
    lr: Positive
    seed: Seed
    stage: Literal["tune", "final"]
    epochs: Epochs
    lr_reference: Positive | None = None
    stretch: Positive | None = None
    study: int | None = None
    arm: str = ""
    ranked_with: BatchSize | None = None

    @property
    def name(self) -> str:
        """The name in the ranking: the arm's, or the schedule."""
        return self.arm or self.schedule

    @property
    def batch_size(self) -> int:
        """The batch size of the ranking."""
        return self.ranked_with or self.recipe.batch_size

    @property
    def id(self) -> str:
        return digest(canonical(self.model_dump(mode="json", exclude=self.LABELS)))

    def trained(self, schedule: str) -> ParsedSchedule:
        """The schedule, stretched to this trial's length.

        Raises:
            UsageError: the schedule cannot be stretched to that.
        """
        return stretched(parse(schedule), self.stretch)
