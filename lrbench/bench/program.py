"""What the probe repeats: a network, its optimizer and one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrbench.engine.repeat import lr_type
from lrbench.experiment import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


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
        self.lr = torch.tensor(0.01, dtype=lr_type(device), device=device)
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
