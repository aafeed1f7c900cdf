"""One contender in a process of its own: it gets ready, then times a round whenever asked."""

from __future__ import annotations

import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from lrbench.bench.figures import Round
from lrbench.bench.plan import Contender, Workload
from lrbench.experiment import Recipe, TrialSpec
from lrbench.records import Record, TrialEnd
from lrbench.tasks.base import Split, Task

if TYPE_CHECKING:
    import torch
    from torch import nn

    from lrbench.data import ImageData
    from lrbench.engine.program import Program
    from lrbench.engine.train import Training
    from lrbench.tasks.images import ImageTask

LR = 0.01
Train = Callable[[int], int]  # epochs -> images that were trained on


def serve(pipe: Connection, work: Workload, contender: Contender, start_method: str) -> None:
    """Send what getting ready took, in seconds by name; then, for each number of epochs that
    arrives, a `Round`. A fault is sent as its text. Worker processes of a DataLoader start as
    they do in a user's own script on this machine."""
    try:
        multiprocessing.set_start_method(start_method, force=True)
        # more workers than cores: that is what their row is there to show
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        began = time.perf_counter()
        import torchvision  # noqa: F401 counted with torch, not with the data

        imported = time.perf_counter()
        train, data_s = prepared(work, contender)
        ready = time.perf_counter()
        train(1)
        torch_sync(work.device)
        warm_s = time.perf_counter() - ready
        laid_out_s = ready - imported - data_s
        pipe.send({"import_s": imported - began, "data_s": data_s, "laid_out_s": laid_out_s,
                   "first_epoch_s": warm_s})  # fmt: skip
        while (epochs := pipe.recv()) is not None:
            pipe.send(timed(train, epochs, work.device, counts_cpu=contender.workers == 0))
    except (EOFError, KeyboardInterrupt):
        return
    except Exception as fault:  # the compiler, the device: anything may be missing
        pipe.send(f"{type(fault).__name__}: {' '.join(str(fault).split())}"[:300])


def prepared(work: Workload, contender: Contender) -> tuple[Train, float]:
    """What trains for some epochs, and the seconds that reading the data took."""
    from lrbench.engine.device import set_threads
    from lrbench.engine.precision import apply_precision

    set_threads(contender.threads)
    device = opened(work.device)
    apply_precision(device, contender.precision)
    recipe = work.recipe.model_copy(
        update={"precision": contender.precision, "compile": contender.compiled}
    )
    began = time.perf_counter()
    data = slim(work)
    data_s = time.perf_counter() - began
    if contender.loop == "engine":
        return engine(recipe, data, device, contender), data_s
    return by_hand(recipe, data, device, contender), data_s


def timed(train: Train, epochs: int, device: str, *, counts_cpu: bool = True) -> Round:
    torch_sync(device)
    wall, cpu = time.perf_counter(), time.process_time()
    images = train(epochs)
    torch_sync(device)
    spent = time.process_time() - cpu if counts_cpu else None
    return Round(time.perf_counter() - wall, spent, images)


