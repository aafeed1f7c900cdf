"""The options that commands share. Every default is None: a TOML file may speak where the command
line is silent, and the real defaults are those of the specs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lrbench.data import DATASETS
from lrbench.experiment import Recipe
from lrbench.models import MODELS
from lrbench.optimizers import OPTIMIZERS
from lrbench.registry import Registry


def _option(*names: str, panel: str, help: str, default: Any = None, **more: Any) -> Any:
    shown = str(default) if default is not None else False
    return typer.Option(*names, help=help, rich_help_panel=panel, show_default=shown, **more)


def _names(registry: Registry[Any]) -> Any:
    """Completion from a registry."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        return [(e.name, e.summary) for e in registry if e.name.startswith(incomplete)]

    return complete


_D = Recipe()

Dataset = Annotated[
    str | None,
    _option(
        "--dataset", panel="Data", default=_D.dataset, autocompletion=_names(DATASETS),
        help=f"{', '.join(DATASETS.names())}, or folder:PATH of train/CLASS/* and test/CLASS/*.",
    ),
]  # fmt: skip
DataDir = Annotated[
    Path | None,
    _option(
        "--data-dir", panel="Data",
        help="Where datasets lie, or are downloaded to; or set LRBENCH_DATA_DIR.",
    ),
]  # fmt: skip
Download = Annotated[
    bool | None,
    _option("--download/--no-download", panel="Data", help="Fetch the dataset if it is missing."),
]
Augment = Annotated[
    str | None,
    _option("--augment", panel="Data", default="default", help="default (crop, flip) or none."),
]
Model = Annotated[
    str | None,
    _option(
        "--model", panel="Model", default=_D.model, autocompletion=_names(MODELS),
        help=f"{', '.join(MODELS.names())}.",
    ),
]  # fmt: skip
Optimizer = Annotated[
    str | None,
    _option(
        "--optimizer", panel="Optimizer", default=_D.optimizer,
        autocompletion=_names(OPTIMIZERS),
        help=f"{', '.join(OPTIMIZERS.names())}.",
    ),
]  # fmt: skip
Momentum = Annotated[
    float | None,
    _option("--momentum", panel="Optimizer", default=_D.momentum, help="Of sgd and rmsprop."),
]
Nesterov = Annotated[
    bool | None,
    _option("--nesterov/--no-nesterov", panel="Optimizer", help="Nesterov's momentum, for sgd."),
]
WeightDecay = Annotated[
    float | None,
    _option("--weight-decay", panel="Optimizer", default=_D.weight_decay, help="Weight decay."),
]
BatchSize = Annotated[
    int | None,
    _option("--batch-size", panel="Optimizer", default=_D.batch_size, help="Images in a batch."),
]
Group = Annotated[
    list[str] | None,
    _option(
        "--group", panel="Optimizer",
        help="Parameters with an LR of their own: 'PATTERN lr=10x schedule=cosine "
        "weight_decay=0'. Repeatable; the first match wins.",
    ),
]  # fmt: skip
Seeds = Annotated[int | None, _option("--seeds", panel="Run", help="How many seeds.")]
Seed = Annotated[
    int | None, _option("--seed", panel="Run", default=0, help="The first of the seeds.")
]
Device = Annotated[
    str | None, _option("--device", panel="Run", default="auto", help="auto, cpu, cuda, cuda:N.")
]
Precision = Annotated[
    str | None, _option("--precision", panel="Run", default="fp32", help="fp32, tf32 or bf16.")
]
Threads = Annotated[
    int | None, _option("--threads", panel="Run", help="CPU threads; all cores by default.")
]
Out = Annotated[
    Path | None,
    _option("--out", panel="Output", help="The run's folder; results/<name> by default."),
]
Json = Annotated[
    bool, _option("--json", panel="Output", help="Print one JSON document, and nothing else.")
]
Quiet = Annotated[bool, _option("--quiet", "-q", panel="Output", help="No progress.")]
Config = Annotated[
    Path | None,
    _option("--config", panel="Run", help="A TOML file of options; the command line wins."),
]
PrintConfig = Annotated[
    bool, _option("--print-config", panel="Run", help="Print the options as TOML, and stop.")
]
DryRun = Annotated[
    bool, _option("--dry-run", panel="Run", help="Show the plan and its time, and stop.")
]
