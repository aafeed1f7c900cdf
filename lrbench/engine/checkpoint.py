"""Checkpoints between epochs, from which a trial continues after a crash.

(seed, epoch) determines data order, augmentation and dropout, and the step determines the learning
rates, so weights, optimizer state and a few numbers are enough.
"""

import hashlib
import io
from pathlib import Path

import torch

from lrbench.engine.train import Training
from lrbench.files import read_file, replace_file

NUMBERS = ("epochs_done", "start_loss", "best_loss", "train_s", "clipped", "early", "diverged")
CHECKSUM_BYTES = hashlib.sha256().digest_size


def save(training: Training, path: Path) -> None:
    """Replace the checkpoint atomically."""
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
    """Load the checkpoint into a new training.

    False if there is no readable checkpoint of this trial. The caller then starts from scratch: a
    damaged file costs time but never causes a wrong number.
    """
    try:
        content = read_file(path)
        whole, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
        if hashlib.sha256(whole).digest() != checksum:  # torch may read a damaged file
            return False
        # weights_only keeps code in the file from running
        state = torch.load(io.BytesIO(whole), map_location=training.device, weights_only=True)
        if state["trial"] != training.trial.id:
            return False
        training.model.load_state_dict(state["model"])
        training.optimizer.load_state_dict(state["optimizer"])
        for bound, known in zip(training.clock.bounds, state["clock"], strict=True):
            bound.restore(known)
        for name in NUMBERS:
            setattr(training, name, state[name])
        if training.average is not None:
            training.average.model.load_state_dict(state["average"])
            training.average.updates = training.steps_done
    except Exception:  # another version of lrbench or torch may have saved something else
        return False
    return True
