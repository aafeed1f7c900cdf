import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from lrbench.errors import UsageError
from lrbench.rangetest.api import find, max_stable_lr
from tests.rangetest.handed import QUICK, Net, bits, dataset, everything, loader, trained


class Interrupts:
    """A loss that ends with an exception after some calls."""

    def __init__(self, fault: BaseException, calls: int) -> None:
        self.fault, self.calls = fault, calls

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        self.calls -= 1
        random.random()
        np.random.rand()
        if self.calls < 0:
            raise self.fault
        return nn.functional.cross_entropy(output, target)


def test_nothing_is_left_behind() -> None:
    model, optimizer = trained()
    data = loader(generator=torch.Generator().manual_seed(7))
    before = everything(model, optimizer, data)
    result = find(model, nn.CrossEntropyLoss(), data, optimizer, **QUICK)
    assert len(result.curve) > 20
    assert everything(model, optimizer, data) == before
    head = torch.optim.SGD(model.layers[4].parameters(), lr=0.1)
    part = everything(model, head, data)  # with gradients of parameters that it does not step
    assert max_stable_lr(model, nn.CrossEntropyLoss(), data, head, steps=12).lr
    assert everything(model, head, data) == part


@pytest.mark.parametrize("fault", [RuntimeError("mine"), KeyboardInterrupt()])
@pytest.mark.parametrize("calls", [0, 30])
def test_nothing_is_left_behind_by_an_exception_which_comes_out_unchanged(
    fault: BaseException, calls: int
) -> None:
    model, optimizer = trained()
    data = loader()
    before = everything(model, optimizer, data)
    with pytest.raises(type(fault)) as caught:
        find(model, Interrupts(fault, calls), data, optimizer, **QUICK)
    assert caught.value is fault
    assert everything(model, optimizer, data) == before


def test_parameters_of_the_loss_and_of_the_optimizer_are_put_back_too() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return nn.functional.cross_entropy(output * self.scale, target)

    model, loss_fn = Net(), Scaled()
    optimizer = torch.optim.SGD([*model.parameters(), *loss_fn.parameters()], lr=0.1)
    find(model, loss_fn, loader(), optimizer, **QUICK)
    assert loss_fn.scale.item() == 1.0 and loss_fn.scale.grad is None


def test_it_works_where_gradients_are_switched_off() -> None:
    model, optimizer = trained()
    data = loader()
    before = everything(model, optimizer, data)
    with torch.no_grad():
        assert find(model, nn.CrossEntropyLoss(), data, optimizer, **QUICK).curve
    with torch.inference_mode():
        assert find(model, nn.CrossEntropyLoss(), data, optimizer, **QUICK).curve
        assert torch.is_inference_mode_enabled()
    assert everything(model, optimizer, data) == before


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_a_scripted_module_is_put_back_too() -> None:
    torch.manual_seed(0)
    parts = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    model: Any = torch.jit.script(parts)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = bits(model.state_dict())
    assert find(model, nn.CrossEntropyLoss(), loader(), optimizer, **QUICK).curve
    assert bits(model.state_dict()) == before


def test_seeds_draw_weights_only_with_make_model() -> None:
    model, optimizer = trained(torch.optim.SGD)
    settings = {**QUICK, "verify": False, "max_stable": False}
    data = list(loader())
    own = find(model, nn.CrossEntropyLoss(), data, optimizer, **settings)
    drawn = find(model, nn.CrossEntropyLoss(), data, optimizer, make_model=Net, **settings)
    assert losses_at_start(own)[0] == pytest.approx(losses_at_start(own)[1], rel=0.2)
    assert losses_at_start(drawn)[0] != losses_at_start(drawn)[1]
    assert min(losses_at_start(drawn)) > max(losses_at_start(own))


def losses_at_start(result: Any) -> list[float]:
    return [point.loss for point in result.curve if point.step == 0]


def test_generators_of_any_kind_that_a_loader_carries_are_put_back_and_follow_the_seed() -> None:
    class Drawing:
        def __init__(self) -> None:
            self.numpy = np.random.default_rng(5)
            self.old = np.random.RandomState(5)
            self.python = random.Random(5)

        def states(self) -> Any:
            return bits(
                (self.numpy.bit_generator.state, self.old.get_state(), self.python.getstate())
            )

        def __iter__(self) -> Iterator[Any]:
            for _ in range(6):
                places = [self.numpy.integers(96, size=8), self.old.randint(96, size=8)]
                places.append(np.array([self.python.randrange(96) for _ in range(8)]))
                yield dataset()[torch.from_numpy(np.concatenate(places))]

    model, optimizer = trained()
    data = Drawing()
    before = data.states()
    first, again = (find(model, nn.CrossEntropyLoss(), data, optimizer, **QUICK) for _ in "ab")
    assert data.states() == before
    data.numpy.random(), data.old.rand(), data.python.random()
    assert find(model, nn.CrossEntropyLoss(), data, optimizer, **QUICK) == first == again


def test_validation_data_judge_and_may_make_the_curve() -> None:
    model, optimizer = trained()
    data = list(loader())
    held = DataLoader(
        dataset(), batch_size=32, shuffle=True, generator=torch.Generator().manual_seed(3)
    )
    before = everything(model, optimizer, held)
    answers = [
        find(model, nn.CrossEntropyLoss(), data, optimizer, val_loader=held, val_loss=on, **QUICK)
        for on in (False, True)
    ]
    assert everything(model, optimizer, held) == before
    assert answers[0].curve[0].loss != answers[1].curve[0].loss
    assert all(
        answer.settings["val_loss"] is on for answer, on in zip(answers, (False, True), strict=True)
    )
    checked = find(
        model, nn.CrossEntropyLoss(), data, optimizer, val_loader=held,
        **{**QUICK, "verify": True, "start_lr": 1e-5, "points": 80},
    )  # fmt: skip
    assert checked.verification is None or checked.verification["data"] == "validation"


