"""A trial under way, kept on disk between two epochs so that it can go on after a crash.

Data order, augmentation and dropout follow from (seed, epoch) and learning rates from the step:
weights, optimizer state and a handful of numbers are all there is to keep.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

from lrbench.engine.train import Training
from lrbench.files import replace_file

NUMBERS = (
    "epochs_done", "start_loss", "best_loss", "train_s", "clipped", "early_best", "early_waited",
    "diverged",
)  # fmt: skip
SEAL_BYTES = hashlib.sha256().digest_size


def save(training: Training, path: Path) -> None:
    """Replace the checkpoint at once: a reader finds the old one or the new one, whole."""
    import torch

    content = {
        "trial": training.trial.id,
        "model": training.model.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "clock": [bound.state() for bound in training.clock.bounds],
        "average": None if training.average is None else training.average.model.state_dict(),
        **{name: getattr(training, name) for name in NUMBERS},
    }
    memory = io.BytesIO()
    torch.save(content, memory)
    whole = memory.getvalue()
    replace_file(path, whole + hashlib.sha256(whole).digest())


def restore(training: Training, path: Path) -> bool:
    """Bring a training that has just begun to where the checkpoint was made.

    False where there is no checkpoint of this trial that can be read: the caller begins anew, so
    that a damaged one costs time, never a wrong number.
    """
    content = _read(path, training)
    if content is None or content.get("trial") != training.trial.id:
        return False
    try:
        _put_back(content, training)
    except Exception:  # an older lrbench, or another torch, may have kept other things
        return False
    return True


def _put_back(content: dict[str, Any], training: Training) -> None:
    training.model.load_state_dict(content["model"])
    training.optimizer.load_state_dict(content["optimizer"])
    for bound, state in zip(training.clock.bounds, content["clock"], strict=True):
        bound.restore(state)
    for name in NUMBERS:
        setattr(training, name, content[name])
    if training.average is not None:
        training.average.model.load_state_dict(content["average"])
        training.average.updates = training.steps_done


def _read(path: Path, training: Training) -> dict[str, Any] | None:
    """The digest tells a damaged file, which torch would read; weights_only keeps code in it
    from running."""
    import torch

    try:
        content = path.read_bytes()
        whole, seal = content[:-SEAL_BYTES], content[-SEAL_BYTES:]
        if hashlib.sha256(whole).digest() != seal:
            return None
        found: dict[str, Any] = torch.load(
            io.BytesIO(whole), map_location=training.device, weights_only=True
        )
    except Exception:  # a file that is damaged may fail in any way
        return None
    return found if isinstance(found, dict) else None
