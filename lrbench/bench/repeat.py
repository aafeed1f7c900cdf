"""A training step that is repeated on the same memory: captured where the device can, else run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lrbench.experiment import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Work = Callable[[], None]
WARM_UP = 3  # steps before a capture: optimizer state, cuDNN's choices and memory are then there


class Program:
    """A network, its optimizer and one batch, all in memory that stays where it is; calling it is
    one training step. The learning rate is a tensor, read when the step runs."""

    def __init__(
        self, recipe: Recipe, shape: tuple[int, int, int], device: torch.device, seed: int = 0
    ) -> None:
        import torch

        from lrbench.models import build

        generator = torch.Generator().manual_seed(seed)
        size = recipe.batch_size
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            model = build(recipe.model, shape, 10)
        last = torch.channels_last
        self.model: nn.Module = model.to(device).to(memory_format=last)
        images = torch.randn(size, *shape, generator=generator)
        self.images = images.to(device).to(memory_format=last)
        self.labels = torch.randint(0, 10, (size,), generator=generator).to(device)
        self.lr = torch.tensor(0.01, dtype=torch.float64, device=device)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), self.lr, momentum=0.9, weight_decay=5e-4, fused=True
        )
        self.loss: Tensor = torch.zeros((), device=device)
        self.precision = recipe.precision

    def __call__(self) -> None:
        import torch

        from lrbench.engine.precision import autocast

        with autocast(self.images.device, self.precision):
            loss = torch.nn.functional.cross_entropy(self.model(self.images), self.labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.loss.copy_(loss.detach())


def repeated(work: Work, device: torch.device) -> Work:
    """The work as one CUDA graph, after some runs that warm it up; on other devices the work
    itself, after as many runs."""
    import torch

    if device.type != "cuda":
        for _ in range(WARM_UP):
            work()
        return work
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def abreast(works: Sequence[Work], device: torch.device) -> Work:
    """All of the works side by side, each on a stream of its own that starts from the current one
    and ends in it; on other devices one after the other."""
    import torch

    if device.type != "cuda":
        return in_turn(works)
    streams = [torch.cuda.Stream(device) for _ in works]  # type: ignore[no-untyped-call]

    def together() -> None:
        home = torch.cuda.current_stream(device)
        for work, stream in zip(works, streams, strict=True):
            stream.wait_stream(home)
            with torch.cuda.stream(stream):
                work()
        for stream in streams:
            home.wait_stream(stream)

    return together


def in_turn(works: Sequence[Work]) -> Work:
    """One after the other."""

    def all_of_them() -> None:
        for work in works:
            work()

    return all_of_them
