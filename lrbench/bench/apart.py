"""What no ratio shows: a whole small grid as users feel it, and how near the device's limit a
training step comes."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import repeat
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.bench.measure import receive
from lrbench.bench.plan import Workload
from lrbench.bench.worker import LR, opened, slim, torch_sync
from lrbench.engine.waiting import waiting_as_found
from lrbench.errors import MachineError
from lrbench.experiment import TrialSpec
from lrbench.run.store import Run

if TYPE_CHECKING:
    import torch


TRIALS, BY_HAND, EPOCHS = 12, 2, 2
MATRIX = 8192


def grid(work: Workload, workers: int) -> dict[str, Any]:
    """Seconds for 12 trials of 2 epochs from the start of a process to the last test accuracy:
    imports, reading the data, evaluation and records included. By hand two trials are trained,
    and their time is scaled to twelve.

    Raises:
        MachineError: one of the processes failed.
    """
    began = time.perf_counter()
    in_process("the whole grid", engine_grid, work, TRIALS)
    engine_s = time.perf_counter() - began
    began = time.perf_counter()
    with waiting_as_found():
        trained = in_process("the grid by hand", hand_grid, work, workers, BY_HAND)
    once_s = time.perf_counter() - began - trained["trials_s"]
    by_hand_s = once_s + trained["trials_s"] * TRIALS / BY_HAND
    return {
        "trials": TRIALS,
        "epochs": EPOCHS,
        "engine_s": engine_s,
        "by_hand_s": by_hand_s,
        "by_hand_workers": workers,
        "by_hand_timed_trials": BY_HAND,
        "ratio": by_hand_s / engine_s,
    }


def in_process(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns, in a new process; a text is how a fault comes back.

    Raises:
        MachineError: it failed, or the process died.
    """
    users_way, context = multiprocessing.get_start_method(), multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_answering, args=(theirs, users_way, function, arguments))
    process.start()
    theirs.close()
    try:
        answer = receive(ours, name)
    finally:
        process.join(10)
        if process.is_alive():
            process.terminate()
    if isinstance(answer, str):
        raise MachineError(f"bench: {name}: {answer}")
    return answer


def _answering(
    pipe: Connection, start_method: str, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    multiprocessing.set_start_method(start_method, force=True)
    try:
        pipe.send(function(*arguments))
    except Exception as fault:  # whatever it is, the parent says it in one line
        pipe.send(f"{type(fault).__name__}: {' '.join(str(fault).split())}"[:300])


def engine_grid(work: Workload, trials: int) -> None:
    """Train one trial after the other and write down their records, as `lrbench compare` does."""
    from lrbench.engine.device import open_device, set_threads
    from lrbench.engine.precision import apply_precision
    from lrbench.engine.train import begin, train
    from lrbench.tasks.images import ImageTask

    set_threads(work.threads)
    device, recipe = open_device(work.device), work.recipe
    apply_precision(device, recipe.precision)
    task = ImageTask(slim(work), recipe, device, with_test=True)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        for seed in range(trials):
            spec = TrialSpec(
                recipe=recipe, schedule="cosine", lr=LR, seed=seed, stage="final", epochs=EPOCHS
            )
            run.begin(spec)
            for record in train(task, begin(task, spec)):
                run.append(spec.id, [record])


def hand_grid(work: Workload, workers: int, trials: int) -> dict[str, float]:
    """Train by the reference loop, with validation after each epoch and a test at the end."""
    import torch

    from lrbench.bench import reference
    from lrbench.data.split import stratified
    from lrbench.engine.device import set_threads
    from lrbench.engine.precision import apply_precision
    from lrbench.models import build

    set_threads(work.threads)
    device, recipe, data = opened(work.device), work.recipe, slim(work)
    apply_precision(device, recipe.precision)
    kept, held = stratified(data.train_labels, recipe.val_fraction)
    mine = replace(data, train_images=data.train_images[kept], train_labels=data.train_labels[kept])
    batches = reference.train_loader(mine, recipe.batch_size, workers, device.type)
    val, test = (
        reference.plain_loader(mine, images, labels, workers, device.type)
        for images, labels in (
            (data.train_images[held], data.train_labels[held]),
            (data.test_images, data.test_labels),
        )
    )
    began = time.perf_counter()
    for seed in range(trials):
        torch.manual_seed(seed)
        model = build(recipe.model, data.image_shape, len(data.classes)).to(device)
        optimizer = torch.optim.SGD(
            model.parameters(), LR, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        total = EPOCHS * (len(kept) // recipe.batch_size)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
        for _ in range(EPOCHS):
            for _ in reference.train_epoch(
                model, optimizer, decay, batches, device.type, recipe.precision
            ):
                pass
            reference.accuracy(model, val, device.type)
        reference.accuracy(model, test, device.type)
    return {"trials_s": time.perf_counter() - began}


def compute(work: Workload, images_s: float) -> dict[str, float]:
    """FLOPs of training on an image and FLOP/s at `images_s`. On CUDA also FLOP/s of a large
    matrix product in the same precision, which no training step passes, and the share of it, in
    0..1; on a CPU convolutions may run faster than matrix products, which another library does."""
    import torch

    from lrbench.engine.device import open_device, set_threads
    from lrbench.engine.precision import apply_precision

    set_threads(work.threads)
    device = open_device(work.device)
    apply_precision(device, work.recipe.precision)
    each = flops_per_image(work, device)
    found = {"flops_per_image": each, "engine_flops_s": each * images_s}
    if device.type == "cuda":
        kind = torch.bfloat16 if work.recipe.precision == "bf16" else torch.float32
        limit = matmul_flops(device, kind, MATRIX)
        found |= {"matmul_flops_s": limit, "share": found["engine_flops_s"] / limit}
    return found


def flops_per_image(work: Workload, device: torch.device) -> float:
    """Forward and backward, counted by torch on one step: a multiply-add counts as two."""
    from torch.utils.flop_counter import FlopCounterMode

    from lrbench.engine.clock import Row
    from lrbench.engine.method import Method
    from lrbench.engine.train import begin, steps
    from lrbench.tasks.images import ImageTask

    recipe = work.recipe
    task = ImageTask(slim(work), recipe, device, with_test=False)
    spec = TrialSpec(recipe=recipe, schedule="constant", lr=LR, seed=0, stage="tune", epochs=1)
    training = begin(task, spec)
    one: Iterator[Row] = iter(training.clock.rows(0)[:1])
    with FlopCounterMode(display=False) as counter:
        for _ in steps(
            task, training.model, training.optimizer, task.train_batches(0, 0), one,
            Method.of(recipe),
        ):  # fmt: skip
            pass
    return float(counter.get_total_flops()) / recipe.batch_size


def matmul_flops(device: torch.device, kind: torch.dtype, size: int, tries: int = 5) -> float:
    """The best of some tries."""
    import torch

    a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    spans = []
    for _ in repeat(None, tries + 2):  # the first two warm up
        torch_sync(device)
        began = time.perf_counter()
        for _ in range(4):
            a @ b
        torch_sync(device)
        spans.append((time.perf_counter() - began) / 4)
    return 2 * size**3 / min(spans[2:])
