"""What the engine takes for granted about torch: should a release change one of these, this is
where it shows."""

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import (
    SGD,
    Adam,
    AdamW,
)

from lrbench.engine.graphs.capture import captured, lr_dtype

OPTIMIZERS = [
    (SGD, {"momentum": 0.9, "weight_decay": 5e-4}),
    (Adam, {"weight_decay": 5e-4}),
    (AdamW, {"weight_decay": 5e-4}),
]


def trained(make: Any, lr: Any, steps: int = 5, **options: Any) -> list[Tensor]:
    """Weights of a small network after some steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    optimizer = make(model.parameters(), lr=lr, **options)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 6)).square().sum().backward()
        optimizer.step()
    return [p.detach().clone() for p in model.parameters()]


def furthest(a: list[Tensor], b: list[Tensor]) -> float:
    return max(float((x - y).abs().max()) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(("make", "options"), OPTIMIZERS)
def test_a_fused_optimizer_reads_its_lr_from_a_tensor(make: Any, options: Any) -> None:
    """A captured graph can then be led through learning rates without capturing it again."""
    number = trained(make, 0.01, fused=True, **options)
    tensor = trained(make, torch.tensor(0.01, dtype=torch.float64), fused=True, **options)
    assert furthest(number, tensor) == 0
    assert furthest(number, trained(make, 0.02, fused=True, **options)) > 1e-4


@pytest.mark.parametrize("make", [Adam, AdamW])
def test_capturable_and_fused_runs_on_a_cpu_and_changes_nothing(make: Any) -> None:
    """So that the steps of `--graph` can be tested there; without fused it is refused."""
    lr = torch.tensor(0.01, dtype=torch.float64)
    both = trained(make, lr, fused=True, capturable=True)
    assert furthest(both, trained(make, 0.01, fused=True)) == 0
    with pytest.raises((AssertionError, RuntimeError)):
        trained(make, 0.01, foreach=False, capturable=True)


def test_an_lr_on_the_device_has_the_type_that_fused_kernels_read() -> None:
    assert lr_dtype(torch.device("cpu")) is torch.float64
    assert lr_dtype(torch.device("cuda", 1)) is torch.float32


def test_momentum_buffers_of_zeros_make_the_first_step_like_any_other() -> None:
    """torch decides in Python whether a step is the first, and a capture would freeze that."""
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(7)) for _ in range(2)]
    weights[1].data.copy_(weights[0].data)
    optimizers = [SGD([w], lr=0.1, momentum=0.9, weight_decay=0.01, fused=True) for w in weights]
    optimizers[1].state[weights[1]]["momentum_buffer"] = torch.zeros(7)
    for _ in range(3):
        gradient = torch.randn(7)
        for weight, optimizer in zip(weights, optimizers, strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    assert torch.equal(weights[0], weights[1])


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("make", "options"), OPTIMIZERS)
def test_on_cuda_a_captured_fused_step_hears_a_new_lr(make: Any, options: Any) -> None:
    device = torch.device("cuda")
    lr = torch.zeros((), dtype=lr_dtype(device), device=device)
    weight = nn.Parameter(torch.ones(4, device=device))
    more = {"capturable": True} if make is not SGD else {}
    optimizer = make([weight], lr=lr, fused=True, **options, **more)
    weight.grad = torch.ones_like(weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Adam says of each step that it could be captured
        step = captured(optimizer.step, device)
    before = weight.detach().clone()
    step()
    assert torch.equal(weight.detach(), before)  # an LR of zero
    lr.fill_(0.5)
    step()
    assert float((weight.detach() - before).abs().min()) > 0.1
