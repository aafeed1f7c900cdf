"""What a training leaves behind: the plain, frozen data that flows from the engine to the report.

Accuracies are fractions in 0..1, times seconds, learning rates the numbers that the optimizer
used. `None` means that there is no such value; NaN and infinity never enter a record.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lrbench.options import TrialSpec

FINITE = {"allow_inf_nan": False}
Status = Literal["done", "diverged", "failed"]


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of one trial. `epoch` counts from 1; `step` is the optimizer steps done so far;
    `clipped_share` is that of its steps whose gradients were clipped; `ema_…` are of the weights'
    moving average."""

    __pydantic_config__ = FINITE

    trial: str
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
class StepRecord:
    """One optimizer step of one parameter group; `step` counts from 0."""

    __pydantic_config__ = FINITE

    trial: str
    step: int
    group: int
    lr: float
    momentum: float | None
    train_loss: float | None


@dataclass(frozen=True)
class CutRecord:
    """A reduce-on-plateau cut of the learning rate, made after `epoch`."""

    __pydantic_config__ = FINITE

    trial: str
    epoch: int
    old_lr: float
    new_lr: float


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended, with what was measured once: the test set, and the memory's peak."""

    __pydantic_config__ = FINITE

    trial: str
    status: Status
    reason: str = ""
    epochs: int = 0
    steps: int = 0
    start_loss: float | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    train_s: float = 0.0
    throughput_img_s: float | None = None
    peak_mem_bytes: int | None = field(default=None, compare=False)  # of the machine
    machine: Mapping[str, Any] = field(default_factory=dict)
    clipped_share: float | None = None
    ema_test_loss: float | None = None
    ema_test_accuracy: float | None = None
    test_balanced_accuracy: float | None = None


Record = EpochRecord | StepRecord | CutRecord | TrialEnd


@dataclass(frozen=True)
class History:
    """All that is known of one trial: what it was to be, and its records so far."""

    spec: TrialSpec
    epochs: tuple[EpochRecord, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    cuts: tuple[CutRecord, ...] = ()
    end: TrialEnd | None = None


def extended(history: History, records: Sequence[Record]) -> History:
    """The history with more records. A trial that went on from an earlier epoch trains the later
    ones again: what it said of them before is dropped."""
    if not records:
        return history
    epochs = tuple(r for r in records if isinstance(r, EpochRecord))
    ends = [r for r in records if isinstance(r, TrialEnd)]
    kept = len(history.epochs)
    if epochs:
        kept = min(kept, epochs[0].epoch - 1)
    elif ends:
        kept = min(kept, ends[-1].epochs)
    first_step = history.epochs[kept - 1].step if kept else 0
    known_steps = bisect_left(history.steps, first_step, key=lambda each: each.step)
    return History(
        history.spec,
        history.epochs[:kept] + epochs,
        history.steps[:known_steps] + tuple(r for r in records if isinstance(r, StepRecord)),
        tuple(cut for cut in history.cuts if cut.epoch <= kept)
        + tuple(r for r in records if isinstance(r, CutRecord)),
        ends[-1] if ends else None,
    )


def labelled(trials: Iterable[TrialSpec], known: Mapping[str, History]) -> list[History]:
    """The histories of those trials that have one, under the names that the trials have now: an
    arm's is another where schedules have joined the run."""
    return [replace(known[trial.id], spec=trial) for trial in trials if trial.id in known]
