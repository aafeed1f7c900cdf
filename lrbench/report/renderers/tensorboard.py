"""Event files for TensorBoard: a run for each trial."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pandas import DataFrame

from lrbench.analysis import Summary
from lrbench.errors import UsageError
from lrbench.files import readable_faults
from lrbench.report.renderers import RENDERERS
from lrbench.report.table import records

FOLDER = "tensorboard"
EPOCH_TAGS = {
    "lr_last": "lr",
    "train_loss": "train_loss",
    "train_accuracy": "train_accuracy",
    "val_loss": "val_loss",
    "val_accuracy": "val_accuracy",
    "throughput_img_s": "throughput_img_s",
}
HPARAMS = ("schedule", "lr", "seed", "stage", "budget", "batch_size")
ENDS = ("val_accuracy", "val_loss", "test_accuracy", "test_loss", "throughput_img_s")


@RENDERERS.register("tensorboard", "event files under tensorboard/ (needs tensorboardX)")
def write(summary: Summary, folder: Path) -> list[Path]:
    """A folder for each trial that left an epoch: LR, losses, accuracies and throughput by epoch
    (`epoch/…`), each step's own LR and loss where steps were recorded (`step/…`), and the trial's
    hyper-parameters with how it ended.

    Raises:
        UsageError: tensorboardX is not installed.
        MachineError: a file cannot be written.
    """
    check()
    epochs = dict(iter(summary.epochs.groupby("trial", sort=False)))
    steps = dict(iter(summary.steps.groupby("trial", sort=False)))
    target = folder / FOLDER
    with readable_faults(target):
        for trial in records(summary.trials):
            if trial["trial"] in epochs:
                place = target / f"{trial['stage']}-{trial['trial']}"
                _write_trial(place, trial, epochs[trial["trial"]], steps.get(trial["trial"]))
    return sorted(target.glob("*/events.*"))


def check() -> None:
    """Raises UsageError where tensorboardX is not installed."""
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        raise UsageError(
            "--tensorboard needs tensorboardX", hint="pip install 'torch-lrbench[tensorboard]'"
        ) from None


def _write_trial(
    folder: Path, trial: Mapping[str, Any], epochs: DataFrame, steps: DataFrame | None
) -> None:
    from tensorboardX import SummaryWriter

    for older in folder.glob("events.*"):
        older.unlink()
    with SummaryWriter(str(folder)) as writer:
        for row in records(epochs):
            _add(writer, "epoch", row, EPOCH_TAGS, row["epoch"])
        for row in records(steps) if steps is not None else ():
            group = f"/group{row['group']}" if row["group"] else ""
            tags = {"lr": f"lr{group}", "train_loss": f"train_loss{group}"}
            _add(writer, "step", row, tags, row["step"])
        _add_hparams(writer, trial)


def _add(
    writer: Any, axis: str, row: Mapping[str, Any], tags: Mapping[str, str], step: int
) -> None:
    for column, tag in tags.items():
        if _known(row[column]):
            writer.add_scalar(f"{axis}/{tag}", float(row[column]), int(step))


def _add_hparams(writer: Any, trial: Mapping[str, Any]) -> None:
    """The three records of TensorBoard's own format, in the trial's one file."""
    from tensorboardX.summary import hparams

    given = {name: trial[name] for name in HPARAMS}
    ends = {f"end/{name}": float(trial[name]) for name in ENDS if _known(trial[name])}
    for record in hparams(given, ends):
        writer.file_writer.add_summary(record)
    for tag, value in ends.items():
        writer.add_scalar(tag, value, int(trial["steps"]))


def _known(value: Any) -> bool:
    return value is not None and not math.isnan(value)