def slim(work: Workload) -> ImageData:
    """The dataset with at most `images` training images left after validation, evenly spread."""
    from lrbench.data import load

    data = load(work.recipe.dataset, work.data_dir)
    wanted = int(work.images / (1 - work.recipe.val_fraction))
    every = max(1, -(-len(data.train_labels) // wanted))
    return replace(
        data, train_images=data.train_images[::every], train_labels=data.train_labels[::every]
    )


class Switched:
    """An image task that is never evaluated, with the engine's switches applied to its models."""

    def __init__(self, task: ImageTask, contender: Contender) -> None:
        self.task = task
        self.contender = contender
        self.steps_per_epoch = task.steps_per_epoch
        self.samples_per_step = task.samples_per_step
        self.loss = task.loss
        self.orders = task.orders
        self.ordered_batch = task.ordered_batch

    def model(self, seed: int) -> nn.Module:
        import torch

        model = self.task.model(seed)
        if not self.contender.channels_last:
            model = model.to(memory_format=torch.contiguous_format)
        return model

    def train_batches(self, seed: int, epoch: int) -> Iterator[Any]:
        for images, labels in self.task.train_batches(seed, epoch):
            yield images if self.contender.channels_last else in_order(images), labels

    def evaluate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        return {}


def in_order(images: torch.Tensor) -> torch.Tensor:
    """The images with channels first; of one channel, both orders look contiguous to torch."""
    import torch

    return torch.empty(images.shape, device=images.device).copy_(images)


def engine(recipe: Recipe, data: ImageData, device: torch.device, contender: Contender) -> Train:
    """Whole trials of the engine, bookkeeping and all; only evaluation is left out."""
    from lrbench.engine.program import Program
    from lrbench.engine.train import begin
    from lrbench.tasks.images import ImageTask

    task = Switched(ImageTask(data, recipe, device, with_test=False), contender)
    program = Program(task, recipe, contender.graph) if contender.graph else None

    def run(epochs: int) -> int:
        trainings = [
            begin(
                task,
                TrialSpec(
                    recipe=recipe, schedule="cosine", lr=LR, seed=seed, stage="tune", epochs=epochs
                ),
            )
            for seed in range(contender.graph or 1)
        ]
        _, ends = in_turns(task, trainings, program)
        for end in ends:
            assert isinstance(end, TrialEnd) and end.status == "done", end
        return len(trainings) * epochs * task.steps_per_epoch * task.samples_per_step

    return run


def in_turns(
    task: Task, trainings: Sequence[Training], program: Program | None
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Train all to their ends, an epoch of each at a time, in the program if there is one: what
    the last epoch of each left, and how each ended. All have as many epochs."""
    from lrbench.engine.train import train

    if program is not None:
        for training in trainings:
            program.join(training)
    *_, last, ends = zip(*(train(task, training) for training in trainings), strict=True)
    if program is not None:
        for training in trainings:
            program.leave(training)
    return last, ends


def by_hand(recipe: Recipe, data: ImageData, device: torch.device, contender: Contender) -> Train:
    """Whole trainings of the reference loop, on the reference's data, on the tuned one, or alone:
    on the batches of a tuned epoch that was loaded before."""
    import torch

    from lrbench.bench import reference, tuned
    from lrbench.data.split import stratified
    from lrbench.models import build

    kept, _ = stratified(data.train_labels, recipe.val_fraction)
    data = replace(data, train_images=data.train_images[kept], train_labels=data.train_labels[kept])
    is_tuned = contender.loop != "reference"
    home = tuned if is_tuned else reference
    batches = home.train_loader(data, recipe.batch_size, contender.workers, device.type)
    if contender.loop == "alone":
        batches = [(images.to(device), labels.to(device)) for images, labels in batches]

    def run(epochs: int) -> int:
        model = build(recipe.model, data.image_shape, len(data.classes)).to(device)
        model = tuned.prepared(model) if is_tuned else model
        optimizer = torch.optim.SGD(
            model.parameters(),
            LR,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=is_tuned or None,
        )
        steps = epochs * (len(kept) // recipe.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        done = sum(
            1
            for _ in range(epochs)
            for _ in reference.train_epoch(
                model, optimizer, schedule, batches, device.type, recipe.precision
            )
        )
        return done * recipe.batch_size

    return run


def opened(name: str) -> torch.device:
    """The device, made the current one of this process: the loops by hand only say `cuda`."""
    from lrbench.engine.device import open_device

    device = open_device(name)
    if device.index is not None:
        import torch

        torch.cuda.set_device(device)
    return device


def torch_sync(device: str | torch.device) -> None:
    """Wait until the device has done what it was given."""
    if str(device).startswith("cuda"):
        import torch

        torch.cuda.synchronize(device)
