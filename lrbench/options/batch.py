"""Batch sizes: one, several, or the whole training split."""

from __future__ import annotations

from typing import Any

from lrbench.errors import UsageError
from lrbench.experiment import Recipe
from lrbench.options.host import host_of
from lrbench.options.names import Options
from lrbench.options.values import listed


def batch_sizes(value: Any, options: Options | None = None) -> tuple[int, ...]:
    """The numbers; `all` is the size of the whole training split, which is read for that.

    >>> batch_sizes(128), batch_sizes("64,128")
    ((128,), (64, 128))

    Raises:
        UsageError: no whole numbers of at least 1.
        MachineError: the dataset is not there.
    """
    parts = listed(value.split(",") if isinstance(value, str) else value)
    parts = [whole_split(options or {}) if part == "all" else part for part in parts]
    try:
        found = tuple(dict.fromkeys(int(str(part).strip()) for part in parts))
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise UsageError(f"--batch-size {value}: give whole numbers of at least 1, or all")
    return found


def whole_split(options: Options) -> int:
    """How many images a training really trains on."""
    from lrbench.data import load
    from lrbench.data.split import stratified

    if options.get("task"):
        raise UsageError("--batch-size all: only the --task knows its samples; name the number")
    host, default = host_of(options), Recipe()
    data = load(options.get("dataset", default.dataset), host.data_dir, host.download)
    fraction = options.get("val_fraction", default.val_fraction)
    kept, _ = stratified(data.train_labels, float(fraction))
    return len(kept)
