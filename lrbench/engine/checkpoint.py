"""A trial under way, kept on disk between two epochs so that it can go on after a crash.

Data order, augmentation and dropout follow from (seed, epoch) and learning rates from the step:
weights, optimizer state and a handful of numbers are all there is to keep.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from lrbench.engine.train import Training
from lrbench.files import replace_file

NUMBERS = ("epochs_done", "start_loss", "best_loss", "train_s")


def save(training: Training, path: Path) -> None:
    """Replace the checkpoint at once: a reader finds the old one or the new one, whole."""
    import torch

    content = {
        "trial": training.trial.id,
        "model": training.model.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "clock": [bound.state() for bound in training.clock.bounds],
        **{name: getattr(training, name) for name in NUMBERS},
    }
    memory = io.BytesIO()
    torch.save(content, memory)
    replace_file(path, memory.getvalue())


def restore(training: Training, path: Path) -> bool:
    """Bring a training that has just begun to where the checkpoint was made.

    False, and the training as it was, where there is no checkpoint of this trial that can be
    read: a damaged one costs time, never a wrong number.
    """
    content = _read(path, training)
    if content is None or content.get("trial") != training.trial.id:
        return False
    training.model.load_state_dict(content["model"])
    training.optimizer.load_state_dict(content["optimizer"])
    for bound, state in zip(training.clock.bounds, content["clock"], strict=True):
        bound.restore(state)
    for name in NUMBERS:
        setattr(training, name, content[name])
    return True


def _read(path: Path, training: Training) -> dict[str, Any] | None:
    """torch checks the archive's CRCs; weights_only keeps code in it from running."""
    import torch

    try:
        found: dict[str, Any] = torch.load(path, map_location=training.device, weights_only=True)
    except Exception:  # a file that is damaged may fail in any way
        return None
    return found if isinstance(found, dict) else None
