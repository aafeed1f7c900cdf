"""What a training produces: plain, frozen data that flows from the engine to the report.

Accuracies are fractions in 0..1, times are in seconds, learning rates are those the optimizer used.
`None` means no value; NaN and infinity never enter a record.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, TypeVar

from lrbench.options import TrialSpec

Status = Literal["done", "diverged", "failed"]


@dataclass(frozen=True)
class Record:
    """Base of all records of a trial."""

    __pydantic_config__: ClassVar = {"allow_inf_nan": False, "extra": "forbid"}

    trial: str


@dataclass(frozen=True)
class EpochRecord(Record):
    """One epoch. `epoch` counts from 1; `step` is the number of optimizer steps so far;
    `clipped_share` is the share of its steps with clipped gradients; `ema_…` belong to the moving
    average of the weights."""

    epoch: int
    step: int
    lr_first: float
    lr_last: float
    train_loss: float | None
    train_accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None
    train_s: float
    throughput_img_s: float
    clipped_share: float | None = None
    ema_val_loss: float | None = None
    ema_val_accuracy: float | None = None
    val_balanced_accuracy: float | None = None


@dataclass(frozen=True)
class StepRecord(Record):
    """One optimizer step of one parameter group; `step` counts from 0."""

    step: int
    group: int
    lr: float
    momentum: float | None
    train_loss: float | None


@dataclass(frozen=True)
class CutRecord(Record):
    """A cut of the learning rate by reduce-on-plateau, made after `epoch`."""

    epoch: int
    old_lr: float
    new_lr: float


@dataclass(frozen=True)
class TrialEnd(Record):
    """How a trial ended, with what is measured once, such as the test set and peak memory."""

    status: Status
    reason: str = ""
    epochs: int = 0
    steps: int = 0
    start_loss: float | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    train_s: float = 0.0
    throughput_img_s: float | None = None
    peak_mem_bytes: int | None = field(default=None, compare=False)  # depends on the machine
    machine: Mapping[str, Any] = field(default_factory=dict)
    clipped_share: float | None = None
    ema_test_loss: float | None = None
    ema_test_accuracy: float | None = None
    test_balanced_accuracy: float | None = None


@dataclass(frozen=True)
class History:
    """Everything known about one trial: its spec and its records so far."""

    spec: TrialSpec
    epochs: tuple[EpochRecord, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    cuts: tuple[CutRecord, ...] = ()
    end: TrialEnd | None = None


Kind = TypeVar("Kind", bound=Record)


def extended(history: History, records: Sequence[Record]) -> History:
    """The history with more records. A trial resumed from an earlier epoch repeats the later ones,
    so their previous records are dropped."""
    if not records:
        return history

    def of(kind: type[Kind]) -> tuple[Kind, ...]:
        return tuple(record for record in records if isinstance(record, kind))

    epochs, ends, kept = of(EpochRecord), of(TrialEnd), len(history.epochs)
    if epochs or ends:
        kept = min(kept, epochs[0].epoch - 1 if epochs else ends[-1].epochs)
    first_step = history.epochs[kept - 1].step if kept else 0
    steps = history.steps[: bisect_left(history.steps, first_step, key=lambda each: each.step)]
    cuts = tuple(cut for cut in history.cuts if cut.epoch <= kept)
    return History(
        history.spec,
        history.epochs[:kept] + epochs,
        steps + of(StepRecord),
        cuts + of(CutRecord),
        ends[-1] if ends else None,
    )


def labelled(trials: Iterable[TrialSpec], known: Mapping[str, History]) -> list[History]:
    """The known histories of these trials, under the trials' current names: an arm's name changes
    when schedules join the run."""
    return [replace(known[trial.id], spec=trial) for trial in trials if trial.id in known]
