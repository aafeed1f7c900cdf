"""What a capture needs of a step and no CPU would miss: nothing in it is read from the device or
comes from the host. torch's fake tensors say so of a CUDA device on a machine that has none."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lrbench.engine.graphs.program import CAPTURED, Slot, why_not
from lrbench.models import MODELS, build
from lrbench.options import Recipe
from lrbench.tasks.images import ImageTask
from tests.data.makers import image_data
from tests.engine.tools import CPU, CUDA, METHODS

SMALL = {"batch_size": 8, "val_fraction": 0.2}
CHANGES: dict[str, dict[str, Any]] = {
    **{name: METHODS[name] for name in METHODS if name not in ("nesterov", "averaged")},
    "groups": {**METHODS["groups"], "no_decay_norms": True},
}
RECIPES = {
    **{name: Recipe(model=name, **SMALL) for name in MODELS.names() if name != "gpt"},
    **{f"resnet8, bf16, {name}": Recipe(model="resnet8", precision="bf16", optimizer=name, **SMALL)
       for name in CAPTURED},
    **{f"{name}, {what}": Recipe(optimizer=name, **change, **SMALL)
       for name in CAPTURED for what, change in CHANGES.items()
       if name == "sgd" or "momentum" not in change},
}  # fmt: skip
SHORT = {"mlp", "resnet8, bf16, adamw", *(n for n in RECIPES if n.startswith("sgd, "))}
NAMES = [n if n in SHORT else pytest.param(n, marks=pytest.mark.long) for n in RECIPES]
WAITING = {
    "_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique2", "_unique2",
    "lift_fresh", "bincount", "repeat_interleave", "_pin_memory", "masked_fill.Tensor",
    "masked_fill_.Tensor",
}  # fmt: skip


class Watch(TorchDispatchMode):
    """The operations that wait for a device, or bring something to it."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device, self.count = device, 0
        self.found, self.fused = set[str](), set[str]()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.count += 1
        name = function.name().removeprefix("aten::")
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        by_mask = name.startswith("index") and any(t.dtype == torch.bool for t in tensors[1:])
        elsewhere = any(t.device != self.device for t in tensors)
        if {name, name.partition(".")[0]} & WAITING or by_mask or elsewhere:
            self.found.add(name)
        if self.device == CUDA and name.startswith("_fused_"):  # these write into their arguments
            self.fused |= {name}
            return None
        return function(*args, **(kwargs or {}))


def colour(recipe: Recipe, device: torch.device) -> ImageTask:
    return ImageTask(image_data(40, (3, 32, 32)), recipe, device, with_test=False)


def test_masks_numbers_read_and_tensors_from_elsewhere_are_told() -> None:
    x, mask = torch.ones(3), torch.tensor([True, False, True])
    for work in (x.sum().item, x.nonzero, lambda: x[mask], lambda: torch.tensor(1.0),
                 lambda: x.masked_fill_(mask, x.sum())):  # fmt: skip
        with Watch(CPU) as watch:
            work()
        assert watch.found, work
    with Watch(CPU) as watch:
        x.add_(1).index_select(0, torch.zeros(1, dtype=torch.int64, device=CPU))
        torch.where(mask, x.sum(), x, out=x)
    assert not watch.found
    with Watch(CUDA) as watch:
        x.add_(1)
    assert watch.found == {"add_.Tensor"}


@pytest.mark.parametrize("name", NAMES)
def test_a_step_reads_nothing_from_the_device(name: str) -> None:
    recipe = RECIPES[name]
    slot = Slot(colour(recipe, CPU), recipe)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*capturable=True")
        slot.step()
        with Watch(CPU) as watch:
            slot.step()
    assert not watch.found and watch.count > 50


@contextmanager
def on_a_fake_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tensors of a CUDA device without contents. There is no backward pass without a device: the
    gradients are made up where it would leave them."""
    made: list[nn.Module] = []

    def model(task: ImageTask, seed: int) -> nn.Module:
        with torch.device(CUDA):
            net = build(task._recipe.model, task._train.image_shape, task._classes)
        for part in net.modules():
            for name, weight in part._parameters.items():
                if weight is not None and weight.ndim == 4:
                    last = weight.detach().contiguous(memory_format=torch.channels_last)
                    part._parameters[name] = nn.Parameter(last)
        made.append(net)
        return net

    def backward(loss: Tensor) -> None:
        assert loss.device == CUDA
        for weight in made[-1].parameters():
            weight.grad = torch.empty_like(weight)

    monkeypatch.setattr(ImageTask, "model", model)
    monkeypatch.setattr(Tensor, "backward", backward)
    monkeypatch.setattr("torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda *_: True)
    with FakeTensorMode():
        yield


@pytest.mark.parametrize("name", NAMES)
def test_on_a_cuda_device_nothing_of_a_step_comes_from_the_host(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The paths that torch takes for CUDA: its fused and foreach kernels, its autocast."""
    recipe = RECIPES[name]
    assert why_not(colour(recipe, CPU), recipe) == ""
    with on_a_fake_device(monkeypatch), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*capturable=True")
        slot = Slot(colour(recipe, CUDA), recipe)
        with Watch(CUDA):
            slot.step()
        with Watch(CUDA) as watch:
            slot.step()
        assert not watch.found and watch.count > 30
        assert watch.fused == {f"_fused_{recipe.optimizer}_.tensor_lr"}
        assert {group["lr"].dtype for group in slot.optimizer.param_groups} == {torch.float32}
        states = [v for state in slot.optimizer.state.values() for v in state.values()]
        assert all(value.device == CUDA for value in states if value is not None)
