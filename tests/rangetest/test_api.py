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
from tests.rangetest.handed import (
    LOSS,
    SWEEP,
    Net,
    bits,
    dataset,
    left_alone,
    loader,
    quick,
    seeing,
    trained,
    two_groups,
)  # fmt: skip


def test_nothing_is_left_behind() -> None:
    model, optimizer = trained()
    data, batches = loader(generator=torch.Generator().manual_seed(7)), list(loader())
    with left_alone(model, optimizer, data):
        assert len(quick(model, data, optimizer).curve) > 20
        wide = {"verify": True, "start_lr": 1e-5, "points": 80}
        judged = quick(model, batches, optimizer, val_loader=data, **wide).verification
        assert judged is not None and judged["data"] == "validation"
    head = torch.optim.SGD(model.layers[4].parameters(), lr=0.1)
    with left_alone(model, head, data):  # with gradients of parameters that it does not step
        assert max_stable_lr(model, LOSS, data, head, steps=12).lr


@pytest.mark.parametrize("fault", [RuntimeError("mine"), KeyboardInterrupt()])
@pytest.mark.parametrize("calls", [0, 30])
def test_nothing_is_left_behind_by_an_exception_which_comes_out_unchanged(
    fault: BaseException, calls: int
) -> None:
    left = iter(range(calls))

    def draw_and_fail(*_: Any) -> None:
        random.random()
        np.random.rand()
        if next(left, None) is None:
            raise fault

    model, optimizer = trained()
    _, step = seeing(draw_and_fail)
    with left_alone(model, optimizer), pytest.raises(type(fault)) as caught:
        quick(model, loader(), optimizer, step=step)
    assert caught.value is fault


def test_parameters_of_the_loss_and_of_the_optimizer_are_put_back_too() -> None:
    class Scaled(nn.Linear):
        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return LOSS(super().forward(output), target)

    model, loss_fn = Net(), Scaled(3, 3)
    optimizer = torch.optim.SGD([*model.parameters(), *loss_fn.parameters()], lr=0.1)
    before = bits(loss_fn.state_dict())
    find(model, loss_fn, loader(), optimizer, points=40, seeds=2, verify_steps=8)
    assert bits(loss_fn.state_dict()) == before and loss_fn.weight.grad is None


def test_it_works_where_gradients_are_switched_off() -> None:
    model, optimizer = trained()
    data = loader()
    with left_alone(model, optimizer, data):
        with torch.no_grad():
            assert quick(model, data, optimizer, **SWEEP).curve
        with torch.inference_mode():
            assert quick(model, data, optimizer, **SWEEP).curve
            assert torch.is_inference_mode_enabled()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_a_scripted_module_is_put_back_too() -> None:
    parts = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    model: Any = torch.jit.script(parts)
    before = bits(model.state_dict())
    assert quick(model, loader(), torch.optim.SGD(model.parameters(), lr=0.1), **SWEEP).curve
    assert bits(model.state_dict()) == before


def test_seeds_draw_weights_only_with_make_model() -> None:
    model, optimizer = trained(torch.optim.SGD)
    own, drawn = (
        [
            point.loss
            for point in quick(model, list(loader()), optimizer, make_model=make, **SWEEP).curve
            if point.step == 0
        ]
        for make in (None, Net)
    )
    assert own[0] == pytest.approx(own[1], rel=0.2)
    assert drawn[0] != drawn[1] and min(drawn) > max(own)


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
    first = quick(model, data, optimizer)
    assert data.states() == before
    data.numpy.random(), data.old.rand(), data.python.random()
    assert quick(model, data, optimizer) == first


def test_a_validation_curve_looks_at_one_batch_after_each_step() -> None:
    """At most twice the time: forward over one more batch costs less than a training step."""
    model, optimizer = trained()
    model.train()
    held = list(loader())
    seen, step = seeing(lambda model, batch: (model.training, float(batch[1][0])))
    settings = {"val_loader": held, "val_loss": True, "points": 12, "seeds": 1, "end_lr": 1e-4}
    quick(model, list(loader()), optimizer, step=step, **settings, **SWEEP)
    assert [training for training, _ in seen] == [True, False] * 12
    assert {label for training, label in seen if not training} == {float(held[0][1][0])}


@pytest.mark.parametrize(("precision", "kind"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_forward_pass_computes_as_asked(precision: Any, kind: torch.dtype) -> None:
    model, optimizer = trained()
    seen, step = seeing(lambda model, batch: model(batch[0]).dtype)
    quick(model, loader(), optimizer, step=step, precision=precision, **SWEEP)
    assert set(seen) == {kind}


@pytest.mark.parametrize(
    ("lrs", "start_lr", "alone", "ratio"),
    [
        ((0.02, torch.tensor(0.1)), 1e-6, None, (1.0, 5.0)),
        ((0.02, 0.1), [1e-6, 1e-5], None, (1.0, 10.0)),
        ((0.02, 0.1), 1e-6, 1, (None, 1.0)),
    ],
)
def test_the_answer_is_applied_to_the_groups_as_they_were_swept(
    lrs: Any, start_lr: Any, alone: int | None, ratio: Any
) -> None:
    model = Net()
    optimizer = two_groups(model, *lrs)
    seen, step = seeing(lambda *_: [float(group["lr"]) for group in optimizer.param_groups])
    found = quick(
        model, loader(), optimizer, step=step, start_lr=start_lr, sweep_group=alone, **SWEEP
    )
    if alone:
        assert {a for a, _ in seen} == {0.02}
    else:
        assert {round(b / a, 4) for a, b in seen if a} == {ratio[1]}
    assert [group["lr"] for group in optimizer.param_groups] == list(lrs)
    optimizer.param_groups[0]["initial_lr"] = 7.0  # as an earlier scheduler leaves it
    replace(found, lr=0.3).apply(optimizer)
    assert optimizer.param_groups[0]["initial_lr"] == optimizer.param_groups[0]["lr"]
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
    assert quick(model, data, optimizer, **SWEEP).curve
    with pytest.raises(UsageError, match="loader: it has no length, so an epoch has none"):
        quick(model, data, optimizer, per="epoch")


def test_parts_in_evaluation_mode_stay_in_it() -> None:
    """Frozen batch normalisation neither learns statistics nor normalises by the batch."""
    model = Net()
    model.layers[1].eval().requires_grad_(False)
    seen, step = seeing(
        lambda model, _: (
            tuple(part.training for part in model.layers),
            bool(model.layers[1].running_mean.any()),
        )
    )
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.1)
    quick(model, loader(), optimizer, step=step)
    assert {modes for modes, _ in seen} - {(False,) * 5} == {(True, False, True, True, True)}
    assert not any(learnt for _, learnt in seen)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_nothing_is_left_behind_on_cuda() -> None:
    model = Net().cuda()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    before = {name: value.cpu() for name, value in model.state_dict().items()}
    generator = torch.cuda.get_rng_state()
    assert len(quick(model, loader(), optimizer).curve) > 20
    assert all(torch.equal(before[name], v.cpu()) for name, v in model.state_dict().items())
    assert torch.equal(generator, torch.cuda.get_rng_state())
