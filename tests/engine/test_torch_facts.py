"""What the engine takes for granted about torch: should a release change one of these, this is
where it shows."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    RAdam,
    RMSprop,
    lr_scheduler,
)

from lrbench.engine.graphs.capture import lr_type, repeated
from lrbench.schedules import parse

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


@pytest.mark.parametrize("kind", [{"foreach": False}, {"foreach": True}])
def test_sgd_takes_a_tensor_lr_unfused_as_well(kind: Any) -> None:
    number = trained(SGD, 0.01, momentum=0.9, **kind)
    assert furthest(number, trained(SGD, torch.tensor(0.01), momentum=0.9, **kind)) < 1e-7


@pytest.mark.parametrize(("make", "options"), OPTIMIZERS)
def test_fused_is_the_same_optimizer(make: Any, options: Any) -> None:
    plain = trained(make, 0.01, foreach=False, **options)
    assert furthest(plain, trained(make, 0.01, fused=True, **options)) < 1e-6


def test_an_lr_for_each_trial_in_one_tensor_is_refused() -> None:
    with pytest.raises(ValueError, match="1-element"):
        SGD([nn.Parameter(torch.zeros(2))], lr=torch.tensor([0.1, 0.2]))


def test_adam_with_foreach_and_a_tensor_lr_is_refused() -> None:
    with pytest.raises(ValueError, match="capturable"):
        Adam([nn.Parameter(torch.zeros(2))], lr=torch.tensor(0.1), foreach=True)


@pytest.mark.parametrize(
    ("make", "fused", "capturable"),
    [(SGD, True, False), (Adam, True, True), (AdamW, True, True), (Adagrad, True, False),
     (RMSprop, False, True), (NAdam, False, True), (RAdam, False, True), (Adamax, False, True),
     (Adadelta, False, True)],
)  # fmt: skip
def test_which_optimizers_are_fused_and_capturable(
    make: Any, fused: bool, capturable: bool
) -> None:
    names = inspect.signature(make).parameters
    assert ("fused" in names, "capturable" in names) == (fused, capturable)


@pytest.mark.parametrize("make", [Adam, AdamW])
def test_adam_takes_a_tensor_lr_unfused_as_well(make: Any) -> None:
    number = trained(make, 0.01, foreach=False)
    assert furthest(number, trained(make, torch.tensor(0.01), foreach=False)) < 1e-6


@pytest.mark.parametrize("make", [Adam, AdamW])
def test_capturable_and_fused_runs_on_a_cpu_and_changes_nothing(make: Any) -> None:
    """So that the steps of `--graph` can be tested there; without fused it is refused."""
    lr = torch.tensor(0.01, dtype=torch.float64)
    both = trained(make, lr, fused=True, capturable=True)
    assert furthest(both, trained(make, 0.01, fused=True)) == 0
    with pytest.raises((AssertionError, RuntimeError)):
        trained(make, 0.01, foreach=False, capturable=True)


def test_an_lr_may_be_a_view_of_a_table_that_is_written_over() -> None:
    table = torch.tensor([[0.5, 0.25]], dtype=torch.float64)
    weights = [nn.Parameter(torch.ones(2)) for _ in range(2)]
    optimizer = SGD([{"params": [w]} for w in weights], lr=1.0, fused=True)
    for place, group in enumerate(optimizer.param_groups):
        group["lr"] = table[0, place]
    torch.index_select(torch.zeros(3, 2).double() + 0.125, 0, torch.tensor([1]), out=table)
    for weight in weights:
        weight.grad = torch.ones(2)
    optimizer.step()
    assert all(torch.equal(w.detach(), torch.full((2,), 0.875)) for w in weights)


def test_an_lr_on_the_device_has_the_type_that_fused_kernels_read() -> None:
    assert lr_type(torch.device("cpu")) is torch.float64
    assert lr_type(torch.device("cuda", 1)) is torch.float32


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


@pytest.mark.parametrize(
    "make",
    [
        lambda o: lr_scheduler.StepLR(o, 1),
        lambda o: lr_scheduler.CosineAnnealingLR(o, 5),
        lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=10),
        lambda o: lr_scheduler.ExponentialLR(o, 0.9),
        lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=3),
        lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.ConstantLR(o, 0.5, 1), lr_scheduler.StepLR(o, 1)], milestones=[1]
        ),
        lambda o: lr_scheduler.ChainedScheduler(
            [lr_scheduler.ExponentialLR(o, 0.9), lr_scheduler.StepLR(o, 1)], optimizer=o
        ),
    ],
    ids=["step", "cosine", "onecycle", "exponential", "cyclic", "sequential", "chained"],
)
def test_schedulers_of_torch_write_into_the_lr_tensor_that_is_there(make: Any) -> None:
    lr = torch.tensor(0.1, dtype=torch.float64)
    optimizer = SGD([nn.Parameter(torch.zeros(2))], lr=lr, momentum=0.9)
    schedule, before = make(optimizer), lr.item()
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] is lr
    assert lr.item() != before or isinstance(schedule, lr_scheduler.OneCycleLR)


def test_a_milestone_of_0_begins_with_the_second_scheduler_from_torch_2_13_on() -> None:
    """Before, the first factor of the first one stays in all that follows, and the second comes a
    count late. Ours does neither, so what `lrbench schedules code` prints has other LRs there."""
    optimizer = SGD([nn.Parameter(torch.zeros(2))], lr=1.0)
    schedulers: list[Any] = [
        lr_scheduler.ConstantLR(optimizer, 0.1, 5),
        lr_scheduler.StepLR(optimizer, 2, 0.5),
    ]
    sequence, lrs = lr_scheduler.SequentialLR(optimizer, schedulers, milestones=[0]), []
    for _ in range(4):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        sequence.step()
    ours = parse("SequentialLR([ConstantLR(0.1, 5), StepLR(2, 0.5)], milestones=[0])")
    table = ours.table(lr=1.0, steps=4, steps_per_epoch=1)
    assert table == [1.0, 1.0, 0.5, 0.5]
    assert lrs == (table if torch.__version__ >= (2, 13) else [0.1, 0.1, 0.1, 0.05])


def test_a_captured_graph_can_own_a_generator() -> None:
    assert hasattr(torch.cuda.CUDAGraph, "register_generator_state")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("make", "options"), OPTIMIZERS)
def test_on_cuda_a_captured_fused_step_hears_a_new_lr(make: Any, options: Any) -> None:
    device = torch.device("cuda")
    lr = torch.zeros((), dtype=lr_type(device), device=device)
    weight = nn.Parameter(torch.ones(4, device=device))
    more = {"capturable": True} if make is not SGD else {}
    optimizer = make([weight], lr=lr, fused=True, **options, **more)
    weight.grad = torch.ones_like(weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Adam says of each step that it could be captured
        step = repeated(optimizer.step, device)
    before = weight.detach().clone()
    step()
    assert torch.equal(weight.detach(), before)  # an LR of zero
    lr.fill_(0.5)
    step()
    assert float((weight.detach() - before).abs().min()) > 0.1
