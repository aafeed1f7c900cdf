"""The options that end up in a spec, panel by panel, by the names that `lrbench.options` knows.

Every default is None: a TOML file may speak where the command line is silent, and the real
defaults are those of the specs. A new option is one line here and its name in `lrbench.options`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lrbench.cli.params import flag, names, option
from lrbench.data import DATASETS
from lrbench.execute import EXECUTORS
from lrbench.experiment import Recipe
from lrbench.models import MODELS
from lrbench.optimizers import OPTIMIZERS

_D = Recipe()

DATA = {
    "dataset": option(
        str, "--dataset", default=_D.dataset, complete=names(DATASETS),
        help=f"{', '.join(DATASETS.names())}, folder:PATH of train/CLASS/* and test/CLASS/*, or "
        "your own module:function.",
    ),
    "data_dir": option(
        Path, "--data-dir",
        help="Where datasets lie, or are downloaded to; or set LRBENCH_DATA_DIR.",
    ),
    "download": flag("--download/--no-download", help="Fetch the dataset if it is missing."),
    "augment": option(
        str, "--augment", default=_D.augment,
        help="default (crop, flip), none, or your own module:function of (images, generator).",
    ),
    "val_fraction": option(
        float, "--val-fraction", default=_D.val_fraction,
        help="Share of the training set that is held out for validation.",
    ),
}  # fmt: skip

MODEL = {
    "task": option(
        str, "--task",
        help="Your own module:Task instead of dataset and model, for anything else than images.",
    ),
    "model": option(
        str, "--model", default=_D.model, complete=names(MODELS),
        help=f"{', '.join(MODELS.names())}, torchvision:NAME, or your own module:function or "
        "module:Class.",
    ),
    "weights": option(
        str, "--weights",
        help="Pre-trained weights: DEFAULT for torchvision:NAME, or a file of any model; a last "
        "layer of another shape stays new.",
    ),
    "loss": option(
        str, "--loss", default="cross-entropy",
        help="Your own module:function of (logits, labels), the mean loss.",
    ),
    "label_smoothing": option(
        float, "--label-smoothing", help="Of the training loss; others are without it."
    ),
    "init_from": option(
        str, "--init-from",
        help="Start from the weights in this file, such as a checkpoint; a last layer of another "
        "shape stays new.",
    ),
    "ema": option(
        float, "--ema", help="Also evaluate a moving average of the weights, such as 0.999."
    ),
    "tta": option(
        str, "--tta", help="flip: evaluate each image and its mirror image, where those train."
    ),
}  # fmt: skip

OPTIMIZER = {
    "optimizer": option(
        str, "--optimizer", default=_D.optimizer, complete=names(OPTIMIZERS),
        help=f"{', '.join(OPTIMIZERS.names())}, or your own module:Class.",
    ),
    "opt": option(
        list[str], "--opt",
        help="A setting of the optimizer's class, key=value, such as betas=0.9,0.95. Repeatable.",
    ),
    "momentum": option(float, "--momentum", default=_D.momentum, help="Of sgd and rmsprop."),
    "nesterov": flag("--nesterov/--no-nesterov", help="Nesterov's momentum, for sgd."),
    "weight_decay": option(
        float, "--weight-decay", default=_D.weight_decay, help="Weight decay."
    ),
    "batch_size": option(
        str, "--batch-size", default=_D.batch_size,
        help="Images in a batch, or all of them: all; compare takes several: 64,128.",
    ),
    "accumulate": option(
        int, "--accumulate", default="1",
        help="Batches whose mean gradient makes one optimizer step; schedules count steps.",
    ),
    "clip_norm": option(float, "--clip-norm", help="Clip the norm of all gradients to this."),
    "clip_value": option(float, "--clip-value", help="Clip each number of the gradients to this."),
    "no_decay_norms": flag(
        "--no-decay-norms", help="No weight decay for biases and normalisation layers."
    ),
    "group": option(
        list[str], "--group",
        help="Parameters with an LR of their own: 'PATTERN lr=10x schedule=cosine "
        "weight_decay=0 freeze=2ep'. Repeatable; the first match wins.",
    ),
}  # fmt: skip

RUN = {
    "seeds": option(int, "--seeds", help="How many seeds."),
    "seed": option(int, "--seed", default=0, help="The first of the seeds."),
    "device": option(str, "--device", default="auto", help="auto, cpu, cuda, cuda:N."),
    "precision": option(
        str, "--precision", default=_D.precision, help="fp32, tf32 or bf16."
    ),
    "graph": flag(
        "--graph/--no-graph",
        help="Replay training steps as a CUDA graph; off, as no GPU has measured it yet.",
    ),
    "at_once": option(
        int, "--at-once", default="as a probe says",
        help="Trials side by side in the graph of --graph; not measured on a GPU yet either.",
    ),
    "compile": flag(
        "--compile/--no-compile", help="Train through torch.compile: worth its minute in long runs."
    ),
    "threads": option(int, "--threads", help="CPU threads of a trial; all cores by default."),
    "deterministic": flag(
        "--deterministic/--no-deterministic",
        help="The same bits each time on a CUDA device, slower; a CPU gives them anyway.",
    ),
    "executor": option(
        str, "--executor", default="serial", complete=names(EXECUTORS),
        help=f"Where trials run: {', '.join(EXECUTORS.names())}.",
    ),
    "jobs": option(
        int, "--jobs", "-j", default="1",
        help="Trials at a time, in processes of their own (--executor pool).",
    ),
    "trial_timeout": option(
        str, "--trial-timeout", help="Give a trial up after this long, like 10m: it has failed."
    ),
    "max_failures": option(int, "--max-failures", help="Stop after this many failed trials."),
    "retry_failed": flag("--retry-failed", help="Train failed trials again."),
    "force": flag(
        "--force", help="Go on with a run that was begun with other threads, torch or device."
    ),
}  # fmt: skip

RANGE_TEST = {
    "start_lr": option(float, "--start-lr", default="1e-06", help="The lowest LR of the sweep."),
    "end_lr": option(float, "--end-lr", default="10", help="The highest LR of the sweep."),
    "points": option(int, "--points", default="100", help="Steps of each sweep."),
    "mode": option(str, "--mode", default="exp", help="exp or linear spacing."),
    "rule": option(str, "--rule", help="The rule that reads the LR off the curve."),
    "window": option(
        float, "--window", default="1", help="Width of the smoothing, in decades."
    ),
    "step": option(str, "--step", default="batch", help="A point is a batch, or an epoch."),
    "val_loss": flag(
        "--val-loss/--train-loss", help="The curve is the loss on a batch of validation data."
    ),
    "sweep_group": option(
        str, "--sweep-group",
        help="Sweep one --group, by pattern or number; the others stay at their lr=.",
    ),
    "verify": flag("--verify/--no-verify", help="Check by short trainings; by default if cheap."),
    "max_stable": flag(
        "--max-stable/--no-max-stable",
        help="Look for the largest stable LR; by default if cheap, or for a table.",
    ),
    "batch_sizes": option(
        str, "--batch-sizes", help="A table of answers for these batch sizes: 32,128,512."
    ),
    "momenta": option(str, "--momenta", help="The same for these momenta: 0,0.9."),
}  # fmt: skip

COMPARISON = {
    "schedule": option(
        list[str], "--schedule", "-s", help="A schedule spec, repeatable; six by default."
    ),
    "lr": option(
        str, "--lr", default="auto", help="auto (range test), one LR, or several: 0.05,0.1."
    ),
    "lr_points": option(
        int, "--lr-points", help="LRs tried per schedule with --lr auto: 5; 3 without --epochs."
    ),
    "range_test": option(
        str, "--range-test",
        help="The range test of --lr auto: points=100,seeds=3,end_lr=10,... as of lrbench find.",
    ),
    "lr_scaling": option(
        str, "--lr-scaling", default="none",
        help="Multiply the LRs of --lr by k (linear) or its root (sqrt): k = images in a step "
        "over --base-batch-size.",
    ),
    "base_batch_size": option(
        int, "--base-batch-size", help="The batch size that the LRs of --lr are for."
    ),
    "early_stop": option(
        str, "--early-stop",
        help="End a trial that no longer improves: patience=5,metric=val_loss,min_delta=0.001.",
    ),
    "lr_factor": option(float, "--lr-factor", default="2", help="Ratio of neighbouring LRs."),
    "tuner": option(
        str, "--tuner", default="grid",
        help="grid (every LR in full) or halving (only the best of shorter trainings).",
    ),
    "tuning_seeds": option(
        int, "--tuning-seeds", help="Seeds over which an LR is chosen: 2; 1 without --epochs."
    ),
    "epochs": option(int, "--epochs", default="2", help="Of each trial."),
    "budgets": option(
        str, "--budgets",
        help="Rank for several lengths of training, schedules stretched: 25%,50%,100% or epochs.",
    ),
    "metric": option(
        str, "--metric", default="test_accuracy", 
        help="Or test_loss, test_balanced_accuracy (the mean over classes), or val_… of these."
    ),
    "contender": option(
        list[str], "--contender", complete=names(OPTIMIZERS),
        help="An optimizer to rank beside the schedules, at a constant LR of its own, such as "
        "schedulefree_sgd or prodigy. Repeatable.",
    ),
    "reference": option(str, "--reference", help="A schedule to hold the others against."),
    "target_accuracy": option(
        float, "--target-accuracy", help="For epochs to target; by default 99 % of the best."
    ),
    "time_budget": option(str, "--time-budget", help="Size the plan to fit, like 20m."),
    "record_steps": flag(
        "--record-steps/--no-record-steps", help="Write steps.csv: LR and loss of each step."
    ),
}  # fmt: skip

PANELS: dict[str, dict[str, Any]] = {
    "Data": DATA,
    "Model": MODEL,
    "Optimizer": OPTIMIZER,
    "Comparison": COMPARISON,
    "Range test": RANGE_TEST,
    "Run": RUN,
}