def test_a_validation_curve_looks_at_one_batch_after_each_step() -> None:
    """At most twice the time: forward over one more batch costs less than a training step."""
    seen: list[tuple[bool, float]] = []

    def step(model: nn.Module, batch: Any) -> Tensor:
        seen.append((model.training, float(batch[1][0])))
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    model, optimizer = trained()
    model.train()
    settings = {"points": 12, "seeds": 1, "verify": False, "max_stable": False, "end_lr": 1e-4}
    held = list(loader())
    find(
        model, None, list(loader()), optimizer, step=step, val_loader=held, val_loss=True,
        **settings,
    )  # fmt: skip
    modes = [training for training, _ in seen]
    assert modes == [True, False] * 12
    first = float(held[0][1][0])
    assert [label for training, label in seen if not training] == 12 * [first]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_forward_pass_computes_as_asked(precision: Any) -> None:
    kinds = set()

    def step(model: nn.Module, batch: Any) -> Tensor:
        output = model(batch[0])
        kinds.add(output.dtype)
        return nn.functional.cross_entropy(output.float(), batch[1])

    model, optimizer = trained()
    find(model, None, loader(), optimizer, step=step, precision=precision, **QUICK)
    assert kinds == {torch.float32 if precision == "fp32" else torch.bfloat16}


def two_groups(model: Any, lrs: tuple[Any, Any]) -> Any:
    return torch.optim.SGD(
        [
            {"params": model.layers[place].parameters(), "lr": lr}
            for place, lr in zip((0, 4), lrs, strict=True)
        ]
    )


@pytest.mark.parametrize(
    ("lrs", "start_lr", "alone", "ratio"),
    [
        ((0.02, 0.1), 1e-6, None, (1.0, 5.0)),
        ((0.02, torch.tensor(0.1)), 1e-6, None, (1.0, 5.0)),
        ((0.02, 0.1), [1e-6, 1e-5], None, (1.0, 10.0)),
        ((0.02, 0.1), 1e-6, 1, (None, 1.0)),
    ],
)
def test_the_answer_is_applied_to_the_groups_as_they_were_swept(
    lrs: Any, start_lr: Any, alone: int | None, ratio: Any
) -> None:
    model = Net()
    optimizer = two_groups(model, lrs)
    seen: set[float] = set()

    def step(model: nn.Module, batch: Any) -> Tensor:
        first, second = (float(group["lr"]) for group in optimizer.param_groups)
        seen.add(round(second / first, 4) if first else ratio[1])
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    found = find(
        model, None, loader(), optimizer, step=step, start_lr=start_lr, sweep_group=alone,
        verify=False, max_stable=False, **QUICK,
    )  # fmt: skip
    assert alone or seen == {ratio[1]}
    assert [group["lr"] for group in optimizer.param_groups] == list(lrs)
    replace(found, lr=0.3).apply(optimizer)
    expected = [0.02 if scale is None else 0.3 * scale for scale in ratio]
    assert [float(group["lr"]) for group in optimizer.param_groups] == pytest.approx(expected)
    assert optimizer.param_groups[1]["lr"] is lrs[1] or not isinstance(lrs[1], Tensor)
    with pytest.raises(UsageError, match="no learning rate to apply; flat"):
        replace(found, lr=None, reasons=("flat: so",)).apply(optimizer)


def test_an_endless_dataset_in_a_data_loader_is_swept() -> None:
    class Endless(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            while True:
                yield from dataset()

    model, optimizer = trained()
    data = DataLoader(Endless(), batch_size=16)
    assert find(model, nn.CrossEntropyLoss(), data, optimizer, **QUICK).curve
    with pytest.raises(UsageError, match="loader: it has no length, so an epoch has none"):
        find(model, nn.CrossEntropyLoss(), data, optimizer, per="epoch", **QUICK)


def test_parts_in_evaluation_mode_stay_in_it() -> None:
    """Frozen batch normalisation neither learns statistics nor normalises by the batch."""
    torch.manual_seed(0)
    model = Net()
    model.layers[1].eval().requires_grad_(False)
    seen: set[tuple[bool, ...]] = set()
    means: list[Tensor] = []

    def step(model: Any, batch: Any) -> Tensor:
        seen.add(tuple(part.training for part in model.layers))
        means.append(model.layers[1].running_mean.clone())
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.1)
    find(model, None, loader(), optimizer, step=step, **QUICK)
    assert seen - {(False,) * 5} == {(True, False, True, True, True)}
    assert not torch.stack(means).any()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_nothing_is_left_behind_on_cuda() -> None:
    torch.manual_seed(0)
    model = Net().cuda()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    before = {name: value.cpu() for name, value in model.state_dict().items()}
    generator = torch.cuda.get_rng_state()
    result = find(model, nn.CrossEntropyLoss(), loader(), optimizer, **QUICK)
    assert len(result.curve) > 20
    assert all(torch.equal(before[name], v.cpu()) for name, v in model.state_dict().items())
    assert torch.equal(generator, torch.cuda.get_rng_state())
