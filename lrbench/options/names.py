"""Which options there are, and which command takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Options = Mapping[str, Any]
RECIPE = (
    "dataset", "model", "optimizer", "momentum", "nesterov", "weight_decay", "batch_size",
    "precision", "augment", "val_fraction", "group", "weights", "opt", "loss", "task",
    "accumulate", "clip_norm", "clip_value", "no_decay_norms", "label_smoothing", "init_from",
    "compile",
)  # fmt: skip
TRAINING = ("early_stop", "ema", "tta")  # what shows at an epoch's end: not in a range test
HOST = ("device", "threads", "data_dir", "download", "deterministic")
TRIALS = (
    "record_steps", "executor", "jobs", "trial_timeout", "max_failures", "retry_failed", "force",
    "graph", "at_once",
)  # fmt: skip
REPEATABLE = ("schedule", "group", "opt", "contender")
FLAGS = (
    "nesterov", "no_decay_norms", "compile", "download", "deterministic", "record_steps", "graph",
    "retry_failed", "force", "verify", "max_stable", "val_loss",
)  # fmt: skip
TEXTS = (
    *REPEATABLE, "dataset", "model", "optimizer", "precision", "augment", "weights", "loss", "task",
    "init_from", "early_stop", "tta", "device", "data_dir", "executor", "mode", "step", "rule",
    "sweep_group", "tuner", "metric", "reference", "lr_scaling", "range_test",
)  # fmt: skip
ONCE = ("retry_failed", "force")  # meant for one call: a run does not remember them
FIND = (
    "start_lr", "end_lr", "points", "mode", "step", "rule", "window", "seeds", "seed", "verify",
    "max_stable", "val_loss", "sweep_group", "batch_sizes", "momenta",
)  # fmt: skip
COMPARE = (
    "schedule", "lr", "lr_points", "lr_factor", "tuner", "tuning_seeds", "epochs", "budgets",
    "seeds", "seed", "metric", "contender", "reference", "target_accuracy", "time_budget",
    "lr_scaling", "base_batch_size", "range_test",
)  # fmt: skip
