"""Event files for TensorBoard: a run for each trial."""

import math
from pathlib import Path
from typing import Any

from lrbench.analysis import Summary
from lrbench.errors import UsageError
from lrbench.files import readable_faults
from lrbench.report.renderers import RENDERERS
from lrbench.report.table import records

FOLDER = "tensorboard"
Row = dict[str, Any]
EPOCH_COLUMNS = (
    "lr_last", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "throughput_img_s",
)  # fmt: skip
HPARAMS = ("schedule", "lr", "seed", "stage", "budget", "batch_size")
ENDS = ("val_accuracy", "val_loss", "test_accuracy", "test_loss", "throughput_img_s")


@RENDERERS.register("tensorboard", "event files under tensorboard/ (needs tensorboardX)")
def write(summary: Summary, folder: Path) -> list[Path]:
    """A folder for each trial with at least one epoch: LR, losses, accuracies and throughput by
    epoch (`epoch/…`), LR and loss of each step if steps were recorded (`step/…`), and the trial's
    hyperparameters and final metrics.

    Raises:
        UsageError: tensorboardX is not installed.
        MachineError: a file cannot be written.
    """
    check()
    epochs, steps = (
        {trial: records(rows) for trial, rows in frame.groupby("trial", sort=False)}
        for frame in (summary.epochs, summary.steps)
    )
    target = folder / FOLDER
    with readable_faults(target):
        for trial in records(summary.trials):
            name = trial["trial"]
            if name in epochs:
                place = target / f"{trial['stage']}-{name}"
                _write_trial(place, trial, epochs[name], steps.get(name, []))
    return sorted(target.glob("*/events.*"))


def check() -> None:
    """Raises UsageError if tensorboardX is not installed."""
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        raise UsageError(
            "--tensorboard needs tensorboardX", hint="pip install 'torch-lrbench[tensorboard]'"
        ) from None


def _write_trial(folder: Path, trial: Row, epochs: list[Row], steps: list[Row]) -> None:
    """Also writes TensorBoard's three hyperparameter records, to the same file."""
    from tensorboardX import SummaryWriter
    from tensorboardX.summary import hparams

    for older in folder.glob("events.*"):
        older.unlink()
    with SummaryWriter(str(folder)) as writer:
        for row in epochs:
            scalars = {f"epoch/{name.removesuffix('_last')}": row[name] for name in EPOCH_COLUMNS}
            _add(writer, row["epoch"], scalars)
        for row in steps:
            group = f"/group{row['group']}" if row["group"] else ""
            scalars = {f"step/{name}{group}": row[name] for name in ("lr", "train_loss")}
            _add(writer, row["step"], scalars)
        ends = {f"end/{name}": trial[name] for name in ENDS if _known(trial[name])}
        for record in hparams({name: trial[name] for name in HPARAMS}, ends):
            writer.file_writer.add_summary(record)
        _add(writer, trial["steps"], ends)


def _add(writer: Any, step: int, scalars: Row) -> None:
    for tag, value in scalars.items():
        if _known(value):
            writer.add_scalar(tag, float(value), int(step))


def _known(value: Any) -> bool:
    return value is not None and not math.isnan(value)
