"""What tests hand to `lrbench.find`: a network, its data, settings that are soon done."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lrbench.rangetest.api import find
from lrbench.rangetest.result import FindResult

LOSS = nn.CrossEntropyLoss()
SWEEP: dict[str, Any] = {"verify": False, "max_stable": False}
QUICK: dict[str, Any] = {"points": 40, "seeds": 2, "verify_steps": 8}


class Net(nn.Module):
    """With everything that training changes: batch-norm, dropout, a buffer outside state_dict."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3)
        )
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1  # a new tensor takes the old one's place
        out: Tensor = self.layers(x)
        return out


def dataset() -> TensorDataset:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(96, 6, generator=generator)
    return TensorDataset(x, (x @ torch.randn(6, 3, generator=generator)).argmax(1))


def loader(**settings: Any) -> DataLoader[Any]:
    return DataLoader(dataset(), batch_size=16, shuffle=True, **settings)


def trained(kind: type[torch.optim.Optimizer] = torch.optim.Adam) -> tuple[Net, Any]:
    """A net in the middle of its training: optimizer state, gradients, one part in eval mode."""
    torch.manual_seed(0)
    model = Net()
    optimizer = kind(model.parameters(), lr=1e-2)  # type: ignore[call-arg]
    for x, y in loader():
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.layers[1].eval()
    return model, optimizer


def two_groups(model: Any, *lrs: Any) -> torch.optim.Optimizer:
    parts = zip((model.layers[0], model.layers[4]), lrs, strict=True)
    return torch.optim.SGD([{"params": part.parameters(), "lr": lr} for part, lr in parts])


def quick(model: nn.Module, data: Any, optimizer: Any, **settings: Any) -> FindResult:
    loss_fn = None if "step" in settings else LOSS
    return find(model, loss_fn, data, optimizer, **{**QUICK, **settings})


def seeing(see: Callable[[Any, Any], Any]) -> tuple[list[Any], Callable[[Any, Any], Tensor]]:
    """What is seen of the model and the batch at each step, and the step that sees it."""
    seen: list[Any] = []

    def step(model: Any, batch: Any) -> Tensor:
        seen.append(see(model, batch))
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    return seen, step


def bits(value: Any) -> Any:
    """A value as nested tuples that compare bit for bit."""
    if isinstance(value, Tensor):
        return (str(value.dtype), tuple(value.shape), value.detach().numpy().tobytes())
    if isinstance(value, dict):
        return tuple((key, bits(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(bits(item) for item in value)
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return value


def everything(model: nn.Module, optimizer: Any, loader: Any) -> Any:
    own = getattr(loader, "generator", None)
    return bits(
        {
            "parameters": dict(model.named_parameters()),
            "identity": [id(p) for p in model.parameters()],
            "buffers": dict(model.named_buffers()),
            "grads": [p.grad for p in model.parameters()],
            "grad identity": [id(p.grad) for p in model.parameters()],
            "flags": [p.requires_grad for p in model.parameters()],
            "modes": [m.training for m in model.modules()],
            "optimizer": optimizer.state_dict(),
            "attributes": sorted(vars(optimizer)),
            "python": random.getstate(),
            "numpy": np.random.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else (),
            "loader": own.get_state() if own is not None else None,
            "grad mode": torch.is_grad_enabled(),
        }
    )


@contextmanager
def left_alone(model: nn.Module, optimizer: Any, loader: Any = None) -> Iterator[None]:
    """Everything is as before at the end."""
    before = everything(model, optimizer, loader)
    yield
    assert everything(model, optimizer, loader) == before
